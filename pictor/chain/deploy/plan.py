"""The transactions that make a deployment, in order. Each is made of what those before it returned, and of nothing else."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pictor.chain.artifacts import Artifacts
from pictor.chain.contracts import FUNCTION_POWERS, Call, Power
from pictor.chain.deploy.config import Committee, DeployConfig
from pictor.chain.interfaces import interface
from pictor.units import Address, to_checksum

VERIFIER = "P256Verifier"
Addresses = Mapping[str, Address]  # of the contracts made so far, by name
Arguments = dict[str, Any]


@dataclass(frozen=True)
class Creation:
    """A step that creates the contract `name`."""

    name: str
    arguments: Callable[[Addresses], Arguments]

    def call(self, artifacts: Artifacts, made: Addresses) -> Call:
        """The transaction."""
        artifact = artifacts[self.name]
        return Call(None, artifact.creation + artifact.interface.encode_constructor(self.arguments(made)), f"create {self.name}")


@dataclass(frozen=True)
class Setting:
    """A step that calls a contract made before."""

    name: str
    calls: Callable[[Addresses], Call]

    def call(self, artifacts: Artifacts, made: Addresses) -> Call:  # noqa: ARG002  as Creation's
        """The transaction."""
        return self.calls(made)


Step = Creation | Setting


def plan(config: DeployConfig, deployer: Address) -> list[Step]:
    """The steps. Until the last one the deployer is ADMIN without a delay; the last one hands all powers over, or does nothing."""
    steps: list[Step] = [Creation("Powers", lambda _: {"initialAdmin": deployer})]
    if isinstance(config.attestor, Committee):
        committee = config.attestor
        if committee.needs_verifier:
            steps.append(Creation(VERIFIER, lambda _: {}))
        steps.append(
            Creation(
                "AttestorCommittee",
                lambda made: {
                    "authority": made["Powers"],
                    "signers": committee.signers(verifier_of(committee, made)),
                    "threshold_": committee.threshold,
                },
            )
        )
    return [
        *steps,
        Creation(
            "VIPPass",
            lambda made: {"authority": made["Powers"], "attestor_": attestor_of(config, made), "issueLimit_": config.issue_limit},
        ),
        Creation(
            "ScoreRegistry",
            lambda made: {
                "authority": made["Powers"],
                "attestor_": attestor_of(config, made),
                "pass": made["VIPPass"],
                "epochLength": config.epoch_length,
                "activationDelay": config.activation_delay,
                "priorityShareBps": config.priority_share,
            },
        ),
        Creation("PassArt", lambda made: {"pass": made["VIPPass"], "registry": made["ScoreRegistry"]}),
        Setting("setArt", lambda made: Call(made["VIPPass"], interface("VIPPass").encode("setArt", made["PassArt"]), "VIPPass.setArt")),
        Setting("handOver", lambda made: _hand_over(config, deployer, made)),
    ]


def verifier_of(committee: Committee, made: Addresses) -> Address | None:
    """Who checks the signatures of P-256 keys: the given verifier, or the one that was made, if any."""
    return committee.verifier or made.get(VERIFIER)


def attestor_of(config: DeployConfig, made: Addresses) -> Address:
    """Who attests: the committee that was made, or the given address."""
    return made["AttestorCommittee"] if isinstance(config.attestor, Committee) else config.attestor


def settings(config: DeployConfig, deployer: Address, made: Addresses) -> list[tuple[str, tuple[Any, ...]]]:
    """What Powers is told, in order: functions and their arguments. The deployer's own power goes last."""
    told: list[tuple[str, tuple[Any, ...]]] = []
    for contract, functions in FUNCTION_POWERS.items():
        if contract in made:
            for power, names in functions.items():
                selectors = [interface(contract).selector(name) for name in names]
                told.append(("setTargetFunctionRole", (made[contract], selectors, power)))
    told += [("labelRole", (power, power.name)) for power in (Power.GOVERNOR, Power.GUARDIAN)]
    told.append(("setRoleGuardian", (Power.GOVERNOR, Power.GUARDIAN)))
    told += [("grantRole", (Power.GOVERNOR, governor, config.governor_delay)) for governor in config.governors]
    told += [("grantRole", (Power.GUARDIAN, guardian, 0)) for guardian in config.guardians]
    told.append(("grantRole", (Power.ADMIN, config.admin, config.admin_delay)))
    told.append(("renounceRole", (Power.ADMIN, deployer)))
    return told


def _hand_over(config: DeployConfig, deployer: Address, made: Addresses) -> Call:
    """All settings in one transaction: there is no moment at which half of them are in force."""
    powers = interface("Powers")
    calls = [powers.encode(name, *arguments) for name, arguments in settings(config, deployer, made)]
    return Call(made["Powers"], powers.encode("multicall", calls), f"Powers.multicall: roles, delays, {to_checksum(config.admin)} as ADMIN")
