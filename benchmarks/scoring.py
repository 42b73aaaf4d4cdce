"""Rollups and scores: from heartbeats to daily counts, and from a million members' counts to their standings."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import pyarrow as pa

from benchmarks.measure import GIB, Figure, fresh, medians
from pictor.activity import counting
from pictor.activity.ledger import Ledger
from pictor.activity.rollup_files import Index, RollupFiles, quoted
from pictor.activity.rollups import Rollups
from pictor.policy import Policy, load_policies
from pictor.scoring import score_epoch
from pictor.units import DAY

EPOCH = 20_000
REPEATS = 3
SQL = Path(__file__).with_name("standings.sql")


def figures(quick: bool) -> Iterator[Figure]:
    """The table of the performance page that is about rollups and scores."""
    with TemporaryDirectory() as folder:
        yield from _heartbeats(Path(folder), days=3 if quick else 25)
    with TemporaryDirectory() as folder:
        yield from _standings(Path(folder), members=100_000 if quick else 1_000_000)
    with TemporaryDirectory() as folder:
        yield from _history(Path(folder), members=10_000 if quick else 100_000, days=100 if quick else 400)


# --- from heartbeats to daily rollups


def _heartbeats(folder: Path, days: int, workers: int = 3_300) -> Iterator[Figure]:
    make_heartbeats(folder, days, workers)
    seconds = medians({"ours": lambda: roll_up(folder, uuid4().hex)}, REPEATS)["ours"]
    theirs = medians({"theirs": lambda: count_distinct(folder)}, 1, warm_up=False)["theirs"]
    beats = f"{days * workers * 1_440 / 1e6:.0f} M heartbeats of {workers:,} workers"
    yield Figure(f"{beats} to daily rollups", seconds, "s", at_most=3)
    yield Figure("the same, memory", fresh(roll_up, folder, "late").peak / GIB, "GiB", at_most=1.5)
    yield Figure("count(distinct minute) by plain SQL, times as long", theirs / seconds, "", at_least=4)
    late = medians({"soon": lambda: next_standings(folder, 0), "late": lambda: next_standings(folder, days // 2 * DAY)}, REPEATS)
    yield Figure("one late row in an old day, to the next standings, more than without it", late["late"] - late["soon"], "s", at_most=1)


def make_heartbeats(folder: Path, days: int, workers: int) -> None:
    """A ledger with a batch for each day: every minute a heartbeat of every worker."""
    ledger = Ledger.open(folder / "ledger", create=True)
    con = counting.connect()
    for day in range(EPOCH - days, EPOCH):
        batch = folder / "batch.parquet"
        con.execute(f"""
            COPY (SELECT '0x' || left(sha256(w::VARCHAR), 40) AS worker, {day * DAY} + m * 60 + (w + m) % 60 AS "at"
                FROM range(1440) t(m), (SELECT w FROM range({workers}) t(w))) TO '{batch}' (FORMAT parquet, COMPRESSION zstd)
        """)
        with ledger.writing():
            ledger.append(
                "bench", day * DAY, table="heartbeats", batch=batch, rows=workers * 1_440, first_at=day * DAY, last_at=day * DAY + DAY - 1
            )


def roll_up(folder: Path, name: str) -> None:
    """All of it, into new rollups."""
    Rollups.open(Ledger.open(folder / "ledger"), folder / name).update()


def count_distinct(folder: Path) -> None:
    """The minutes per worker and day, as one would ask for them."""
    ledger = Ledger.open(folder / "ledger")
    files = quoted([str(ledger.path(entry)) for entry in ledger.entries()])
    counting.connect().execute(f"""
        COPY (SELECT worker, "at" // 86400 AS day, count(DISTINCT "at" // 60) AS minutes FROM read_parquet({files}) GROUP BY ALL)
        TO '{folder / "distinct.parquet"}' (FORMAT parquet)
    """)


def next_standings(folder: Path, age: int) -> None:
    """Take in one more heartbeat, of `age` seconds before the end, and score."""
    ledger = Ledger.open(folder / "ledger")
    batch, at = folder / f"{uuid4().hex}.parquet", EPOCH * DAY - 1 - age
    sql = f"""COPY (SELECT '0x' || left(sha256('1'), 40) AS worker, {at}::BIGINT AS "at") TO '{batch}' (FORMAT parquet)"""
    counting.connect().execute(sql)
    with ledger.writing():
        ledger.append("bench", EPOCH * DAY, table="heartbeats", batch=batch, rows=1, first_at=at, last_at=at)
    rollups = Rollups.open(ledger, folder / "late")
    rollups.update()
    score_epoch(rollups, policy(), EPOCH, all_hold(3_300))


# --- from rollups to standings


def _standings(folder: Path, members: int) -> Iterator[Figure]:
    make_rollups(folder, members, 31)
    holders = all_hold(members)
    score(folder, holders, EPOCH - 1)  # as every day: the epoch before has been scored
    seconds = medians({"ours": lambda: score(folder, holders, EPOCH), "theirs": lambda: plain_sql(folder, holders)}, REPEATS)
    yield Figure(f"eligibility and standings of {members:,} members from rollups", seconds["ours"], "s", at_most=3)
    yield Figure("the same, memory", fresh(score, folder, holders, EPOCH).peak / GIB, "GiB", at_most=2)
    yield Figure("as a multiple of plain DuckDB SQL", seconds["ours"] / seconds["theirs"], "", at_most=1.2)


def _history(folder: Path, members: int, days: int) -> Iterator[Figure]:
    holders = all_hold(members)
    for length in (31, days):
        make_rollups(folder / str(length), members, length)
        score(folder / str(length), holders, EPOCH - 1)
    runs = {str(length): partial(score, folder / str(length), holders, EPOCH) for length in (31, days)}
    seconds = medians(runs, REPEATS)
    ratio = seconds[str(days)] / seconds["31"]
    yield Figure(f"an epoch of {members:,} members after {days} days of history, as a multiple of 31", ratio, "", at_most=1.15)


def make_rollups(folder: Path, members: int, days: int) -> None:
    """The rollups of a network after `days` days: half of the members are workers of many habits. Each day was taken in by itself."""
    ledger = Ledger.open(folder / "ledger", create=True)
    files = RollupFiles(ledger.storage.scratch / "rollups")
    con = counting.connect()
    half, online = members // 2, "hash(i, {day}, 2) % 1000 >= hash(i, 7) % 250"
    with files.writing():
        named = f"SELECT i::INTEGER AS id, '0x' || left(sha256(i::VARCHAR), 40) AS account FROM range({members}) t(i)"
        index = files.add(con, Index(), "accounts", named)
        for day in range(EPOCH - days, EPOCH):
            worker = f"FROM range({half}) t(i) WHERE {online.format(day=day)}"
            creator = f"FROM range({half}, {members}) t(i) WHERE hash(i, {day}, 11) % 10 < 3"
            key = f"SELECT 0::INTEGER AS moved, i::INTEGER AS account, {day}::INTEGER AS day, 0::BIGINT AS batch"
            minutes = f"greatest(1, least(1440, 500 + hash(i, 1) % 900 + hash(i, {day}, 3) % 200))"
            worker_days = f"""
                {key}, (250 + hash(i) % 4 * 250)::INTEGER AS hashpower, 24576::INTEGER AS vram_mib, {minutes}::SMALLINT AS minutes,
                (hash(i, {day}, 5) % 100)::SMALLINT AS "first", (1439 - hash(i, {day}, 6) % 100)::SMALLINT AS "last",
                1::SMALLINT AS online_days {worker}
            """
            paid = _sums(recharged="500000000", spent=f"hash(i, {day}, 9) % 900 * 1000000", frames=f"hash(i, {day}, 10) % 200")
            account_days = f"""
                {key}, {_sums(completed=f"hash(i, {day}, 8) % 50", failed=f"hash(i, {day}, 9) % 3")} {worker} UNION ALL
                {key}, {paid} {creator}
            """
            index = files.add(con, index, "worker_days", worker_days)
            index = files.add(con, index, "account_days", account_days)
            index = files.commit(index, index)


def _sums(**counted: str) -> str:
    return ", ".join(f"({counted.get(name, 0)})::BIGINT AS {name}" for name in counting.SUMS)


def all_hold(members: int) -> pa.Table:
    """A pass for every member, workers first."""
    rows = f"""
        SELECT '0x' || left(sha256(i::VARCHAR), 40) AS account, CASE WHEN i < {members // 2} THEN 2 ELSE 1 END::TINYINT AS role,
            1000000 + i % 1000 AS issued_at FROM range({members}) t(i)
    """
    return counting.connect().sql(rows).to_arrow_table()


def policy() -> Policy:
    """The rules that ship."""
    return load_policies().at(EPOCH)


def score(folder: Path, holders: pa.Table, epoch: int) -> None:
    """One epoch by the engine."""
    score_epoch(Rollups.open(Ledger.open(folder / "ledger")), policy(), epoch, holders)


def plain_sql(folder: Path, holders: pa.Table) -> None:
    """The same by hand: one script of SQL, with the shipped rules' numbers written in."""
    ledger = Ledger.open(folder / "ledger")
    files = RollupFiles(ledger.storage.scratch / "rollups")
    index = files.index()
    checkpoint = index.checkpoints[-1]
    con = counting.connect()
    con.register("holders", holders)
    text = SQL.read_text()
    for name, paths in {
        "accounts": files.paths(index.series("accounts")),
        "worker_days": files.paths(index.series("worker_days")),
        "account_days": files.paths(index.series("account_days")),
        "account_sums": [files.path(checkpoint.files["account_sums"])],
        "gpu_minutes": [files.path(checkpoint.files["gpu_minutes"])],
    }.items():
        text = text.replace(f"@{name}", f"read_parquet({quoted(paths)})")
    for statement in text.replace("@day", str(EPOCH)).replace("@since", str(checkpoint.day)).split(";"):
        if statement.strip():
            con.execute(statement)
    for table in ("eligible", "totals", "standings"):
        con.sql(f"FROM {table}").to_arrow_table()
