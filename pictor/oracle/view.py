"""One party's own view of the world: its ledger, its nodes, its policy. Oracle, attestor and checker each have one, and trust no other."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

from pictor.activity.ledger import Ledger, LedgerError
from pictor.activity.recharges import RechargeLog, RechargeLogError
from pictor.activity.rollups import Rollups, RollupsError
from pictor.activity.storage import StorageBusyError
from pictor.activity.transfers import ProviderError
from pictor.chain.contracts import Contracts
from pictor.chain.deployments import Deployment
from pictor.chain.errors import ChainError
from pictor.chain.node import NODE_FAILURES, Block, Chain
from pictor.epoch.manifest import ArchiveError
from pictor.epoch.messages import Domain, Issuance, Report
from pictor.policy import PolicyBook, PolicyError, parse_policies
from pictor.scoring import EngineError, HoldersError
from pictor.units import Address, Epoch, Role, Timestamp, last_ended_epoch

# What can go wrong with what a party has: to be told in one line, and tried again.
FAILURES = (
    ChainError,
    *NODE_FAILURES,
    LedgerError,
    RechargeLogError,
    ProviderError,
    RollupsError,
    StorageBusyError,
    EngineError,
    HoldersError,
    ArchiveError,
    PolicyError,
    OSError,
)


class ViewError(ChainError):
    """This party cannot take part: what it has does not belong together. The message says what."""


@dataclass(frozen=True)
class View:
    """All that one party knows by itself.

    `policy`: TOML. `sources`: the chains with a treasury, by id. `folder`: what is kept there can always be made anew.
    """

    deployment: Deployment
    chain: Chain
    sources: Mapping[int, Chain]
    ledger: Ledger
    rollups: Rollups
    recharges: RechargeLog
    policy: str
    folder: Path

    @classmethod
    def open(cls, deployment: Deployment, chain: Chain, sources: Mapping[int, Chain], ledger: Ledger, policy: str, folder: Path) -> Self:
        """The view of a party that keeps its rollups and its log of recharges in `folder`. Raises RollupsError."""
        recharges = RechargeLog.open(folder / "recharges")
        return cls(deployment, chain, sources, ledger, Rollups.open(ledger, folder / "rollups", recharges), recharges, policy, folder)

    @cached_property
    def policies(self) -> PolicyBook:
        """The policy, parsed."""
        return parse_policies(self.policy)

    @cached_property
    def registry(self) -> Domain:
        """The domain of reports."""
        return Domain(self.chain.id, self.deployment.contracts["ScoreRegistry"].address)

    @cached_property
    def vip_pass(self) -> Domain:
        """The domain of issuances."""
        return Domain(self.chain.id, self.deployment.contracts["VIPPass"].address)

    @cached_property
    def first_epoch(self) -> Epoch:
        """The first epoch that ends after the contracts were created."""
        return Epoch(last_ended_epoch(self.chain.block(self.deployment.first_block).timestamp, self.policies.epoch_length) + 1)

    def now(self) -> Timestamp:
        """The time, as the chain has it: the latest block's."""
        return self.chain.block().timestamp

    def contracts(self, block: Block | None = None) -> Contracts:
        """The contracts at `block`, or at the latest."""
        return self.deployment.gateways(self.chain, block or self.chain.block())

    def check(self) -> None:
        """Raises ChainError unless contracts, policy, chains and messages belong together. To be called at start."""
        contracts = self.deployment.open(self.chain)
        registry = contracts.registry
        for name, ours, theirs in (
            ("epoch_length", self.policies.epoch_length, registry.epoch_length()),
            ("priority_share", self.policies.priority_share, registry.priority_share()),
        ):
            if ours != theirs:
                raise ViewError(f"{name}: the policy says {ours}, the contract {theirs}")
        for version in self.policies.versions:
            for rules in version.chains:
                if rules.chain_id not in self.sources:
                    raise ViewError(f"the policy counts recharges on chain {rules.chain_id}, and no node of it is given")
                self.sources[rules.chain_id].require(rules.chain_id)
        report = Report(1, b"\x01" * 32, b"\x02" * 32, b"\x03" * 32, 4, 5)
        issuance = Issuance(Role.WORKER, (Address("0x" + "12" * 20), Address("0x" + "34" * 20)), 6)
        if registry.report_digest(report) != report.digest(self.registry):
            raise ViewError("the registry has another digest of a report than this program")
        if contracts.vip_pass.issuance_digest(issuance) != issuance.digest(self.vip_pass):
            raise ViewError("the pass has another digest of an issuance than this program")
