"""Who earns a pass: the conditions of creators and workers at an epoch's end."""

import ibis
import ibis.expr.types as ir
from ibis import _

from pictor.policy import CreatorRules, WorkerRules
from pictor.scoring.exact import total
from pictor.units import DAY, MINUTE

DAY_MINUTES = DAY // MINUTE
_MOST_BITS = 62  # of days that a whole number can hold


def creators(lifetime: ir.Table, rules: CreatorRules) -> ir.Table:
    """`account` of those with enough lifetime paid recharges and enough lifetime paid spend, both net of refunds."""
    return lifetime.filter(_.recharged >= rules.min_recharge, _.spent >= rules.min_spend).select("account")


def workers(online: ir.Table, uptime: ir.Table, end: int, rules: WorkerRules) -> ir.Table:
    """`account` of those with enough online minutes in the window (an average, not a daily floor), and no offline run that is too long.

    `uptime` are the worker days of the window, and `online` is `per_worker` of them.
    """
    start = end - rules.window
    enough = online.filter(_.minutes >= rules.min_uptime)
    suspects = enough.filter(_misses_days_in_a_row(enough.days, start, end, rules.max_offline // MINUTE))
    runs = _offline_runs(uptime.semi_join(suspects, "account"), start, end)
    return enough.anti_join(runs.filter(_.minutes > rules.max_offline // MINUTE), "account").select("account")


def per_worker(uptime: ir.Table, start: int) -> ir.Table:
    """`account, minutes, days`, one row a worker, in a window that begins at `start`: the minutes online, and the days online, one bit each
    (bit 0: the first day; as far as bits go)."""
    age = (uptime.day - start // DAY).cast("int64")
    bit = uptime.online_days.cast("int64") << (age <= _MOST_BITS).ifelse(age, 0)
    return uptime.group_by("account").agg(minutes=total(uptime.minutes), days=total(bit))


def _misses_days_in_a_row(days: ir.IntegerColumn, start: int, end: int, too_long: int) -> ir.BooleanValue:
    """Whether an offline run of more than `too_long` minutes is possible at all: it spans a number of whole days in a row. Few workers miss
    so many, and only their runs need a closer look."""
    whole_days = (too_long + 1 - (DAY_MINUTES - 1)) // DAY_MINUTES
    bits = -(-end // DAY) - start // DAY
    if whole_days < 1 or bits > _MOST_BITS:
        return ibis.literal(True)
    missed = ibis.literal((1 << bits) - 1, "int64") - days
    in_a_row = missed
    for later in range(1, whole_days):
        in_a_row = in_a_row & (missed >> later)
    return in_a_row != 0


def _offline_runs(uptime: ir.Table, start: int, end: int) -> ir.Table:
    """`account, minutes` of the offline runs between days, and of those from the window's start to the first heartbeat and from the last to
    its end."""
    days = uptime.group_by("account", "day").agg(first=uptime["first"].min(), last=uptime["last"].max())
    days = days.select("account", begin=_minute(days.day, days["first"]), stop=_minute(days.day, days["last"]))
    in_order = ibis.window(group_by=days.account, order_by=days.begin)
    before = days.stop.lag().over(in_order).coalesce(start // MINUTE - 1)
    after = days.begin.lead().over(in_order).coalesce(end // MINUTE)
    return days.select("account", minutes=ibis.greatest(days.begin - before, after - days.stop) - 1)


def _minute(day: ir.IntegerValue, minute: ir.IntegerValue) -> ir.IntegerValue:
    """A minute of a day, since the Unix epoch."""
    return day.cast("int64") * DAY_MINUTES + minute
