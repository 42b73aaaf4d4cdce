"""From rows of the ledger to counts, in SQL on DuckDB: minute masks, sums per day, minutes per day and GPU.

Every count is tagged with the batch that brought it, as a delta to what the batches before it said. So the sum over all tags up to a
position is the count at that position, late rows need no second look at old files, and it makes no difference in how many steps batches
are taken in. For groups of accounts that count as one (`moved` > 0, beside each account for itself, `moved` = 0) the same is counted once
more, as if their root had been the account from the start.

The functions work on temporary relations of one connection, named here:

    recharges, spends, frames, gpus   rows of the ledger, each with its `batch`
    ids(account, id)                 the numbers of the accounts that are named
    members(moved, root, id, account)             the accounts of each group, with their root's number
    fresh_minutes(account, hour, batch, mask)     bit m: the worker was online in minute m of the hour
    fresh_sums(account, day, batch, …)            the columns of `SUMS`
    fresh_gpus, known_gpus(account, at, ref, hashpower, vram_mib, batch)   the new ones; all of the workers in question
    old_minutes(account, hour, mask), stored_days(moved, account, day, minutes, first, last)   what is counted already
"""

from collections.abc import Sequence
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from pictor.activity.masks import minute_masks
from pictor.activity.rollup_files import quoted
from pictor.activity.schemas import TABLES

SUMS = ("recharged", "spent", "frames", "completed", "failed", "self_dealt")
# recharged, spent: paid, net of refunds, micro-USDT · frames: rendered successfully for the creator · completed, failed: by the worker ·
# self_dealt: completed with the creator as worker, which counts for neither


def _sums(**counted: str) -> str:
    """The columns of `SUMS` as SQL: those in `counted` by their expressions, the others 0."""
    return ", ".join(f"{counted.get(name, 0)}::BIGINT AS {name}" for name in SUMS)


_TOTALS = _sums(**{name: f"sum({name})" for name in SUMS})


def connect() -> duckdb.DuckDBPyConnection:
    """A connection that reads and writes Parquet in whatever order is fastest."""
    con = duckdb.connect()
    con.execute("SET preserve_insertion_order = false; SET enable_progress_bar = false")
    return con


def read_log(
    con: duckdb.DuckDBPyConnection, table: str, batches: Sequence[tuple[int, Path]], start: int = 0, end: int | None = None
) -> None:
    """Make `table` the rows of `batches` (number, file) with `start ≤ at < end`, each row with its `batch`."""
    columns = ", ".join(f'"{name}"' for name in TABLES[table].columns)
    if batches:
        numbers = ", ".join(str(number) for number, _ in batches)
        files = quoted([str(path) for _, path in batches])
        batch = f"([{numbers}]::BIGINT[])[(file_index + 1)::INTEGER] AS batch"
        query = f"SELECT {batch}, file_row_number AS row, {columns} FROM read_parquet({files})"
    else:
        typed = ", ".join(f'NULL::{"BIGINT" if name.type == "int64" else "VARCHAR"} AS "{name.name}"' for name in TABLES[table].schema)
        query = f"SELECT * FROM (SELECT NULL::BIGINT AS batch, NULL::BIGINT AS row, {typed} LIMIT 0)"
    within = ([f'"at" >= {start}'] if start else []) + ([f'"at" < {end}'] if end is not None else [])
    con.execute(f"CREATE OR REPLACE TEMP VIEW {table} AS {query}" + (f" WHERE {' AND '.join(within)}" if within else ""))


def hear(con: duckdb.DuckDBPyConnection, batches: Sequence[tuple[int, Path]] = ()) -> None:
    """`heard(key, hour, batch, mask)` and `workers(worker, key)` from heartbeats: each vouches for the minute that it falls in."""
    workers, masks = minute_masks(batches)
    con.register("named", pa.table({"worker": workers, "key": np.arange(len(workers), dtype=np.int32)}))
    con.register("masks", masks)
    con.execute("""
        CREATE OR REPLACE TEMP TABLE workers AS FROM named;
        CREATE OR REPLACE TEMP TABLE heard AS SELECT worker AS key, batch, hour, bit_or(mask) AS mask FROM masks GROUP BY ALL
    """)


def add_up(con: duckdb.DuckDBPyConnection) -> None:
    """`said(account, day, batch, …)` from `recharges`, `spends` and `frames`."""

    def sums(table: str, account: str, where: str, **counted: str) -> str:
        return f'SELECT {account} AS account, "at" // 86400 AS day, batch, {_sums(**counted)} FROM {table} WHERE {where} GROUP BY ALL'

    parts = (
        sums("recharges", "account", "kind = 'paid'", recharged="sum(amount)"),
        sums("spends", "account", "kind = 'paid'", spent="sum(amount)"),
        sums("frames", "creator", "outcome = 'completed' AND creator <> worker", frames="count(*)"),
        sums(
            "frames",
            "worker",
            "outcome <> 'void'",
            completed="count(*) FILTER (outcome = 'completed' AND creator <> worker)",
            failed="count(*) FILTER (outcome = 'failed')",
            self_dealt="count(*) FILTER (outcome = 'completed' AND creator = worker)",
        ),
    )
    con.execute(f"CREATE OR REPLACE TEMP TABLE said AS {' UNION ALL '.join(parts)}")


def number(con: duckdb.DuckDBPyConnection) -> None:
    """`fresh_minutes`, `fresh_sums` and `fresh_gpus` from `heard` and `workers`, `said` and `gpus`, by the numbers in `ids`."""
    con.execute(f"""
        CREATE OR REPLACE TEMP TABLE fresh_minutes AS
            SELECT id AS account, hour::INTEGER AS hour, batch, mask
            FROM heard JOIN (SELECT key, id FROM workers JOIN ids ON worker = account) USING (key);
        CREATE OR REPLACE TEMP TABLE fresh_sums AS
            SELECT id AS account, day::INTEGER AS day, batch, {_TOTALS} FROM said JOIN ids USING (account) GROUP BY ALL;
        CREATE OR REPLACE TEMP TABLE fresh_gpus AS
            SELECT id AS account, "at", ref, hashpower, vram_mib, batch FROM gpus JOIN ids ON gpus.worker = ids.account;
    """)


def count_accounts(con: duckdb.DuckDBPyConnection, each: bool = True) -> None:
    """`account_days(moved, account, day, batch, …)` from `fresh_sums` and, for what groups dealt among themselves, `frames`.

    Without `each`, for the groups alone.
    """
    columns = ", ".join(SUMS)
    # Between two accounts of one group, and only there, a move makes self-dealing of what was none.
    among = _sums(frames="-count(*)", completed="-count(*)", self_dealt="count(*)")
    own = f"SELECT 0::INTEGER AS moved, account, day, batch, {columns} FROM fresh_sums UNION ALL"
    con.execute(f"""
        CREATE OR REPLACE TEMP TABLE account_days AS
        {own if each else ""}
        SELECT moved, account, day, batch, {_TOTALS} FROM (
            SELECT moved, root AS account, day, batch, {columns} FROM fresh_sums JOIN members ON fresh_sums.account = members.id
            UNION ALL
            SELECT c.moved, c.root AS account, ("at" // 86400)::INTEGER AS day, batch, {among}
            FROM frames JOIN members c ON frames.creator = c.account JOIN members w ON frames.worker = w.account AND w.moved = c.moved
            WHERE outcome = 'completed' AND creator <> worker GROUP BY c.moved, c.root, day, batch
        ) GROUP BY ALL
    """)


def count_minutes(con: duckdb.DuckDBPyConnection, each: bool = True) -> None:
    """`online(moved, account, day, batch, minutes, first, last)` from `fresh_minutes` and `old_minutes`.

    `minutes` are those that no earlier batch had; `first` and `last` are among them, as minutes of the day. Without `each`, for the
    groups alone.
    """
    own_fresh = "SELECT 0::INTEGER AS moved, account, hour, batch, mask FROM fresh_minutes UNION ALL"
    own_old = "SELECT 0::INTEGER AS moved, account, hour, mask FROM old_minutes UNION ALL"
    con.execute(f"""
        CREATE OR REPLACE TEMP TABLE fresh AS
            {own_fresh if each else ""}
            SELECT moved, root AS account, hour, batch, bit_or(mask) AS mask
            FROM fresh_minutes JOIN members ON fresh_minutes.account = members.id GROUP BY moved, root, hour, batch;
        CREATE OR REPLACE TEMP TABLE old AS
            SELECT moved, account, hour, bit_or(mask) AS mask FROM (
                {own_old if each else ""}
                SELECT moved, root AS account, hour, mask FROM old_minutes JOIN members ON old_minutes.account = members.id
            ) SEMI JOIN fresh USING (moved, account, hour) GROUP BY ALL;
        CREATE OR REPLACE TEMP TABLE online AS
        WITH repeated AS (SELECT moved, account, hour FROM fresh GROUP BY ALL HAVING count(*) > 1),
        told AS (
            SELECT *, 0 AS before FROM fresh ANTI JOIN repeated USING (moved, account, hour)
            UNION ALL
            SELECT *, coalesce(bit_or(mask) OVER (
                PARTITION BY moved, account, hour ORDER BY batch ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            ), 0) FROM fresh SEMI JOIN repeated USING (moved, account, hour)
        ),
        news AS (
            SELECT moved, account, hour, batch, told.mask & ~(before | coalesce(old.mask, 0)) AS mask
            FROM told LEFT JOIN old USING (moved, account, hour)
        ),
        days AS (
            SELECT moved, account, hour // 24 AS day, batch, sum(bit_count(mask)) AS minutes,
                min(hour) % 24 AS first_hour, arg_min(mask, hour) AS first_mask,
                max(hour) % 24 AS last_hour, arg_max(mask, hour) AS last_mask
            FROM news WHERE mask <> 0 GROUP BY ALL
        )
        SELECT moved, account, day, batch, minutes::SMALLINT AS minutes,
            (first_hour * 60 + bit_count((first_mask & -first_mask) - 1))::SMALLINT AS "first",
            (last_hour * 60 + length(bin(last_mask)) - 1)::SMALLINT AS "last"
        FROM days
    """)


def place_minutes(con: duckdb.DuckDBPyConnection, since: int) -> None:
    """`worker_days(moved, account, day, batch, hashpower, vram_mib, minutes, first, last, online_days)` from `online`,
    `stored_days` and `known_gpus`.

    Each day goes to the GPU in force when it began, or else to the first one registered that day; with none on record, to hashpower and
    VRAM 0. `online_days` is 1 in the row that first says that the worker was online that day. A GPU that batches after `since` tell of
    takes earlier days with it: off the old GPU, on to the new, tagged with that batch.
    """
    con.execute(f"""
        CREATE OR REPLACE TEMP TABLE told_gpus AS
            SELECT 0::INTEGER AS moved, account, "at", ref, hashpower, vram_mib, greatest(batch, {since}) AS known FROM known_gpus
            UNION ALL
            SELECT moved, root, "at", ref, hashpower, vram_mib, greatest(batch, {since})
            FROM known_gpus JOIN members ON known_gpus.account = id;
        CREATE OR REPLACE TEMP TABLE changed AS
            SELECT moved, account, min("at") // 86400 AS day FROM told_gpus WHERE known > {since} GROUP BY ALL;
        CREATE OR REPLACE TEMP TABLE old_days AS
            SELECT moved, account, s.day, sum(minutes) AS minutes, min("first") AS "first", max("last") AS "last"
            FROM stored_days s LEFT JOIN changed USING (moved, account)
            WHERE s.day >= changed.day OR (moved, account, s.day) IN (SELECT (moved, account, day) FROM online) GROUP BY ALL;
        CREATE OR REPLACE TEMP TABLE in_force AS
        -- What is known of a worker's GPUs changes with batches: `known` ≤ position < `outdated`.
        WITH known AS (
            SELECT moved, account, known, lead(known, 1, {_FOR_EVER}) OVER (PARTITION BY moved, account ORDER BY known) AS outdated
            FROM (SELECT DISTINCT moved, account, known FROM told_gpus)
        ),
        one_at_a_time AS (
            SELECT k.moved, k.account, k.known, k.outdated, g."at", arg_max({{'hashpower': hashpower, 'vram_mib': vram_mib}}, ref) AS gpu
            FROM known k JOIN told_gpus g ON g.moved = k.moved AND g.account = k.account AND g.known <= k.known GROUP BY ALL
        ),
        first_days AS (
            SELECT *, CASE WHEN "at" = min("at") OVER (PARTITION BY moved, account, known)
                THEN "at" // 86400 ELSE ("at" + 86399) // 86400 END AS first_day
            FROM one_at_a_time
        ),
        spans AS (
            SELECT moved, account, known, outdated, gpu.hashpower AS hashpower, gpu.vram_mib AS vram_mib, first_day,
                lead(first_day, 1, {_FOR_EVER}) OVER (PARTITION BY moved, account, known ORDER BY "at") AS end_day
            FROM first_days
        )
        FROM spans WHERE first_day < end_day
        UNION ALL
        SELECT moved, account, known, outdated, 0, 0, 0, min(first_day) FROM spans GROUP BY moved, account, known, outdated
        UNION ALL
        SELECT moved, account, 0, min(known), 0, 0, 0, {_FOR_EVER} FROM known GROUP BY moved, account
        UNION ALL
        SELECT moved, account, 0, {_FOR_EVER}, 0, 0, 0, {_FOR_EVER}
        FROM (SELECT DISTINCT moved, account FROM online) ANTI JOIN known USING (moved, account);
        CREATE OR REPLACE TEMP TABLE worker_days AS
        WITH days AS (
            SELECT o.*, true AS fresh,
                (row_number() OVER (PARTITION BY moved, account, day ORDER BY batch) = 1 AND old.day IS NULL)::SMALLINT AS online_days
            FROM online o LEFT JOIN old_days old USING (moved, account, day)
            UNION ALL
            SELECT moved, account, old.day, {since}, minutes, "first", "last", false, 0
            FROM old_days old JOIN changed USING (moved, account) WHERE old.day >= changed.day
        ),
        placed AS (
            SELECT d.*, hashpower, vram_mib, greatest(batch, known) AS from_batch, outdated
            FROM days d JOIN in_force f USING (moved, account) WHERE d.day >= f.first_day AND d.day < f.end_day AND f.outdated > d.batch
        ),
        moves AS (
            SELECT moved, account, day, from_batch AS batch, hashpower, vram_mib, minutes, "first", "last",
                CASE WHEN from_batch = batch THEN online_days ELSE 0 END AS online_days, fresh AND from_batch = batch AS fresh
            FROM placed
            UNION ALL
            SELECT moved, account, day, outdated, hashpower, vram_mib, -minutes, "first", "last", 0, false
            FROM placed WHERE outdated < {_FOR_EVER}
        )
        SELECT moved, account, day::INTEGER AS day, batch, hashpower::INTEGER AS hashpower, vram_mib::INTEGER AS vram_mib,
            sum(minutes)::SMALLINT AS minutes, min("first")::SMALLINT AS "first", max("last")::SMALLINT AS "last",
            sum(online_days)::SMALLINT AS online_days
        FROM moves WHERE batch > {since} GROUP BY ALL HAVING sum(minutes) <> 0 OR bool_or(fresh)
    """)


_FOR_EVER = 1 << 62
