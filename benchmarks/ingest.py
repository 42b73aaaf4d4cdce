"""Ingest with all its checks, beside DuckDB's `COPY` of the same files with none."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import duckdb
import pyarrow.parquet

from benchmarks.measure import Figure, medians
from pictor.activity.ingest import ingest
from pictor.activity.intake import Source, find
from pictor.activity.ledger import Ledger
from pictor.activity.simulate import DAY, Network, simulate

REPEATS = 5
MILLION = 1_000_000
LATE_LIMIT = 35 * DAY


def figures(quick: bool) -> Iterator[Figure]:
    """A simulated month of 100 000 members (quick: of 1 000): a week of it into an empty ledger, and a day onto the month before."""
    with TemporaryDirectory() as folder:
        root = Path(folder)
        network = Network(1_000 if quick else 100_000, date(2026, 6, 1), days=30)
        start = perf_counter()
        simulated = simulate(network, root / "network")
        rows = sum(simulated.rows.values())
        yield Figure("simulate 30 days of activity", rows / (perf_counter() - start) / MILLION, "M rows/s")
        for table, at_least in (("frames", 0.7), ("heartbeats", 1.5)):
            days = sources(root / "network" / "history", table)
            week, today = days[-8:-1], sources(root / "network" / "2026-05-31", table)[:1]
            yield from beside_copy(root, f"{table}: a week into an empty ledger", week, at_least, network.stop, [])
            yield from beside_copy(root, f"{table}: a day onto a month of history", today, at_least, network.stop, days)


def sources(folder: Path, table: str) -> list[Source]:
    """The files of a table, in the order of their names."""
    return [source for source in find(folder, None)[0] if source.table.name == table]


def beside_copy(root: Path, what: str, files: list[Source], at_least: float, now: int, history: list[Source]) -> Iterator[Figure]:
    """Rows a second of an ingest onto `history`, and how many times as fast DuckDB copies the files."""
    before = root / "before"
    ingest(Ledger.open(before, create=True), history, now=now, late_limit=LATE_LIMIT)
    ledgers = [root / f"ledger-{turn}" for turn in range(REPEATS + 1)]
    for ledger in ledgers:
        shutil.copytree(before, ledger, copy_function=os.link)
    ours = iter(ledgers)
    paths = [str(source.path) for source in files]
    rows = sum(pyarrow.parquet.read_metadata(path).num_rows for path in paths)
    seconds = medians(
        {
            "ours": lambda: ingest(Ledger.open(next(ours)), files, now=now, late_limit=LATE_LIMIT),
            "copy": copying(paths, root / "copy.parquet"),
        },
        REPEATS,
    )
    for ledger in (before, *ledgers):
        shutil.rmtree(ledger)
    yield Figure(what, rows / seconds["ours"] / MILLION, "M rows/s", at_least=at_least)
    yield Figure("  DuckDB COPY without checks", seconds["ours"] / seconds["copy"], "x as fast", at_most=3)


def copying(paths: list[str], target: Path) -> Callable[[], object]:
    """DuckDB's own way from Parquet files to one."""

    def copy() -> None:
        with duckdb.connect() as db:
            db.execute(f"COPY (FROM read_parquet({paths})) TO '{target}' (FORMAT parquet, COMPRESSION zstd)")

    return copy
