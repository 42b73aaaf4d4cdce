"""An attestor: recomputes what the oracle proposes from its own ledger and its own view of the chain, and signs it if it is the same.

proposal ──▶ mirror up to its cut ──▶ compute ──▶ compare every value ──▶ guard, on the disk ──▶ sign ──▶ mailbox
                                                        │
                                                        └──▶ refused: each difference is told, nothing is signed
"""

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc
import structlog
from eth_account.messages import SignableMessage

from pictor.activity.ledger import Ledger, LedgerError
from pictor.activity.mirror import mirror
from pictor.activity.recharges import ChangedBlockError, RechargeLogError
from pictor.activity.rollups import RollupsError
from pictor.chain.errors import ChainError
from pictor.chain.files import write_json
from pictor.epoch.archive import Archive, Contents, open_archive
from pictor.epoch.manifest import ArchiveError
from pictor.epoch.messages import Domain, Message
from pictor.epoch.report import Block, Statement
from pictor.oracle.bounds import breaches_of, unreleased
from pictor.oracle.closing import open_points, pins
from pictor.oracle.compute import VALIDITY, BasisError, Computation, compute
from pictor.oracle.guard import Guard, GuardError
from pictor.oracle.mailbox import Mailbox, Signatures
from pictor.oracle.passes import PassesError
from pictor.oracle.proposal import Proposal
from pictor.oracle.quorum import Quorum
from pictor.oracle.view import View
from pictor.units import epoch_end, last_ended_epoch

log = structlog.get_logger()

MOST_NOTES = 1_000  # of the mirror's past that are kept
SKEW = 300  # seconds that two clocks may differ


class MessageSigner(Protocol):
    """Whoever has an attestor's key."""

    @property
    def signer(self) -> bytes:
        """As the committee knows it: 20 bytes, or an ERC-7913 verifier's 20 and the key behind it."""

    def sign_message(self, message: SignableMessage) -> bytes:
        """The signature. Raises ChainError if the signer refuses."""


class Verdict(Enum):
    """What an attestor did about the newest proposal."""

    NOTHING_TO_SIGN = "there is no proposal, or one with nothing to sign"
    NO_SIGNER = "this signer is no attestor of these contracts"
    NOT_CLOSED = "the epoch is not closed yet as this attestor sees it"
    SIGNED_ALREADY = "signed already"
    SIGNED = "recomputed, found the same, signed"
    REFUSED = "not the same: not signed"


@dataclass(frozen=True)
class Attestation:
    """A verdict, on the proposal of which epoch, and why: one sentence for each difference."""

    verdict: Verdict
    epoch: int | None = None
    reasons: tuple[str, ...] = ()


class Attestor:
    """One attestor."""

    def __init__(
        self,
        view: View,
        mailbox: Mailbox,
        archives: str,
        guard: Guard,
        signer: MessageSigner,
        held: "Held",
        source: Ledger | None,
    ) -> None:
        """`archives`: where the epochs' archives lie. `source`: the ledger that the view's mirrors; None if somebody else sees to that."""
        self._view, self._mailbox, self._archives, self._guard = view, mailbox, archives, guard
        self._signer, self._held, self._source = signer, held, source
        self._signed: set[bytes] = set()  # proposals that need no second look

    def attend(self) -> Attestation:
        """Looks at the newest proposal, once. Raises what a node's failure raises (NODE_FAILURES, NodeError): nothing is decided then."""
        self._bring_mirror_up(None)
        ended = last_ended_epoch(self._view.now(), self._view.policies.epoch_length)
        epoch = max((number for number in self._mailbox.epochs() if number <= ended), default=None)
        proposal = self._mailbox.proposal(epoch) if epoch is not None else None
        if proposal is None or proposal.is_empty:
            return Attestation(Verdict.NOTHING_TO_SIGN, epoch)
        verdict, reasons = self._judge(proposal)
        return Attestation(verdict, proposal.epoch, tuple(reasons))

    def _judge(self, proposal: Proposal) -> tuple[Verdict, list[str]]:
        contracts = self._view.contracts()
        attestors = {contracts.registry.attestor(), contracts.vip_pass.attestor()}
        quorums = [Quorum.behind(self._view.chain, attestor, contracts.block) for attestor in attestors]
        if not any(self._signer.signer in quorum.signers for quorum in quorums):
            return Verdict.NO_SIGNER, [f"0x{self._signer.signer.hex()}"]
        if (proposal.registry, proposal.vip_pass) != (self._view.registry, self._view.vip_pass):
            return Verdict.REFUSED, [f"vipPass: {proposal.vip_pass}, here {self._view.vip_pass}"]
        if self._has_signed(proposal, quorums):
            return Verdict.SIGNED_ALREADY, []
        pinned = pins(self._view, proposal.epoch)
        if pinned is None:
            return Verdict.NOT_CLOSED, []
        try:
            self._bring_mirror_up(proposal)
            reasons = list(self._objections(proposal, *pinned.cited(self._view.chain.id)))
            if reasons:
                return Verdict.REFUSED, reasons
            with self._archive(proposal) as archive:
                computation = compute(self._view, proposal.basis)
                reasons = list(differences(proposal, archive, computation, self._view))
                found = breaches_of(self._view, computation, contracts.registry, self._mailbox, self._archives)
                reasons += [f"out of bounds, and not released: {breach}" for breach in unreleased(found, proposal.releases)]
                if reasons:
                    return Verdict.REFUSED, reasons
                self._sign(proposal, archive)
        except (LedgerError, RollupsError, ArchiveError, BasisError, PassesError, GuardError, RechargeLogError, ChangedBlockError) as error:
            return Verdict.REFUSED, [str(error)]
        return Verdict.SIGNED, []

    def _bring_mirror_up(self, proposal: Proposal | None) -> None:
        """Copies what the source has: up to the cut of a proposal, or else all there is, as far as that can be done."""
        ledger = self._view.ledger
        if proposal is not None:
            if self._source is not None and ledger.size() < proposal.basis.cut.number:
                mirror(self._source, ledger, self._source.locate(str(proposal.basis.cut)))
            ledger.locate(str(proposal.basis.cut))
        elif self._source is not None:
            try:
                mirror(self._source, ledger)
            except LedgerError as error:
                log.error("mirror stopped", reason=str(error))
        self._held.note(ledger.size(), self._view.now())

    def _objections(self, proposal: Proposal, holders: Block, recharges: tuple[Block, ...]) -> Iterator[str]:
        """What is wrong with a proposal before anything is computed."""
        basis, view = proposal.basis, self._view
        end = epoch_end(basis.epoch, view.policies.epoch_length)
        if basis.holders != holders:
            yield f"holders: {basis.holders}, here {holders}"
        if basis.recharges != recharges:
            yield f"recharges: {basis.recharges}, here {recharges}"
        if basis.tested_from < view.first_epoch:
            yield f"testedFrom: {basis.tested_from} is before {view.first_epoch}, the first epoch"
        if proposal.published_at > self._view.now() + SKEW:
            yield f"publishedAt: {proposal.published_at} is in the future"
        for point in open_points(view, basis.epoch, proposal.published_at, basis.cut.number):
            yield f"publishedAt: {proposal.published_at}, when the epoch still waited for {point}"
        if proposal.published_at < end:
            yield f"publishedAt: {proposal.published_at} is before the end of the epoch, {end}"
        long_held = self._held.at(proposal.published_at - view.policies.at(basis.epoch).grace)
        if long_held > basis.cut.number:
            yield f"cut: {basis.cut.number} leaves out entries up to {long_held}, held here for longer than grace when it was published"

    def _archive(self, proposal: Proposal) -> AbstractContextManager[Archive | None]:
        """The archive that a proposal names, if it names one."""
        if proposal.archive is None:
            return nullcontext()
        archive_hash, name = proposal.archive
        return open_archive(f"{self._archives.rstrip('/')}/{name}", archive_hash)

    def _has_signed(self, proposal: Proposal, quorums: list[Quorum]) -> bool:
        """Whether what this signer has to say lies in the mailbox, signed by itself."""
        if proposal.hash in self._signed:
            return True
        wanted = len(proposal.issuances) + (proposal.archive is not None)
        good = {
            digest
            for left in self._mailbox.signatures(proposal, {signer for quorum in quorums for signer in quorum.signers})
            for digest, signature in left.by_digest.items()
            if left.signer == self._signer.signer and any(quorum.is_signed(left.signer, digest, signature) for quorum in quorums)
        }
        if len(good) < wanted:
            return False
        self._signed.add(proposal.hash)
        return True

    def _sign(self, proposal: Proposal, archive: Archive | None) -> None:
        """Signs the issuances, and the report if the guard allows it, and leaves the signatures in the mailbox."""
        messages: list[tuple[Message, Domain]] = [(one, self._view.vip_pass) for one in proposal.issuances]
        if archive is not None:
            self._guard.allow(archive.report, self._view.registry)
            messages.append((archive.report, self._view.registry))
        signed = {one.digest(domain): self._signer.sign_message(one.signable(domain)) for one, domain in messages}
        self._mailbox.sign(proposal.epoch, Signatures(self._signer.signer, proposal.hash, signed))


class Held:
    """Since when an attestor has held which entries of the ledger, by its own clock: a file of its own, to be kept."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def note(self, size: int, now: int) -> None:
        """Notes that entries up to `size` are held at `now`."""
        notes = self._notes()
        if size > max(notes, default=0):
            write_json(self._file, [*([number, at] for number, at in sorted(notes.items())[-MOST_NOTES:]), [size, now]])

    def at(self, moment: int) -> int:
        """Up to which entry the ledger was held at `moment`."""
        return max((number for number, at in self._notes().items() if at <= moment), default=0)

    def _notes(self) -> dict[int, int]:
        try:
            return {int(number): int(at) for number, at in json.loads(self._file.read_text())}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError) as error:
            raise ChainError(f"{self._file}: not to be read: {error}") from error


def differences(proposal: Proposal, archive: Archive | None, computation: Computation, view: View) -> Iterator[str]:
    """What a proposal and its archive say otherwise than `computation`, value by value; of a table the first row that differs."""
    contents = computation.contents
    if archive is not None and contents is not None:
        yield from _statement_differences(archive.statement, contents.statement)
        yield from _contents_differences(archive, contents)
    elif archive is not None:
        yield "archive: there is one, and here there is nobody to score"
    elif contents is not None:
        yield f"archive: there is none, and here there are {contents.standings.num_rows} standings"
    yield from _issuance_differences(proposal, computation, view)


def _statement_differences(theirs: Statement, ours: Statement) -> Iterator[str]:
    for name in ("epoch", "registry", "policy_hash", "creators", "workers", "cut", "holders", "recharges", "root"):
        there, here = getattr(theirs, name), getattr(ours, name)
        if there != here:
            yield f"{name}: {_text(there)}, here {_text(here)}"


def _contents_differences(archive: Archive, ours: Contents) -> Iterator[str]:
    archive.check()
    for name in ("inputs", "standings", "issued"):
        there, here = archive.table(name), getattr(ours, name)
        if difference := first_difference(there, here):
            yield f"{name}: {difference}"


def _issuance_differences(proposal: Proposal, computation: Computation, view: View) -> Iterator[str]:
    earned = set(zip(computation.earned["role"].to_pylist(), computation.earned["account"].to_pylist(), strict=True))
    deadline = epoch_end(proposal.epoch, view.policies.epoch_length) + VALIDITY
    for number, issuance in enumerate(proposal.issuances):
        if issuance.deadline > deadline:
            yield f"issuances[{number}].deadline: {issuance.deadline}, and {deadline} is the latest"
        for account in issuance.accounts:
            if (int(issuance.role), account) not in earned:
                yield f"issuances[{number}]: {account} has not earned a pass of a {issuance.role.name.lower()}, or has one"
                break


def first_difference(there: pa.Table, here: pa.Table) -> str | None:
    """The first row in which two tables with the same columns differ, in words; None if they are equal."""
    if there.equals(here):
        return None
    rows = min(there.num_rows, here.num_rows)
    different = pa.chunked_array([pa.array([False] * rows)])
    for name in here.schema.names:
        different = pc.or_(different, pc.not_equal(there[name].slice(0, rows), here[name].slice(0, rows)))
    row = pc.index(different, True).as_py()
    if row < 0:
        return f"{there.num_rows} rows, here {here.num_rows}"
    theirs, ours = there.slice(row, 1).to_pylist()[0], here.slice(row, 1).to_pylist()[0]
    if (theirs["role"], theirs["account"]) != (ours["role"], ours["account"]):
        return f"row {row} is of {theirs['account']} with role {theirs['role']}, here of {ours['account']} with role {ours['role']}"
    values = ", ".join(f"{name} {theirs[name]}, here {ours[name]}" for name in here.schema.names if theirs[name] != ours[name])
    return f"{ours['account']} with role {ours['role']}: {values}"


def _text(value: object) -> str:
    return f"0x{value.hex()}" if isinstance(value, bytes) else str(value)
