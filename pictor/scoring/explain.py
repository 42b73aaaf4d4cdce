"""How one member's score came to be: the counts behind each criterion, the rank, the line above which members are prioritised, and what is
still missing for a pass."""

from dataclasses import dataclass
from itertools import pairwise

import pyarrow as pa
import pyarrow.compute as pc
from ibis import _

from pictor.activity.moves import Group
from pictor.activity.rollups import Cut, Rollups
from pictor.policy import Policy
from pictor.scoring.activity import read
from pictor.scoring.engine import engine
from pictor.scoring.points import CRITERIA
from pictor.scoring.standings import TOTALS, EpochScores, counts_of, score_epoch
from pictor.units import MINUTE, Address, Role, epoch_end, prioritized_count


@dataclass(frozen=True)
class Standing:
    """A holder's score. `points`: micro-points by criterion; `counts`: what they come from (`EpochScores.totals`).

    `distance`: micro-points above the first that is not prioritised, or, below zero, under the last that is; None where there is none.
    """

    role: Role
    points: dict[str, int]
    counts: dict[str, int]
    score: int
    rank: int
    members: int
    prioritized: bool
    line: int  # the last rank that is prioritised
    distance: int | None


@dataclass(frozen=True)
class Progress:
    """How far an account is towards a pass. Money in micro-USDT, time in minutes; `of` is what is needed (of a gap: allowed)."""

    role: Role
    eligible: bool
    have: dict[str, int]
    of: dict[str, int]


@dataclass(frozen=True)
class Explanation:
    """All there is to say about an account in an epoch. `moved_to`: another account, which all its activity counts for; `moved_from`: those
    whose activity counts for it. `never`: it is on the policy's list of accounts that never become members."""

    account: Address
    epoch: int
    end: int
    standings: tuple[Standing, ...]
    progress: tuple[Progress, ...]
    moved_to: Address | None
    moved_from: tuple[Address, ...]
    never: bool


def explain(
    account: Address, rollups: Rollups, policy: Policy, epoch: int, holders: pa.Table, cut: Cut | None = None, engine_name: str = "duckdb"
) -> Explanation:
    """`account` in `epoch`. Raises what `score_epoch` raises."""
    cut = cut or rollups.cut
    scores = score_epoch(rollups, policy, epoch, holders, cut, engine_name)
    end = epoch_end(epoch, policy.epoch_length)
    with rollups.reading(), engine(engine_name) as run:
        counts = counts_of(rollups, policy, end, cut)
        activity = read(counts, policy, end, run)
        mine = activity.accounts.filter(_.account == account).select("id")
        sums = run.result(activity.lifetime.semi_join(mine, activity.lifetime.account == mine.id)).to_pylist()
        online = rollups.online_minutes(account, end - policy.worker.window, end, cut)
    eligible = {row["role"] for row in scores.eligible.filter(pc.equal(scores.eligible["account"], account)).to_pylist()}
    progress = (
        Progress(
            Role.CREATOR,
            Role.CREATOR in eligible,
            {"recharged": sums[0]["recharged"] if sums else 0, "spent": sums[0]["spent"] if sums else 0},
            {"recharged": policy.creator.min_recharge, "spent": policy.creator.min_spend},
        ),
        Progress(
            Role.WORKER,
            Role.WORKER in eligible,
            {"online": len(online), "longest_gap": longest_gap(online, end - policy.worker.window, end)},
            {"online": policy.worker.min_uptime, "longest_gap": policy.worker.max_offline // MINUTE},
        ),
    )
    moved_to, moved_from = _moves(account, counts.moves)
    never = account in policy.not_members
    return Explanation(account, epoch, end, _standings(account, scores, policy), progress, moved_to, moved_from, never)


def explain_archive(account: Address, epoch: int, end: int, totals: pa.Table, standings: pa.Table, policy: Policy) -> Explanation:
    """The same from an epoch's archive, which has the holders' counts and nothing of anybody's progress."""
    scores = EpochScores(epoch, end, Cut(0), totals.select(["role", "account"]).slice(0, 0), standings, totals)
    return Explanation(account, epoch, end, _standings(account, scores, policy), (), None, (), account in policy.not_members)


def longest_gap(online: list[int], start: int, end: int) -> int:
    """Minutes of the longest offline run in the window `[start, end)`, its edges included, given the minutes online, in order."""
    edges = [start // MINUTE - 1, *online, end // MINUTE]
    return max(after - before - 1 for before, after in pairwise(edges))


def _moves(account: Address, moves: tuple[Group, ...]) -> tuple[Address | None, tuple[Address, ...]]:
    moved_to = next((group.root for group in moves if account in group.moved), None)
    return moved_to, next((group.moved for group in moves if group.root == account), ())


def _standings(account: Address, scores: EpochScores, policy: Policy) -> tuple[Standing, ...]:
    found = []
    totals = {row["role"]: row for row in scores.totals.filter(pc.equal(scores.totals["account"], account)).to_pylist()}
    for row in scores.standings.filter(pc.equal(scores.standings["account"], account)).to_pylist():
        peers = scores.standings.filter(pc.equal(scores.standings["role"], row["role"]))
        line = prioritized_count(peers.num_rows, policy.priority_share)
        other = line + 1 if row["prioritized"] else line
        score = pc.max(peers.filter(pc.equal(peers["rank"], other))["score"]).as_py()
        found.append(
            Standing(
                Role(row["role"]),
                {name: row[name] for name in CRITERIA},
                {name: totals[row["role"]][name] for name in TOTALS},
                row["score"],
                row["rank"],
                peers.num_rows,
                row["prioritized"],
                line,
                None if score is None else row["score"] - score,
            )
        )
    return tuple(found)
