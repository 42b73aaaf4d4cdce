"""One cycle of the oracle: from a closed epoch to a posted report, issued passes and synced standings.

closed ──▶ computed ──▶ within bounds ──▶ archived ──▶ proposed ──▶ signed by enough ──▶ posted ──▶ passes issued ──▶ standings synced
   │                        │                             ▲
   └─ waits                 └─ held: the next epoch       └─ proposed by another oracle: adopted

Nothing is remembered but what chain, ledger, mailbox and archives hold: each cycle begins at the start and finds what is done already,
so it can be killed at any line and run again, and two oracles can run at once.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import structlog
from hexbytes import HexBytes
from web3.types import TxReceipt

from pictor.activity.ledger import Position
from pictor.chain.contracts import Call, Contracts
from pictor.chain.errors import ChainError, RevertedError
from pictor.chain.sending import estimate
from pictor.epoch.archive import open_archive, write_archive
from pictor.epoch.manifest import ArchiveError
from pictor.epoch.messages import Report
from pictor.oracle.backlog import Attested, Backlog
from pictor.oracle.bounds import breaches_of, unreleased
from pictor.oracle.closing import newest_closed, pins
from pictor.oracle.compute import Basis, Computation, compute, issuances
from pictor.oracle.mailbox import Mailbox
from pictor.oracle.passes import ZERO
from pictor.oracle.past import archive_of
from pictor.oracle.proposal import Proposal, ProposalError, Release
from pictor.oracle.quorum import Quorum
from pictor.oracle.syncing import portions, synced_passes
from pictor.oracle.view import View
from pictor.policy import Policy
from pictor.units import Address, Epoch, parse_address

log = structlog.get_logger()

MOST_BATCH = 200  # passes in one transaction, some 6 million gas: it fits a block of any chain
PASS_GAS = 40_000  # more than a pass takes
CALL_GAS = 200_000  # more than a call takes beside, with the signatures of a large committee


class Outcome(Enum):
    """What became of the newest closed epoch's report."""

    NOT_CLOSED = "no epoch is closed yet"
    HELD = "outside the bounds: an operator must look, and release it or let the next epoch come"
    NO_MEMBERS = "nobody to score yet"
    BAD_PROPOSAL = "what lies in the mailbox for this epoch cannot be used; the next epoch repairs it"
    AWAITING_SIGNATURES = "too few attestors have signed"
    AWAITING_ACTIVATION = "the report before is still pending"
    PAUSED = "the registry is paused"
    VOID = "posted, and void: the next epoch repairs it"
    OVERTAKEN = "a later epoch was posted"
    WOULD_PROPOSE = "would be proposed"
    WOULD_POST = "would be posted"
    POSTED = "posted"


class Issuing(Enum):
    """What became of the passes that can be issued."""

    DONE = "nobody waits"
    BUDGET = "the gas budget of this epoch is used up: more in the next"
    LIMIT = "the day's limit is reached: more tomorrow"
    PAUSED = "the pass is paused"
    WOULD_ISSUE = "would be issued"


class Syncing(Enum):
    """What became of the standings that belong into storage."""

    DONE = "all are there"
    NO_ARCHIVE = "an archive cannot be read"
    PAUSED = "the registry is paused"
    WOULD_SYNC = "would be synced"


@dataclass(frozen=True)
class Result:
    """What a cycle came to. `details`: one sentence for each reason. `missing`: signers that have not signed the report, as hex.

    `passes_left`: passes that are attested and not issued; `to_sync`: standings that would be synced.
    """

    outcome: Outcome
    epoch: Epoch | None = None
    details: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    issuing: Issuing = Issuing.DONE
    passes_left: int = 0
    syncing: Syncing = Syncing.DONE
    to_sync: int = 0


class Sender(Protocol):
    """Whoever pays for transactions."""

    @property
    def address(self) -> Address:
        """Its account."""

    def send(self, call: Call) -> TxReceipt:
        """Sends a call and waits until it counts. Raises RevertedError if it fails, ChainError if it cannot be sent."""


@dataclass(frozen=True)
class _Step:
    outcome: Outcome
    details: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


class Cycle:
    """The oracle's work. Without a sender nothing is written or sent: the result tells what would be."""

    def __init__(self, view: View, mailbox: Mailbox, archives: str, sender: Sender | None, releases: Sequence[Release] = ()) -> None:
        """`archives`: where the epochs' archives go. `releases`: bounds that an operator lets a report pass, in proposals made from now."""
        self._view, self._mailbox, self._archives, self._sender, self._releases = view, mailbox, archives, sender, tuple(releases)
        self._finished: set[int] = set()  # epochs whose passes are all issued
        self._synced: set[int] = set()
        self._held: tuple[int, Position, _Step] | None = None  # computed once for each state of the ledger

    @property
    def view(self) -> View:
        """What the oracle knows."""
        return self._view

    def run(self) -> Result:
        """One cycle. Raises ChainError, or what a node's failure raises (NODE_FAILURES); the next cycle begins anew."""
        closing = newest_closed(self._view, self._view.now())
        if closing.epoch is None:
            return Result(Outcome.NOT_CLOSED, None, closing.waits_for)
        step = self._report(closing.epoch)
        issuing, passes_left = self._issue(closing.epoch)
        syncing, to_sync = self._sync()
        return Result(step.outcome, closing.epoch, step.details, step.missing, issuing, passes_left, syncing, to_sync)

    def _policy(self, epoch: int) -> Policy:
        return self._view.policies.at(epoch)

    # The report

    def _report(self, epoch: Epoch) -> _Step:
        registry = self._view.contracts().registry
        if registry.is_void(epoch):
            return _Step(Outcome.VOID)
        if (last := registry.last_epoch()) >= epoch:
            return _Step(Outcome.POSTED if last == epoch else Outcome.OVERTAKEN)
        try:
            proposal = self._mailbox.proposal(epoch)
            found = self._propose(epoch) if proposal is None else proposal
            return found if isinstance(found, _Step) else self._post(found)
        except (ProposalError, ArchiveError) as error:
            return _Step(Outcome.BAD_PROPOSAL, (str(error),))

    def _propose(self, epoch: Epoch) -> Proposal | _Step:
        """Computes an epoch and proposes it; the proposal that stands, or why there is none."""
        view = self._view
        pinned = pins(view, epoch)
        if pinned is None:
            return _Step(Outcome.NOT_CLOSED, ("its blocks can still change",))
        cut = view.ledger.head()
        if self._held and self._held[:2] == (epoch, cut):
            return self._held[2]
        contracts = view.contracts()
        backlog = Backlog(view, self._mailbox, contracts, epoch, self._finished)
        computation = compute(view, Basis(epoch, backlog.tested_from(), cut, *pinned.cited(view.chain.id)))
        found = breaches_of(view, computation, contracts.registry, self._mailbox, self._archives)
        if held := unreleased(found, self._releases):
            step = _Step(Outcome.HELD, tuple(str(breach) for breach in held))
            self._held = (epoch, cut, step)
            return step
        if self._sender is None:
            return _Step(Outcome.WOULD_PROPOSE, tuple(_said_of(computation)))
        archive = None
        if computation.contents is not None:
            written = write_archive(computation.contents, self._archives)
            archive = (written.hash, written.url.rstrip("/").rpartition("/")[2])
        released = {breach.bound for breach in found}
        proposal = Proposal(
            computation.basis,
            view.registry,
            view.vip_pass,
            view.now(),
            archive,
            issuances(computation, view.policies.epoch_length, self._policy(epoch).oracle.issue, self._batch(epoch, contracts)),
            tuple(release for release in self._releases if release.bound in released),
        )
        return self._mailbox.propose(proposal)

    def _batch(self, epoch: int, contracts: Contracts) -> int:
        """How many passes go into one issuance: they must fit a block, the day's limit and the gas budget."""
        affordable = (self._policy(epoch).oracle.gas_budget - CALL_GAS) // PASS_GAS
        return max(1, min(MOST_BATCH, contracts.vip_pass.issue_limit(), affordable))

    def _post(self, proposal: Proposal) -> _Step:
        """Posts the report of a proposal, if enough have signed it."""
        if proposal.vip_pass != self._view.vip_pass:
            return _Step(Outcome.BAD_PROPOSAL, (f"vipPass: {proposal.vip_pass}",))
        if proposal.archive is None:
            return _Step(Outcome.NO_MEMBERS)
        archive_hash, name = proposal.archive
        with open_archive(f"{self._archives.rstrip('/')}/{name}", archive_hash) as archive:
            if archive.statement.epoch != proposal.epoch or archive.statement.registry != proposal.registry:
                return _Step(Outcome.BAD_PROPOSAL, (f"the archive is of epoch {archive.statement.epoch}, {archive.statement.registry}",))
            report = archive.report
        contracts = self._view.contracts()
        quorum = Quorum.behind(self._view.chain, contracts.registry.attestor(), contracts.block)
        digest = report.digest(self._view.registry)
        left = self._mailbox.signatures(proposal, quorum.signers)
        pairs = [(one.signer, one.by_digest[digest]) for one in left if digest in one.by_digest]
        signature = quorum.enough(digest, pairs)
        if signature is None:
            good = {signer for signer, one in pairs if quorum.is_signed(signer, digest, one)}
            missing = tuple(sorted(f"0x{signer.hex()}" for signer in quorum.signers - good))
            return _Step(Outcome.AWAITING_SIGNATURES, (f"{len(good)} of {quorum.threshold} have signed",), missing)
        return self._submit(report, signature, contracts)

    def _submit(self, report: Report, signature: bytes, contracts: Contracts) -> _Step:
        registry = contracts.registry
        if registry.paused():
            return _Step(Outcome.PAUSED)
        if pending := registry.pending_report():
            return _Step(Outcome.AWAITING_ACTIVATION, (f"epoch {pending.epoch} until {pending.activates_at}",))
        if self._sender is None:
            return _Step(Outcome.WOULD_POST)
        try:
            self._sender.send(registry.submit(report, signature))
        except RevertedError as error:
            if self._view.contracts().registry.last_epoch() < report.epoch:
                raise
            log.info("another oracle was faster", epoch=report.epoch, reason=str(error))
        now = self._view.contracts().registry
        if now.is_void(report.epoch):
            return _Step(Outcome.VOID)
        if (last := now.last_epoch()) < report.epoch:
            raise ChainError(f"epoch {report.epoch}: was sent, and the registry's last epoch is {last}")
        return _Step(Outcome.POSTED if last == report.epoch else Outcome.OVERTAKEN)

    # Passes

    def _issue(self, epoch: Epoch) -> tuple[Issuing, int]:
        """Issues what is attested, oldest first; what became of it, and how many passes are left."""
        contracts = self._view.contracts()
        backlog = Backlog(self._view, self._mailbox, contracts, epoch, self._finished)
        waiting = backlog.to_push()
        ended = self._carry(waiting, backlog, contracts, epoch)
        left = backlog.unissued(*(one.issuance for one in waiting))
        return (ended, left) if left else (Issuing.DONE, 0)

    def _carry(self, waiting: Sequence[Attested], backlog: Backlog, contracts: Contracts, epoch: Epoch) -> Issuing:
        """Carries issuances until the first that must wait. The first of an epoch need not, so that however small the budget, some go."""
        if waiting and contracts.vip_pass.paused():
            return Issuing.PAUSED
        if self._sender is None:
            return Issuing.WOULD_ISSUE
        budget, spent = self._policy(epoch).oracle.gas_budget, self._gas_spent(epoch, contracts) if waiting else 0
        for one in waiting:
            if not backlog.unissued(one.issuance):
                continue
            assert one.signature is not None
            call = contracts.vip_pass.issue(one.issuance, one.signature)
            try:
                gas = estimate(self._view.chain, self._sender.address, call)
                if spent + gas > budget and (spent or not budget):
                    return Issuing.BUDGET
                spent += self._sender.send(call)["gasUsed"]
            except RevertedError as error:
                if error.error == "IssueLimit":
                    return Issuing.LIMIT
                if self._view.contracts().vip_pass.paused():
                    return Issuing.PAUSED
                raise
            backlog.issued(one.issuance)
        return Issuing.DONE

    def _gas_spent(self, epoch: Epoch, contracts: Contracts) -> int:
        """The gas that issuing has taken since the end of `epoch`, whoever paid, but for wallets that carried their own."""
        pinned = pins(self._view, epoch)
        first = pinned.holders.number + 1 if pinned else contracts.block.number
        events = [one for one in contracts.vip_pass.events(first, "Transfer") if one.arguments["from"] == ZERO]
        spent = 0
        for transaction, account in {one.transaction: one.arguments["to"] for one in events}.items():
            receipt = self._view.chain.web3.eth.get_transaction_receipt(HexBytes(transaction))
            spent += receipt["gasUsed"] if parse_address(receipt["from"]) != account else 0
        return spent

    # Standings

    def _sync(self) -> tuple[Syncing, int]:
        """Copies standings of the active and the pending report; what became of it, and how many are left."""
        contracts = self._view.contracts()
        left = 0
        for posted in (contracts.registry.active_report(), contracts.registry.pending_report()):
            if posted is None or posted.epoch in self._synced:
                continue
            which = self._policy(posted.epoch).oracle.sync
            try:
                with archive_of(posted, self._mailbox, self._archives) as archive:
                    done = synced_passes(contracts.registry, posted, self._view.deployment.first_block)
                    wanted = list(portions(archive, which, done))
            except ArchiveError as error:
                log.error("standings not synced", epoch=posted.epoch, reason=str(error))
                return Syncing.NO_ARCHIVE, left
            left += sum(len(standings) for standings, _ in wanted)
            if wanted and contracts.registry.paused():
                return Syncing.PAUSED, left
            if self._sender is None:
                continue
            for standings, proof in wanted:
                try:
                    self._sender.send(contracts.registry.sync(posted.epoch, standings, proof.proof, proof.flags))
                except RevertedError as error:
                    if error.error != "NotCurrent":
                        raise
                    break  # another report took its place meanwhile
                left -= len(standings)
            else:
                self._synced.add(posted.epoch)
        return (Syncing.WOULD_SYNC if left and self._sender is None else Syncing.DONE), left


def _said_of(computation: Computation) -> Iterable[str]:
    """A computation in words."""
    basis, contents = computation.basis, computation.contents
    yield f"cut {basis.cut}, holders at block {basis.holders.number}, conditions tested from epoch {basis.tested_from}"
    if contents is not None:
        yield f"{contents.statement.creators} creators, {contents.statement.workers} workers, root 0x{contents.statement.root.hex()}"
    yield f"{computation.earned.num_rows} passes earned"
