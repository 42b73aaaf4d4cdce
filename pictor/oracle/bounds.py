"""Sanity bounds: what no report goes out with until an operator has looked. Oracle and attestors apply the same ones."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pictor.chain.contracts import ScoreRegistry
from pictor.epoch.manifest import ArchiveError
from pictor.epoch.standings import Leaves, leaves_of
from pictor.oracle.compute import Computation
from pictor.oracle.mailbox import Mailbox
from pictor.oracle.past import archive_of, last_report
from pictor.oracle.proposal import Release
from pictor.oracle.view import View
from pictor.policy import OracleRules
from pictor.units import BPS, Role, epoch_end


@dataclass(frozen=True)
class Breach:
    """A bound that a report is outside of: its name, as in the policy, with the role or source; and what was found."""

    bound: str
    found: str

    def __str__(self) -> str:
        return f"{self.bound}: {self.found}"


@dataclass(frozen=True)
class Sizes:
    """Of one role's standings: how many, the total of their scores and the greatest (micro-points)."""

    members: int
    total: int
    greatest: int


def sizes(leaves: Leaves) -> dict[Role, Sizes]:
    """The sizes of each role in a report."""
    parts = {Role.CREATOR: leaves.scores[: leaves.creators], Role.WORKER: leaves.scores[leaves.creators :]}
    # Python's integers: a sum of int64 may pass int64.
    values = {role: part.tolist() for role, part in parts.items()}
    return {role: Sizes(len(scores), sum(scores), max(scores, default=0)) for role, scores in values.items()}


def breaches(
    rules: OracleRules, now: Mapping[Role, Sizes], before: Mapping[Role, Sizes] | None, silence: Mapping[str, int]
) -> list[Breach]:
    """The bounds that a report is outside of.

    `before`: sizes of the last report; None for the first, which cannot jump. `silence`: seconds between what each source that the epoch
    waits for last said to be complete and the epoch's end; not positive where it said enough.
    """
    found = []
    for role in Role:
        sized = now[role]
        name = role.name.lower()
        if sized.members >= rules.min_members_for_bounds and sized.greatest * BPS > rules.max_account_share * sized.total:
            found.append(Breach(f"max_account_share.{name}", f"one account has {sized.greatest} of {sized.total} micro-points"))
        if before is None or before[role].members < rules.min_members_for_bounds:
            continue
        was = before[role]
        if _jumps(was.members, sized.members, rules.max_members_jump):
            found.append(Breach(f"max_members_jump.{name}", f"{was.members} members, now {sized.members}"))
        if _jumps(was.total, sized.total, rules.max_score_jump):
            found.append(Breach(f"max_score_jump.{name}", f"{was.total} micro-points in all, now {sized.total}"))
    for source, seconds in sorted(silence.items()):
        if seconds > rules.max_source_silence:
            found.append(Breach(f"max_source_silence.{source}", f"silent for the last {seconds} s of the epoch"))
    return found


def breaches_of(view: View, computation: Computation, registry: ScoreRegistry, mailbox: Mailbox, archives: str) -> list[Breach]:
    """The bounds that an epoch is outside of, compared with the newest report that is not void."""
    basis = computation.basis
    policy = view.policies.at(basis.epoch)
    end = epoch_end(basis.epoch, policy.epoch_length)
    complete = view.ledger.complete_until(policy.sources, basis.cut.number)
    silence = {source: end - complete.get(source, 0) for source in policy.sources}
    now = sizes(leaves_of(computation.contents.standings)) if computation.contents else dict.fromkeys(Role, Sizes(0, 0, 0))
    before, lost = None, []
    if posted := last_report(registry, basis.epoch):
        try:
            with archive_of(posted, mailbox, archives) as archive:
                before = sizes(archive.check())
        except ArchiveError as error:
            lost = [Breach("last_report", f"there is nothing to compare with: {error}")]
    return lost + breaches(policy.oracle, now, before, silence)


def unreleased(found: Iterable[Breach], releases: Iterable[Release]) -> list[Breach]:
    """Those that no operator has let pass."""
    released = {one.bound for one in releases if one.reason.strip()}
    return [breach for breach in found if breach.bound not in released]


def _jumps(before: int, now: int, most: int) -> bool:
    return abs(now - before) * BPS > most * before
