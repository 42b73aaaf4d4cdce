"""One epoch: from the rollups to who is eligible, what each holder did, and the standings."""

from dataclasses import dataclass
from functools import reduce

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.compute as pc
from ibis import _

from pictor.activity.rollups import Counts, Cut, Rollups
from pictor.policy import Policy
from pictor.scoring import eligibility
from pictor.scoring.activity import Activity, one_of, read
from pictor.scoring.engine import Engine, engine
from pictor.scoring.exact import one_if, total
from pictor.scoring.points import STANDINGS, gpu_factor, points, ranked
from pictor.units import Role, epoch_end, month_start

HOLDERS = pa.schema([("account", pa.string()), ("role", pa.int8()), ("issued_at", pa.int64())])
ROLE_TOTALS = {Role.CREATOR: ("recharged", "frames"), Role.WORKER: ("online_minutes", "completed", "failed", "gpu_minutes")}
TOTALS = (*ROLE_TOTALS[Role.CREATOR], *ROLE_TOTALS[Role.WORKER], "self_dealt")


class HoldersError(ValueError):
    """The holders cannot be scored. The message names the row."""


@dataclass(frozen=True)
class EpochScores:
    """What an epoch comes to. Accounts are `0x` and 40 lower-case hex digits; roles 1 creator, 2 worker; points are micro-points.

    eligible   role, account                      all who meet the conditions at `end`, holders or not; by role and account
    standings  `STANDINGS`                        the scored holders; creators first, by rank
    totals     account, role, issued_at, `TOTALS`   what the points of each scored holder come from, 0 where not of the role; by role and
               account. recharged: micro-USDT counted for spending (can be negative); frames: completed, as creator; online_minutes: in
               the window; completed, failed: as worker; gpu_minutes: lifetime minutes × factor; self_dealt: frames that count for neither
    """

    epoch: int
    end: int
    cut: Cut
    eligible: pa.Table
    standings: pa.Table
    totals: pa.Table


def score_epoch(
    rollups: Rollups, policy: Policy, epoch: int, holders: pa.Table, cut: Cut | None = None, engine_name: str = "duckdb"
) -> EpochScores:
    """Eligibility and standings of `epoch` at `cut` (default: all that is rolled up).

    `holders`: `account`, `role`, `issued_at`, one row for each pass; rows issued at or after the epoch's end are no holders yet.
    Raises RollupsError, HoldersError, EngineError.
    """
    end = epoch_end(epoch, policy.epoch_length)
    cut = cut or rollups.cut
    with rollups.reading(), engine(engine_name) as run:
        counts = counts_of(rollups, policy, end, cut)
        activity = read(counts, policy, end, run)
        eligible = run.result(_eligible(activity, policy, end, run))
        totals = _check_once(run.result(_totals(activity, policy, scored(holders, policy, end, counts), run)))
        standings = run.result(_standings(run.rows(totals), policy))
    return EpochScores(epoch, end, cut, eligible, standings, totals)


def eligible_members(rollups: Rollups, policy: Policy, epoch: int, cut: Cut | None = None, engine_name: str = "duckdb") -> pa.Table:
    """`role, account` of all who meet the conditions at the end of `epoch`, holders or not: of a missed epoch, at its own end."""
    end = epoch_end(epoch, policy.epoch_length)
    with rollups.reading(), engine(engine_name) as run:
        counts = counts_of(rollups, policy, end, cut or rollups.cut)
        return run.result(_eligible(read(counts, policy, end, run), policy, end, run))


def points_and_ranks(totals: pa.Table, policy: Policy, engine_name: str = "duckdb") -> pa.Table:
    """The standings that `totals` (as `EpochScores` has them) come to: all that is needed to check them from an epoch's archive."""
    with engine(engine_name) as run:
        return run.result(_standings(run.rows(totals), policy))


def counts_of(rollups: Rollups, policy: Policy, end: int, cut: Cut) -> Counts:
    """What the rollups have for an epoch that ends at `end`."""
    return rollups.counts(end, policy.worker.window, month_start(end), cut)


def scored(holders: pa.Table, policy: Policy, end: int, counts: Counts) -> pa.Table:
    """The holders at `end`, less moved accounts and those that never become members. Raises HoldersError."""
    holders = holders.select(HOLDERS.names).cast(HOLDERS)
    no_role = holders.filter(pc.invert(pc.is_in(holders["role"], pa.array([int(role) for role in Role], pa.int8()))))
    if no_role.num_rows:
        raise HoldersError(f"holder {no_role['account'][0]}: {no_role['role'][0]} is no role")
    left_out = {*policy.not_members, *(account for group in counts.moves for account in group.moved)}
    counted = pc.less(holders["issued_at"], end)
    if left_out:
        counted = pc.and_not(counted, pc.is_in(holders["account"], pa.array(sorted(left_out), pa.string())))
    return holders.filter(counted)


def _check_once(totals: pa.Table) -> pa.Table:
    """`totals`, which are in order. Raises HoldersError for a pass that is named more than once."""
    these, those = totals.slice(1), totals.slice(0, max(totals.num_rows - 1, 0))
    same = pc.and_(pc.equal(these["account"], those["account"]), pc.equal(these["role"], those["role"]))
    if pc.any(same).as_py():
        twice = these.filter(same)
        raise HoldersError(f"holder {twice['account'][0]}, role {twice['role'][0]}: named more than once")
    return totals


def _eligible(activity: Activity, policy: Policy, end: int, run: Engine) -> ir.Table:
    """Creators, then workers, but for the accounts that never become members. Moved accounts have no activity of their own any more."""
    passed = ibis.union(
        eligibility.creators(activity.lifetime, policy.creator).select(role=ibis.literal(int(Role.CREATOR), "int8"), id=_.account),
        eligibility.workers(activity.online, activity.uptime, end, policy.worker).select(
            role=ibis.literal(int(Role.WORKER), "int8"), id=_.account
        ),
    )
    named = passed.join(activity.accounts, "id").select("role", "account")
    if policy.not_members:
        named = named.anti_join(run.rows(one_of(policy.not_members)), "account")
    return named.order_by("role", "account")


def _totals(activity: Activity, policy: Policy, holders: pa.Table, run: Engine) -> ir.Table:
    """What each scored holder did, of the things that its role is scored for."""
    numbered = run.rows(holders).left_join(activity.accounts, "account").select("account", "role", "issued_at", "id")
    gpus = activity.gpus
    worked = gpus.group_by("account").agg(gpu_minutes=total(gpus.minutes * gpu_factor(gpus, policy.gpu)))
    parts = (
        activity.lifetime.select("account", "frames", "completed", "failed", "self_dealt"),
        activity.spending.select("account", "recharged"),
        activity.online.select("account", online_minutes=_.minutes),
        worked,
    )

    def with_part(table: ir.Table, part: ir.Table) -> ir.Table:
        renamed = part.rename(part_account="account")
        return table.left_join(renamed, table.id == renamed.part_account).drop("part_account")

    joined = reduce(with_part, parts, numbered)
    counted = {name: joined[name].coalesce(0) for name in TOTALS}
    own = {name: one_if(joined.role == int(role)) for role, names in ROLE_TOTALS.items() for name in names}
    return joined.select(
        "account",
        "role",
        "issued_at",
        **{name: counted[name].cast("int64") * own[name] for name in own},
        self_dealt=counted["self_dealt"].cast("int64"),
    ).order_by("role", "account")


def _standings(totals: ir.Table, policy: Policy) -> ir.Table:
    standings = ranked(points(totals, policy), policy.priority_share)
    return standings.select(STANDINGS).order_by("role", "rank")
