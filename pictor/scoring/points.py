"""Points by criterion, score, rank, priority: from an epoch's totals to its standings."""

import ibis
import ibis.expr.types as ir

from pictor.policy import GpuRules, Policy
from pictor.scoring.exact import floor_div, not_below_zero, one_if
from pictor.units import BPS, DAY, HOUR, MICRO, MINUTE, Role

CRITERIA = ("spending", "completed_jobs", "average_uptime", "job_completion", "gpu_performance", "pass")
STANDINGS = ("account", "role", *CRITERIA, "score", "rank", "prioritized")


def points(totals: ir.Table, policy: Policy) -> ir.Table:
    """`totals` with each criterion's micro-points and the score. The counts of the other role are 0, and so are its points.

    Each criterion divides once, at the last step, and rounds down.
    """
    creator, worker = policy.creator, policy.worker
    days = worker.window // DAY
    held = totals.select(
        totals,
        spending=not_below_zero(totals.recharged) * creator.spending_points,
        completed_jobs=totals.frames * creator.completed_points * MICRO,
        average_uptime=floor_div(totals.online_minutes * MICRO * worker.uptime_points, days * HOUR // MINUTE),
        job_completion=(totals.completed * worker.completed_points - totals.failed * worker.failed_penalty) * MICRO,
        gpu_performance=floor_div(totals.gpu_minutes * worker.gpu_points, 100 * HOUR // MINUTE),
        **{
            "pass": one_if(totals.role == int(Role.CREATOR)) * creator.pass_points * MICRO
            + one_if(totals.role == int(Role.WORKER)) * worker.pass_points * MICRO
        },
    )
    sum_of_points = held.spending + held.completed_jobs + held.average_uptime + held.job_completion + held.gpu_performance + held["pass"]
    return held.select(held, score=not_below_zero(sum_of_points))


def ranked(scored: ir.Table, share: int) -> ir.Table:
    """Standings: per role by score descending, then earliest issue, then address; the first `share` basis points, rounded up, are
    prioritised."""
    order = [scored.score.desc(), scored.issued_at.asc(), scored.account.asc()]
    above = ibis.row_number().over(group_by=scored.role, order_by=order).cast("int32")  # what an engine makes of it, made plain
    placed = scored.select(scored, above=above, members=scored.count().over(group_by=scored.role))
    return placed.select(
        placed,
        rank=(placed.above + 1).cast("int32"),
        prioritized=placed.above.cast("int64") * BPS < placed.members * share,  # rank ≤ ⌈members × share⌉
    )


def gpu_factor(gpus: ir.Table, rules: GpuRules) -> ir.IntegerColumn:
    """Millionths of the reference GPU; each term rounds down. No GPU on record (hashpower and VRAM 0): 0."""
    hashpower = floor_div(gpus.hashpower.cast("int64") * rules.hashpower_weight, rules.reference_hashpower)
    vram = floor_div(gpus.vram_mib.cast("int64") * rules.vram_weight, rules.reference_vram_mib)
    return hashpower + vram
