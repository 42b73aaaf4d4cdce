"""What counts in an epoch, as relations: the rollups' rows up to the cut, after moved accounts, lifetime or within a window."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce

import ibis
import ibis.expr.types as ir
import pyarrow as pa
from ibis import _

from pictor.activity.counting import SUMS
from pictor.activity.rollups import Counts, Span
from pictor.policy import Policy
from pictor.scoring.eligibility import per_worker
from pictor.scoring.engine import Engine
from pictor.scoring.exact import total

COLUMNS = {  # that are read of each kind of rows
    "account_days": pa.schema({"moved": pa.int32(), "account": pa.int32(), **{name: pa.int64() for name in SUMS}}),
    "gpu_minutes": pa.schema({**{name: pa.int32() for name in ("moved", "account", "hashpower", "vram_mib")}, "minutes": pa.int64()}),
    "worker_days": pa.schema(
        {
            **{name: pa.int32() for name in ("moved", "account", "day")},
            **{name: pa.int16() for name in ("minutes", "first", "last", "online_days")},
        }
    ),
}


@dataclass(frozen=True)
class Activity:
    """One epoch's activity, each account under its number (`accounts` knows its address).

    lifetime  account, …SUMS                                       one row an account
    spending  account, recharged                                   one row an account: micro-USDT within the policy's spending window
    uptime    account, day, minutes, first, last, online_days      within [T − window, T); several rows of a day add up
    online    `eligibility.per_worker` of these                    one row an account
    gpus      account, hashpower, vram_mib, minutes                lifetime; several rows of a GPU add up
    """

    accounts: ir.Table
    lifetime: ir.Table
    spending: ir.Table
    uptime: ir.Table
    online: ir.Table
    gpus: ir.Table


def read(counts: Counts, policy: Policy, end: int, engine: Engine) -> Activity:
    """The relations of `counts`, for an epoch that ends at `end`."""

    def rows(kind: str, spans: Iterable[Span], checkpoint: str | None, unfinished: pa.Table | None) -> ir.Table:
        parts = [_span(engine, span) for span in spans]
        parts += [engine.files([checkpoint])] if checkpoint else []
        parts += [engine.rows(unfinished)] if unfinished is not None and unfinished.num_rows else []
        schema = COLUMNS[kind]
        parts = parts or [engine.rows(schema.empty_table())]
        return as_moved(reduce(ibis.union, [part.select(schema.names).cast(ibis.schema(schema)) for part in parts]), counts)

    days = rows("account_days", counts.account_days, counts.account_sums, counts.unfinished_account_days)
    uptime = rows("worker_days", counts.window_days, None, counts.unfinished_window_days)
    lifetime = engine.kept(days.group_by("account").agg(**{name: total(days[name]) for name in SUMS}))
    month = rows("account_days", counts.spending_days, None, counts.unfinished_account_days).filter(_.recharged != 0)
    return Activity(
        accounts=engine.files(counts.accounts) if counts.accounts else engine.rows(_NOBODY),
        lifetime=lifetime,
        spending=month.group_by("account").agg(recharged=total(month.recharged)) if policy.creator.spending_window == "month" else lifetime,
        uptime=uptime,
        online=engine.kept(per_worker(uptime, end - policy.worker.window)),
        gpus=rows("gpu_minutes", counts.worker_days, counts.gpu_minutes, counts.unfinished_worker_days),
    )


_NOBODY = pa.table({"id": pa.array([], pa.int32()), "account": pa.array([], pa.string())})


def _span(engine: Engine, span: Span) -> ir.Table:
    rows = engine.files(span.files)
    rows = rows.filter(_.day >= span.first_day, _.day < span.end_day, _.batch <= span.last_tag)
    return rows.filter((_.batch > span.after[0]) | (_.moved > span.after[1])) if span.after else rows


def as_moved(rows: ir.Table, counts: Counts) -> ir.Table:
    """Accounts that count as one count together, under their root, and no longer each for itself."""
    if not counts.groups:
        return rows.filter(_.moved == 0).drop("moved")
    each = (_.moved == 0) & _.account.notin(counts.united)
    together = _.moved.isin(counts.groups)
    return rows.filter(each | together).drop("moved")


def one_of(accounts: Sequence[str]) -> pa.Table:
    """Accounts as a table to join with."""
    return pa.table({"account": pa.array(accounts, pa.string())})
