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


def workers(uptime: ir.Table, end: int, rules: WorkerRules) -> ir.Table:
    """`account` of those with enough online minutes in the window (an average, not a daily floor), and no offline run that is too long."""
    start_minute, end_minute = (end - rules.window) // MINUTE, end // MINUTE
    too_long = rules.max_offline // MINUTE
    online = _per_worker(uptime, start_minute)
    enough = online.filter(
        _.minutes >= rules.min_uptime,
        _.first_minute - start_minute <= too_long,  # the run before the first heartbeat
        end_minute - 1 - _.last_minute <= too_long,  # and the one after the last
    )
    suspects = enough.filter(_misses_days_in_a_row(enough.days, start_minute, end_minute, too_long))
    runs = _offline_runs(uptime.semi_join(suspects, "account"))
    return enough.anti_join(runs.filter(_.minutes > too_long), "account").select("account")


def _minute(day: ir.IntegerValue, minute: ir.IntegerValue) -> ir.IntegerValue:
    """A minute of a day, since the Unix epoch."""
    return day.cast("int64") * DAY_MINUTES + minute


def _per_worker(uptime: ir.Table, start_minute: int) -> ir.Table:
    """One row a worker: the minutes online, the first and the last of them, and the days online, one bit each (bit 0: the first day)."""
    age = (uptime.day - start_minute // DAY_MINUTES).cast("int64")
    return uptime.group_by("account").agg(
        minutes=total(uptime.minutes),
        first_minute=_minute(uptime.day, uptime["first"]).min(),
        last_minute=_minute(uptime.day, uptime["last"]).max(),
        days=total(uptime.online_days.cast("int64") << (age <= _MOST_BITS).ifelse(age, 0)),
    )


def _misses_days_in_a_row(days: ir.IntegerColumn, start_minute: int, end_minute: int, too_long: int) -> ir.BooleanValue:
    """Whether a run that is too long is possible at all: it spans a number of whole days in a row. Few workers miss so many, and only
    their runs need a closer look."""
    whole_days = (too_long + 1 - (DAY_MINUTES - 1)) // DAY_MINUTES
    bits = -(-end_minute // DAY_MINUTES) - start_minute // DAY_MINUTES
    if whole_days < 1 or bits > _MOST_BITS:
        return ibis.literal(True)
    missed = ibis.literal((1 << bits) - 1, "int64") - days
    in_a_row = missed
    for later in range(1, whole_days):
        in_a_row = in_a_row & (missed >> later)
    return in_a_row != 0


def _offline_runs(uptime: ir.Table) -> ir.Table:
    """`account, minutes` of the offline run before each day online but the first: from its last minute online before that day."""
    days = uptime.group_by("account", "day").agg(first=uptime["first"].min(), last=uptime["last"].max())
    days = days.select(
        "account", begin=_minute(days.day, days["first"]), stop=_minute(days.day, days["last"])
    )
    before = days.stop.lag().over(group_by=days.account, order_by=days.begin)
    return days.select("account", minutes=(days.begin - before - 1).coalesce(0))
