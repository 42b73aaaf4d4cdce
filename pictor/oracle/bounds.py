"""Sanity bounds: what no report goes out with until an operator has looked. Oracle and attestors apply the same ones."""

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from pictor.policy import OracleRules
from pictor.units import BPS, Role


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


def sizes(standings: pa.Table) -> dict[Role, Sizes]:
    """The sizes of each role in standings (`role`, `score`)."""
    found = {}
    for role in Role:
        scores = standings.filter(pc.equal(standings["role"], int(role)))["score"]
        # Python's integers: a sum of int64 may pass int64.
        values = scores.to_pylist()
        found[role] = Sizes(len(values), sum(values), max(values, default=0))
    return found


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


def _jumps(before: int, now: int, most: int) -> bool:
    return abs(now - before) * BPS > most * before
