"""What anybody can check of an epoch: from its archive, or, with a mirror of the ledger, from the very beginning.

chain's report ──▶ archive ──▶ points and ranks again ──▶ tree and root ──▶ signatures ──▶ holders ──▶ (ledger: all of it again)

Each check is told as it passes; the first difference ends it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.compute as pc
from web3.exceptions import Web3RPCError

from pictor.activity.ledger import LedgerError
from pictor.chain.contracts import Contracts, ScoreRegistry
from pictor.chain.deployments import Deployment
from pictor.chain.errors import ChainError, RevertedError
from pictor.chain.interfaces import Event
from pictor.chain.node import Block, Chain, failure
from pictor.epoch.archive import Archive, archive_name, open_archive
from pictor.epoch.manifest import MANIFEST, ArchiveError
from pictor.epoch.messages import Domain, MessageError, Report, split_signatures
from pictor.epoch.standings import ISSUED, STANDINGS, Standing, arranged, leaves_of, standing_of
from pictor.oracle.attest import first_difference
from pictor.oracle.compute import Basis, BasisError, compute
from pictor.oracle.passes import Passes, passes_at
from pictor.oracle.quorum import Quorum
from pictor.oracle.view import View
from pictor.scoring import eligible_members, points_and_ranks
from pictor.units import Address, Role, to_checksum


class DifferenceError(Exception):
    """Something is not as the report says. The message has what, theirs, and ours."""


class NoReportError(ChainError):
    """The epoch was never posted."""


@dataclass(frozen=True)
class Proven:
    """A standing of a report with its Merkle proof, as `verify` and `isPrioritized` of the registry take them."""

    role: Role
    standing: Standing
    proof: tuple[bytes, ...]
    prioritized: bool
    said: str  # what the contract says to it


@dataclass(frozen=True)
class Posted:
    """A report as the chain has it, read from the event of its submission; also when the registry has forgotten it."""

    event: Event
    contracts: Contracts  # at the latest block

    @classmethod
    def find(cls, deployment: Deployment, chain: Chain, epoch: int | None) -> "Posted":
        """The report of `epoch`; default: the active one. Raises NoReportError."""
        contracts = deployment.open(chain)
        if epoch is None:
            active = contracts.registry.active_report()
            if active is None:
                raise NoReportError("no report is active: name an epoch")
            epoch = active.epoch
        for event in contracts.registry.events(deployment.first_block, "Submitted"):
            if event.arguments["epoch"] == epoch:
                return cls(event, contracts)
        raise NoReportError(f"epoch {epoch}: no report was ever posted")

    @property
    def registry(self) -> ScoreRegistry:
        """The registry at the latest block."""
        return self.contracts.registry

    @cached_property
    def report(self) -> Report:
        """The message that was posted."""
        said = self.event.arguments
        return Report(
            said["epoch"], bytes(said["root"]), bytes(said["policyHash"]), bytes(said["archiveHash"]), said["creators"], said["workers"]
        )

    @property
    def domain(self) -> Domain:
        """Where it counts."""
        return Domain(self.registry.chain.id, self.registry.address)

    @contextmanager
    def archive(self, url: str) -> Iterator[Archive]:
        """Its archive, at `url` or in the folder of its name below. Raises the kinds of ArchiveError."""
        fs, path = fsspec.url_to_fs(url)
        is_one = fs.exists(f"{path.rstrip('/')}/{MANIFEST}")
        place = url if is_one else f"{url.rstrip('/')}/{archive_name(self.report.epoch, self.report.archive_hash)}"
        with open_archive(place, self.report.archive_hash) as archive:
            yield archive

    def life(self) -> str:
        """What has become of it."""
        epoch = self.report.epoch
        if self.registry.is_void(epoch):
            return "void: nobody may believe it"
        for name, posted in (("active", self.registry.active_report()), ("pending", self.registry.pending_report())):
            if posted is not None and posted.epoch == epoch:
                return name
        return "superseded by a later one"


def verify(posted: Posted, archive: Archive, deployment: Deployment, folder: Path) -> Iterator[str]:
    """What can be checked with the chain and the archive, a line for each check that passes. `folder`: for what is read meanwhile.

    Raises DifferenceError for the first that does not, and ArchiveError, ChainError or what a node's failure raises if it cannot be told.
    """
    yield _report(posted, archive)
    yield _points(archive)
    yield _tree(posted, archive)
    yield _signatures(posted)
    yield _holders(archive, _passes(posted, archive, deployment, folder))


def verify_from_ledger(archive: Archive, view: View) -> Iterator[str]:
    """What the ledger and the chains, up to the report's cut, come to: the same, from the very beginning. Raises likewise."""
    statement = archive.statement
    basis = Basis(statement.epoch, statement.epoch, statement.cut, statement.holders, statement.recharges)
    if view.ledger.size() < statement.cut.number:
        raise ChainError(f"the ledger has {view.ledger.size()} entries, and the report counts {statement.cut.number}: mirror it first")
    try:
        contents = compute(view, basis).contents
    except (BasisError, LedgerError) as error:
        raise DifferenceError(str(error)) from None
    if contents is None:
        raise DifferenceError("standings: there is nobody to score here")
    for name in ("inputs", "standings"):
        _same(name, first_difference(archive.table(name), getattr(contents, name)))
    yield f"the ledger up to {statement.cut} comes to the same counts and standings, for {len(leaves_of(contents.standings))} passes"
    yield _issued(archive, contents.issued, view)


def prove(posted: Posted, archive: Archive, account: Address) -> list[Proven]:
    """The standings of an account in a report, with their proofs, each checked by a call to the contract. Raises DifferenceError."""
    found = []
    for role in Role:
        row = archive.row("standings", role, account)
        if row is None:
            continue
        standing = standing_of(row)
        proof = archive.proof(standing)
        try:
            said = posted.registry.verify(posted.report.epoch, standing, proof)
        except RevertedError as error:
            if error.error != "UnknownEpoch":
                raise
            found.append(Proven(role, standing, tuple(proof), row["prioritized"], "the registry has forgotten this epoch"))
            continue
        if not said:
            raise DifferenceError(f"{to_checksum(account)}, {role.name.lower()}: the contract does not take the proof of {standing}")
        now = posted.registry.is_prioritized_by_proof(standing, proof) if posted.life() == "active" else False
        told = "the contract says: it is in this report" + (", and is prioritised now" if now else "")
        found.append(Proven(role, standing, tuple(proof), row["prioritized"], told))
    return found


def _report(posted: Posted, archive: Archive) -> str:
    ours, theirs = archive.report, posted.report
    for name in ("epoch", "root", "policy_hash", "archive_hash", "creators", "workers"):
        if getattr(ours, name) != getattr(theirs, name):
            raise DifferenceError(f"{name}: {_text(getattr(theirs, name))} on the chain, {_text(getattr(ours, name))} in the archive")
    if archive.statement.registry != posted.domain:
        raise DifferenceError(f"registry: {archive.statement.registry} in the archive, {posted.domain} here")
    digest = posted.registry.report_digest(theirs)
    if digest != theirs.digest(posted.domain):
        raise DifferenceError(f"digest: 0x{digest.hex()} by the contract, 0x{theirs.digest(posted.domain).hex()} here")
    return f"the archive is the one of the report on the chain: {theirs.creators} creators, {theirs.workers} workers, {posted.life()}"


def _points(archive: Archive) -> str:
    derived = arranged(points_and_ranks(archive.table("inputs"), archive.policy), STANDINGS)
    _same("standings", first_difference(archive.table("standings"), derived))
    return f"points and ranks follow from the counts by the policy 0x{archive.policy.hash().hex()[:16]}…"


def _tree(posted: Posted, archive: Archive) -> str:
    try:
        root = archive.check().tree().root
    except ArchiveError as error:
        raise DifferenceError(str(error)) from None
    if root != posted.report.root:
        raise DifferenceError(f"root: 0x{posted.report.root.hex()} on the chain, 0x{root.hex()} of these standings")
    return f"tree and root follow from the standings: 0x{root.hex()}"


def _signatures(posted: Posted) -> str:
    """Checked as the contract did, which has not taken the report without them."""
    registry, transaction = posted.registry, posted.event.transaction
    chain = registry.chain
    sent = chain.web3.eth.get_transaction(transaction)  # type: ignore[arg-type]
    data = bytes(sent["input"])
    if str(sent.get("to", "")).lower() != registry.address or data[:4] != registry.interface().selector("submit"):
        return "signatures: carried by way of another contract, which took them to the registry, which checked them"
    signature = registry.interface().arguments("submit", data)[1]
    block = chain.block(posted.event.block)
    try:
        attestor = registry.at(block).attestor()
        quorum = Quorum.behind(chain, attestor, block)
    except Web3RPCError as error:
        return f"signatures: the node has no state of block {block.number} ({failure(error)}); the registry checked them then"
    digest = posted.report.digest(posted.domain)
    if not quorum.is_committee:
        if not quorum.is_signed(next(iter(quorum.signers)), digest, signature):
            raise DifferenceError(f"signature: is not {to_checksum(attestor)}'s")
        return f"signed by {to_checksum(attestor)}"
    try:
        members = split_signatures(signature)
    except MessageError as error:
        raise DifferenceError(str(error)) from None
    for signer, one in members.items():
        if not quorum.is_signed(signer, digest, one):
            raise DifferenceError(f"signature: of 0x{signer.hex()} is no member's of the committee, or not of this report")
    if len(members) < quorum.threshold:
        raise DifferenceError(f"signatures: {len(members)}, and {quorum.threshold} are needed")
    return f"signed by {len(members)} of {len(quorum.signers)} attestors ({quorum.threshold} needed): " + ", ".join(
        f"0x{signer.hex()}" for signer in members
    )


def _passes(posted: Posted, archive: Archive, deployment: Deployment, folder: Path) -> Passes:
    vip_pass, cited = posted.contracts.vip_pass, archive.statement.holders
    block = vip_pass.chain.block(cited.number)
    if block.hash != cited.hash:
        raise DifferenceError(f"holders: block {cited.number} is 0x{block.hash.hex()} here, 0x{cited.hash.hex()} in the archive")
    return passes_at(vip_pass, block, deployment.first_block, folder / "passes.parquet", is_final=False)


def _holders(archive: Archive, passes: Passes) -> str:
    """Whoever is scored held a pass. Who is not, for having moved, can be told from the ledger only."""
    keys = ["account", "role", "issued_at"]
    holders = passes.holders()
    scored = archive.table("inputs").select(keys)
    strange = scored.cast(holders.schema).join(holders, keys, join_type="left anti")
    if strange.num_rows:
        raise DifferenceError(f"holders: {strange.to_pylist()[0]} is scored, and the chain knows of no such pass at {_at(passes.block)}")
    left_out = holders.join(scored.cast(holders.schema), keys, join_type="left anti")
    never = pa.array(archive.policy.not_members, pa.string())
    others = left_out.filter(pc.invert(pc.is_in(left_out["account"], never))).num_rows
    words = f"all {scored.num_rows} scored passes were held at {_at(passes.block)}"
    return words + (f"; {others} more were, and are not scored: moved accounts, if the ledger says so" if others else "")


def _issued(archive: Archive, ours: pa.Table, view: View) -> str:
    """Whoever is issued a pass has earned one: in this epoch, or in one before that nobody had tested."""
    theirs, epoch = archive.table("issued"), archive.statement.epoch
    _same("issued", _missing(ours, theirs, "has earned a pass, and is not issued one"))
    left = theirs.join(ours, ISSUED.names, join_type="left anti")
    for missed in range(epoch - 1, view.first_epoch - 1, -1):
        if not left.num_rows:
            break
        earned = eligible_members(view.rollups, view.policies.at(missed), missed, None).select(ISSUED.names).cast(ISSUED)
        left = left.join(earned, ISSUED.names, join_type="left anti")
    if left.num_rows:
        raise DifferenceError(f"issued: {left.to_pylist()[0]} has met the conditions at no epoch's end")
    return f"all {theirs.num_rows} passes that are issued with it were earned"


def _missing(ours: pa.Table, theirs: pa.Table, what: str) -> str | None:
    rows = ours.join(theirs, ISSUED.names, join_type="left anti")
    return f"{rows.to_pylist()[0]} {what}" if rows.num_rows else None


def _same(name: str, difference: str | None) -> None:
    if difference:
        raise DifferenceError(f"{name}: {difference}")


def _at(block: Block) -> str:
    return f"block {block.number}"


def _text(value: object) -> str:
    return f"0x{value.hex()}" if isinstance(value, bytes) else str(value)
