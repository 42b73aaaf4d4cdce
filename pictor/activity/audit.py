"""Whether a ledger is what it says: chain, hashes, counts, and every row of every batch."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pictor.activity.checks import check_normalised
from pictor.activity.ledger import Entry, Ledger, LedgerError, Position, hash_of
from pictor.activity.schemas import TABLES, Table
from pictor.units import TIME_LIMIT


@dataclass
class Trail:
    """What the entries so far say, against which the next one is checked."""

    head: Position
    received_at: int = 0
    latest_at: int = 0
    complete_until: dict[str, int] = field(default_factory=dict)

    def follow(self, entry: Entry) -> Iterator[str]:
        """What is wrong with `entry` as the next one."""
        if entry.number != self.head.number + 1 or entry.previous != self.head.hash:
            yield "does not follow the entry before it"
        if entry.received_at < self.received_at:
            yield "was received before the entry before it"
        if entry.latest_at != max(self.latest_at, entry.last_at or 0):
            yield f"latest_at is {entry.latest_at}, not the greatest time so far"
        if (entry.table is None) != (entry.sha256 is None) or (entry.table is None and entry.rows):
            yield "names a table without a batch, or a batch without a table"
        if entry.table is not None and entry.table not in TABLES:
            yield f"table {entry.table!r} is unknown"
        if entry.complete_until is not None:
            if not self.complete_until.get(entry.source, 0) <= entry.complete_until < TIME_LIMIT:
                yield f"source {entry.source} takes back how far it is complete"
            self.complete_until[entry.source] = entry.complete_until
        self.head, self.received_at, self.latest_at = entry.position, entry.received_at, entry.latest_at


def check_batch(entry: Entry, file: Path) -> Iterator[str]:
    """What is wrong with `file` as the batch of `entry`."""
    try:
        if hash_of(file) != entry.sha256:
            yield "its batch is not the one that the entry vouches for"
            return
        with pq.ParquetFile(file) as opened:
            yield from _check_rows(entry, TABLES[str(entry.table)], opened)
    except FileNotFoundError:
        yield "its batch is missing"
    except (OSError, pa.ArrowException, KeyError) as error:
        yield f"its batch cannot be read: {str(error).splitlines()[0]}"


def _check_rows(entry: Entry, table: Table, opened: pq.ParquetFile) -> Iterator[str]:
    if opened.schema_arrow != table.schema:
        yield f"its batch has not the columns of {table.name}"
        return
    rows, extremes = 0, []
    for part in opened.iter_batches(1 << 20):
        fault = check_normalised(table.name, part)
        if fault:
            yield f"its batch, from row {rows + 1} on: {fault}"
        rows += part.num_rows
        extremes += pc.min_max(part.column("at")).as_py().values()
    if rows != entry.rows:
        yield f"its batch has {rows} rows, not {entry.rows}"
    if rows and (min(extremes), max(extremes)) != (entry.first_at, entry.last_at):
        yield "its first_at and last_at are not those of its batch"


@dataclass(frozen=True)
class Audit:
    """What the check of a whole ledger found. Refs that were used again after they were forgotten are facts of their own, and no fault."""

    position: Position  # of the last entry that could be read
    rows: int
    faults: list[str]
    reused_refs: dict[str, int]  # table -> refs that occur more than once


def audit(ledger: Ledger, progress: Callable[[int], None] = lambda _: None) -> Audit:
    """Check the whole of `ledger`; `progress` is told of each entry."""
    size = ledger.size()
    faults, rows, trail = [], 0, Trail(ledger.position(0))
    found = {f"{number:012d}.json" for number in range(1, size + 1)}
    stray = sorted(found.symmetric_difference(ledger.storage.names("entries")))
    if stray:
        faults.append(f"entries: {stray[0]} is out of sequence")
    batches: dict[str, list[str]] = {name: [] for name, table in TABLES.items() if table.has_refs}
    for number in range(1, size + 1):
        try:
            entry = ledger.entry(number)
            faults += [f"entry {number} {fault}" for fault in trail.follow(entry)]
            if entry.sha256 is not None:
                faults += [f"entry {number}: {fault}" for fault in check_batch(entry, ledger.path(entry))]
                batches.get(str(entry.table), []).append(str(ledger.path(entry)))
                rows += entry.rows
        except LedgerError as error:
            faults.append(str(error))
        progress(1)
    reused = {} if faults else {name: _reused_refs(files) for name, files in batches.items()}
    return Audit(trail.head, rows, faults, {name: count for name, count in reused.items() if count})


def _reused_refs(files: list[str]) -> int:
    """How many refs occur more than once in `files`. Looked for by hash first, so that memory holds 8 bytes a row, not the refs."""
    if not files:
        return 0
    with duckdb.connect(":memory:") as db:
        refs = db.read_parquet(files).project("ref, hash(ref) AS h")
        db.register("twice", refs.aggregate("h, count(*) AS times", "h").filter("times > 1").project("h").to_arrow_table())
        again = refs.join(db.table("twice"), "h", how="semi").aggregate("ref, count(*) AS times", "ref").filter("times > 1")
        return len(again.to_arrow_table())
