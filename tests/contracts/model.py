"""What the contracts promise, in plain Python: no bits, no ring, no links, nothing clever. Tests hold the two together.

An action changes the model or raises the revert that the contract must answer with. Readers never fail, but where they say so.
`now` is Unix time; a sender, account or attestor is a checksummed address.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tests.contracts.support import (
    BURNED,
    CREATOR,
    DAY,
    HELD,
    NONE,
    WORKER,
    ZERO,
    Issuance,
    Refusal,
    Report,
    Standing,
    hash_pair,
    leaf_of,
    pass_id,
    refusal,
)

ROLES = (CREATOR, WORKER)
REMEMBERED = 64


class Refused(Exception):
    """A revert."""

    def __init__(self, error: str, *args: Any) -> None:
        super().__init__(error, *args)
        self.refusal: Refusal = refusal(error, *args)


def require(holds: bool, error: str, *args: Any) -> None:
    if not holds:
        raise Refused(error, *args)


def outcome(action: Callable[..., Any], *args: Any) -> Any:
    """What `action` returns, or the revert that it raises."""
    try:
        return action(*args)
    except Refused as refused:
        return refused.refusal


def is_valid(passId: int) -> bool:
    return passId >> 160 in ROLES and passId % 2**160 != 0


def holder_of(passId: int) -> str:
    """The one wallet that can ever hold it, in lower case."""
    return f"0x{passId % 2**160:040x}"


@dataclass(frozen=True)
class Powers:
    governor: str
    guardian: str


@dataclass
class Switch:
    """Pausing: the guardian stops, the governor lets go on."""

    powers: Powers
    paused: bool = False

    def pause(self, sender: str) -> None:
        self.only(self.powers.guardian, sender)
        require(not self.paused, "EnforcedPause")
        self.paused = True

    def unpause(self, sender: str) -> None:
        self.only(self.powers.governor, sender)
        require(self.paused, "ExpectedPause")
        self.paused = False

    def require_running(self) -> None:
        require(not self.paused, "EnforcedPause")

    @staticmethod
    def only(power: str, sender: str) -> None:
        require(sender == power, "AccessManagedUnauthorized", sender)


# -------------------------------------------------------------------------------------------------------------- passes


@dataclass(frozen=True)
class Pass:
    state: int = NONE
    revoked: bool = False
    issued_at: int = 0

    @property
    def is_held(self) -> bool:
        return self.state == HELD and not self.revoked


@dataclass
class PassModel(Switch):
    """VIPPass."""

    attestor: str = ZERO
    limit: int = 0
    passes: defaultdict[int, Pass] = field(default_factory=lambda: defaultdict(Pass))
    issued_on: Counter[int] = field(default_factory=Counter)  # by UTC day
    refreshed_at: int = 0  # the revision of the art that was last announced

    def issue(self, now: int, sender: str, issuance: Issuance, digest: bytes, signer: str | None) -> None:
        """`signer` is whose valid signature comes with it, None for nobody's."""
        self.require_running()
        role, accounts, deadline = issuance
        require(role in ROLES, "InvalidRole", role)
        require(len(accounts) > 0, "NoAccounts")
        require(now <= deadline, "IssuanceExpired", deadline)
        require(signer == self.attestor, "InvalidSignature", self.attestor, digest)
        for previous, account in zip((ZERO, *accounts), accounts, strict=False):
            require(int(previous, 16) < int(account, 16), "AccountsNotAscending", previous, account)
        issued = [pass_id(account, role) for account in accounts if self._gets_one(account, role, sender)]
        require(len(issued) <= self.issues_left(now), "IssueLimit", self.issues_left(now))
        self.issued_on[now // DAY] += len(issued)
        for passId in issued:
            self.passes[passId] = Pass(HELD, False, now)

    def burn(self, sender: str, passId: int) -> None:
        require(is_valid(passId), "InvalidPass", passId)
        require(sender.lower() == holder_of(passId) and self.passes[passId].is_held, "NotHolder", sender, passId)
        self.passes[passId] = replace(self.passes[passId], state=BURNED)

    def revoke(self, sender: str, passId: int, reason: str) -> None:
        self.only(self.powers.guardian, sender)
        require(is_valid(passId), "InvalidPass", passId)
        require(reason != "", "NoReason")
        require(not self.passes[passId].revoked, "AlreadyRevoked", passId)
        self.passes[passId] = replace(self.passes[passId], revoked=True)

    def reinstate(self, sender: str, passId: int) -> None:
        self.only(self.powers.guardian, sender)
        require(is_valid(passId), "InvalidPass", passId)
        require(self.passes[passId].revoked, "NotRevoked", passId)
        self.passes[passId] = replace(self.passes[passId], revoked=False)

    def refresh(self, revision: int) -> None:
        require(revision != self.refreshed_at, "NothingToRefresh", revision)
        self.refreshed_at = revision

    def set_attestor(self, sender: str, attestor: str) -> None:
        self.only(self.powers.governor, sender)
        require(attestor != ZERO, "InvalidAttestor", attestor)
        self.attestor = attestor

    def set_issue_limit(self, sender: str, limit: int) -> None:
        self.only(self.powers.governor, sender)
        self.limit = limit

    # ------------------------------------------------------------------------------------------------------ readers

    def is_vip(self, account: str, role: int) -> bool:
        return self.passes[pass_id(account, role)].is_held

    def holders(self, role: int) -> set[int]:
        return {passId for passId, it in self.passes.items() if passId >> 160 == role and it.is_held}

    def ever_issued(self, role: int) -> int:
        return sum(passId >> 160 == role and it.state != NONE for passId, it in self.passes.items())

    def issues_left(self, now: int) -> int:
        return max(0, self.limit - self.issued_on[now // DAY])

    def _gets_one(self, account: str, role: int, sender: str) -> bool:
        it = self.passes[pass_id(account, role)]
        return not it.revoked and (it.state == NONE or (it.state == BURNED and account == sender))


# ------------------------------------------------------------------------------------------------------------- reports


@dataclass
class Posted:
    report: Report
    submitted_at: int
    is_void: bool = False

    @property
    def epoch(self) -> int:
        return self.report.epoch

    @property
    def members(self) -> int:
        """As the report claims."""
        return self.report.creators + self.report.workers

    def members_of(self, role: int) -> int:
        return self.report.creators if role == CREATOR else self.report.workers

    def proves(self, standing: Standing, proof: Sequence[bytes]) -> bool:
        require(len(proof) > 0 or self.members == 1, "EmptyProof", self.epoch, self.members)
        node = leaf_of(standing)
        for sibling in proof:
            node = hash_pair(node, sibling)
        return node == self.report.root

    def proves_all(self, standings: Sequence[Standing], proof: Sequence[bytes], flags: Sequence[bool]) -> bool:
        require(len(proof) > 0 or len(standings) == self.members, "EmptyProof", self.epoch, self.members)
        require(len(standings) + len(proof) == len(flags) + 1, "MerkleProofInvalidMultiproof")
        require(list(flags).count(False) == len(proof), "MerkleProofInvalidMultiproof")
        queue, siblings = [leaf_of(standing) for standing in standings], list(proof)
        for is_known in flags:
            node = queue.pop(0)
            queue.append(hash_pair(node, queue.pop(0) if is_known else siblings.pop(0)))
        return queue == [self.report.root]


@dataclass
class RegistryModel(Switch):
    """ScoreRegistry."""

    passes: PassModel = field(kw_only=True)
    epoch_length: int = field(kw_only=True)
    activation_delay: int = field(kw_only=True)
    priority_share_bps: int = field(kw_only=True)
    attestor: str = ZERO
    reports: list[Posted] = field(default_factory=list)  # all there ever were, oldest first
    stored: defaultdict[int, dict[int, Standing]] = field(default_factory=lambda: defaultdict(dict))  # by pass, then by epoch

    def submit(self, now: int, report: Report, digest: bytes, signer: str | None) -> None:
        self.require_running()
        require(self.pending(now) is None, "ReportPending", self.last_epoch)
        require(report.epoch > self.last_epoch, "EpochNotAfterLast", report.epoch, self.last_epoch)
        end = report.epoch * self.epoch_length
        require(end <= now, "EpochInFuture", report.epoch, end)
        require(any(report.root), "ZeroRoot")
        require(report.creators + report.workers > 0, "NoMembers")
        require(signer == self.attestor, "InvalidSignature", self.attestor, digest)
        self.reports.append(Posted(report, now))

    def veto(self, sender: str, epoch: int, reason: str) -> None:
        self.only(self.powers.guardian, sender)
        require(reason != "", "NoReason")
        self._void(self.report_of(epoch))

    def challenge(self, epoch: int, a: Standing, proof_a: Sequence[bytes], b: Standing, proof_b: Sequence[bytes]) -> str:
        """The reason why the report is void from now on."""
        posted = self.report_of(epoch)
        reason = self.verdict(posted, a, proof_a, b, proof_b)
        self._void(posted)
        return reason

    def verdict(self, posted: Posted, a: Standing, proof_a: Sequence[bytes], b: Standing, proof_b: Sequence[bytes]) -> str:
        """Why the two cannot be true, without consequences; raises if they can, or are not in the report."""
        require(posted.proves(a, proof_a), "InvalidProof", posted.epoch, a.passId)
        require(posted.proves(b, proof_b), "InvalidProof", posted.epoch, b.passId)
        reason = self.falsehood(posted, a) if a == b else contradiction(a, b)
        require(reason != "", "NoContradiction", posted.epoch)
        return reason

    def sync(self, now: int, epoch: int, standings: Sequence[Standing], proof: Sequence[bytes], flags: Sequence[bool]) -> None:
        self.require_running()
        require(len(standings) > 0, "NoStandings")
        current = {posted.epoch: posted for posted in (self.active(now), self.pending(now)) if posted}
        require(epoch in current, "NotCurrent", epoch)
        require(len(proof) > 0 or len(standings) == current[epoch].members, "EmptyProof", epoch, current[epoch].members)
        for standing in standings:
            require(is_valid(standing.passId), "InvalidPass", standing.passId)
        require(current[epoch].proves_all(standings, proof, flags), "InvalidProof", epoch, 0)
        for standing in standings:
            self._store(epoch, standing, set(current))

    def set_attestor(self, sender: str, attestor: str) -> None:
        self.only(self.powers.governor, sender)
        require(attestor != ZERO, "InvalidAttestor", attestor)
        self.attestor = attestor

    # ------------------------------------------------------------------------------------------------------ readers

    @property
    def last_epoch(self) -> int:
        return self.reports[-1].epoch if self.reports else 0

    @property
    def remembered(self) -> list[Posted]:
        return self.reports[-REMEMBERED:]

    def report_of(self, epoch: int) -> Posted:
        """Raises UnknownEpoch for one that is forgotten, or never was."""
        found = [posted for posted in self.remembered if posted.epoch == epoch]
        require(found != [], "UnknownEpoch", epoch)
        return found[0]

    def told(self, posted: Posted | None) -> tuple[Any, ...]:
        """A report as the readers give it: zeros for none."""
        if posted is None:
            return (0, bytes(32), 0, 0, 0, 0, False)
        report, at = posted.report, posted.submitted_at
        return (report.epoch, report.root, report.creators, report.workers, at, at + self.activation_delay, posted.is_void)

    def is_void(self, epoch: int) -> bool:
        return any(posted.is_void for posted in self.reports if posted.epoch == epoch)

    def pending(self, now: int) -> Posted | None:
        believable = [it for it in self.reports if not it.is_void and now < it.submitted_at + self.activation_delay]
        return believable[-1] if believable else None

    def active(self, now: int) -> Posted | None:
        believable = [it for it in self.remembered if not it.is_void and now >= it.submitted_at + self.activation_delay]
        return believable[-1] if believable else None

    def score_of(self, now: int, account: str, role: int) -> int:
        standing = self._current(now, account, role)
        return standing.score if standing else 0

    def is_prioritized(self, now: int, account: str, role: int) -> bool:
        return self._is_best(now, self._current(now, account, role))

    def is_prioritized_by_proof(self, now: int, standing: Standing, proof: Sequence[bytes]) -> bool:
        """Raises for a pass id that is none, and for no proof where there must be one."""
        require(is_valid(standing.passId), "InvalidPass", standing.passId)
        active = self.active(now)
        is_proven = active is not None and active.proves(standing, proof)
        return is_proven and self._is_best(now, standing) and self.passes.passes[standing.passId].is_held

    def standing_of(self, now: int, account: str, role: int) -> tuple[int, int, int]:
        """Epoch, score and rank of the newest stored standing that was activated and is not void; zeros if there is none."""
        pending = self.pending(now)
        unbelievable = {posted.epoch for posted in self.reports if posted.is_void or posted is pending}
        stored = self.stored[pass_id(account, role)]
        epochs = stored.keys() - unbelievable if self.passes.is_vip(account, role) else set()
        return (max(epochs), stored[max(epochs)].score, stored[max(epochs)].rank) if epochs else (0, 0, 0)

    def falsehood(self, posted: Posted, standing: Standing) -> str:
        """Why `standing` cannot be true by itself; empty if it can."""
        role, members = standing.passId >> 160, posted.members_of(standing.passId >> 160)
        if not is_valid(standing.passId):
            return "no such pass"
        if standing.rank == 0:
            return "rank 0"
        if standing.rank > members:
            return "rank above the number of members"
        if members > self.passes.ever_issued(role):
            return "more members than passes ever issued"
        if self.passes.passes[standing.passId].state == NONE:
            return "pass never issued"
        return ""

    # ----------------------------------------------------------------------------------------------------- internal

    def _current(self, now: int, account: str, role: int) -> Standing | None:
        """The stored standing of the active report, while the pass is held."""
        active = self.active(now)
        return self.stored[pass_id(account, role)].get(active.epoch) if active and self.passes.is_vip(account, role) else None

    def _is_best(self, now: int, standing: Standing | None) -> bool:
        active = self.active(now)
        if active is None or standing is None:
            return False
        best = -(-active.members_of(standing.passId >> 160) * self.priority_share_bps // 10_000)
        return 1 <= standing.rank <= best

    def _store(self, epoch: int, standing: Standing, current: Iterable[int]) -> None:
        """Two are kept for each pass: what is current is not given up for what is not, nor the newer for the older."""
        kept = self.stored[standing.passId]
        if epoch not in kept and len(kept) == 2:
            del kept[min(kept, key=lambda it: (it in current, it))]
        kept[epoch] = standing

    @staticmethod
    def _void(posted: Posted) -> None:
        require(not posted.is_void, "AlreadyVoid", posted.epoch)
        posted.is_void = True


def contradiction(a: Standing, b: Standing) -> str:
    """Why two different standings of one report cannot both be true; empty if they can."""
    if a.passId >> 160 != b.passId >> 160:
        return ""
    if a.passId == b.passId:
        return "one pass, two standings"
    if a.rank == b.rank:
        return "one rank, two passes"
    better, worse = sorted((a, b), key=lambda it: it.rank)
    return "better rank, lower score" if better.score < worse.score else ""
