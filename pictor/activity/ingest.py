"""From files to the ledger: rows are checked, late ones and conflicts kept aside with reasons, and the rest appended batch by batch."""

import errno
import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pictor.activity.checks import check
from pictor.activity.facts import BAD, CONFLICT, KNOWN, NEW, Facts
from pictor.activity.intake import Source, read, texts_of
from pictor.activity.ledger import Ledger, LedgerError, Position, check_source, hash_of
from pictor.activity.lines import FileError, Piece
from pictor.activity.schemas import TABLES, Table
from pictor.units import Timestamp

BATCH_ROWS = 1 << 21  # a batch is cut where it has so many
ASIDE_ROWS = 100_000  # rows kept aside are written out where there are so many


class DiskFullError(LedgerError):
    """No space is left. What was appended before stands; nothing half written does."""


@dataclass
class Counts:
    """What became of the rows of one table."""

    taken: int = 0
    known: int = 0
    conflicts: int = 0
    late: int = 0
    quarantined: int = 0


@dataclass
class Summary:
    """What an ingest did. `quarantine` and `conflicts` are the files in which the rows that were kept aside lie."""

    tables: dict[str, Counts] = field(default_factory=lambda: {name: Counts() for name in TABLES})
    left_out: list[tuple[str, str]] = field(default_factory=list)  # files, or the rest of files, that could not be taken, and why
    quarantine: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)
    complete_until: int | None = None
    refused_complete: bool = False  # a file was left out, so the source is not complete
    position: Position | None = None

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "tables": {name: asdict(counts) for name, counts in self.tables.items()},
            "left_out": [{"file": file, "reason": reason} for file, reason in self.left_out],
            "quarantine": self.quarantine,
            "conflicts": self.conflicts,
            "complete_until": self.complete_until,
            "refused_complete": self.refused_complete,
            "position": str(self.position),
        }


@dataclass(frozen=True)
class _Part:
    """Rows of one piece that passed the checks, with what is needed to name them."""

    file: str
    piece: Piece
    kept: npt.NDArray[np.int64]  # indexes into the piece
    rows: pa.RecordBatch


def ingest(
    ledger: Ledger,
    sources: Iterable[Source],
    *,
    now: int,
    late_limit: int,
    source: str = "manual",
    backfill: bool = False,
    complete_until: Timestamp | None = None,
    left_out: Iterable[tuple[str, str]] = (),
    progress: Callable[[int], None] = lambda _: None,
    wait: float = 60,
) -> Summary:
    """Append what `sources` hold, in their order, as received from `source` at `now` (Unix seconds).

    Rows with `at < now − late_limit` are quarantined unless this is a `backfill`. `complete_until` is only said if every file could be
    taken, `left_out` (files and reasons) being empty. Raises LedgerBusyError if another writer is at work for longer than `wait` seconds,
    DiskFullError, LedgerError.
    """
    check_source(source)
    with ledger.writing(wait):
        run = _Run(ledger, now, late_limit, source, backfill)
        run.summary.left_out += left_out
        try:
            for one in sources:
                run.take(one, progress)
            run.finish(complete_until)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise DiskFullError(f"{ledger.storage.root}: no space left; the ledger is whole, make space and run it again") from None
            raise LedgerError(f"{ledger.storage.root}: {error}") from None
    return run.summary


class _Run:
    """One ingest: rows waiting to become batches, and what has been said about the others."""

    def __init__(self, ledger: Ledger, now: int, late_limit: int, source: str, backfill: bool) -> None:
        self.ledger, self.now, self.source, self.backfill = ledger, now, source, backfill
        self.horizon = 0 if backfill else now - late_limit
        self.late_limit = late_limit
        self.summary = Summary()
        self.waiting: dict[str, list[_Part]] = {name: [] for name in TABLES}
        self.facts: dict[str, Facts] = {}
        self.quarantine: list[dict[str, Any]] = []

    def take(self, source: Source, progress: Callable[[int], None]) -> None:
        """Check the rows of one file; batches are appended as they fill."""
        try:
            for piece in read(source, progress):
                self._take_piece(source, piece)
        except FileError as problem:
            self.summary.left_out.append((source.name, str(problem)))

    def _take_piece(self, source: Source, piece: Piece) -> None:
        rows, findings = check(source.table, piece.rows)
        counts = self.summary.tables[source.table.name]
        counts.quarantined += len(piece.broken) + len(findings.reasons)
        for number, reason, text in piece.broken:
            self._set_aside(source.table, source.name, number, reason, text)
        self._quarantine(source.table, source.name, piece, findings.reasons)
        kept = np.flatnonzero(findings.good())
        rows = rows.take(pa.array(kept)) if findings.reasons else rows
        late = pc.less(rows.column("at"), self.horizon).to_numpy(zero_copy_only=False)
        if late.any():
            counts.late += int(late.sum())
            days = f"{self.late_limit / 86_400:g} days"
            reason = f"late: older than {days} when it arrived; ingest it as a declared backfill"
            self._quarantine(source.table, source.name, piece, dict.fromkeys(kept[late].tolist(), reason))
            kept, rows = kept[~late], rows.filter(pa.array(~late))
        if rows.num_rows:
            self.waiting[source.table.name].append(_Part(source.name, piece, kept, rows))
        if len(self.quarantine) >= ASIDE_ROWS:
            self._write_aside([])
        if sum(part.rows.num_rows for part in self.waiting[source.table.name]) >= BATCH_ROWS:
            self._flush(source.table)

    def _quarantine(self, table: Table, file: str, piece: Piece, reasons: dict[int, str]) -> None:
        for index, text in zip(reasons, _texts(piece, list(reasons)), strict=True):
            self._set_aside(table, file, int(piece.numbers[index]), reasons[index], text)

    def _set_aside(self, table: Table, file: str, number: int, reason: str, text: str) -> None:
        self.quarantine.append({"table": table.name, "file": file, "number": number, "reason": reason, "row": text})

    def _flush(self, table: Table, complete_until: int | None = None) -> bool:
        """Append the waiting rows of a table as one batch, if any of them is new. Says whether there is an entry."""
        parts = self.waiting[table.name]
        self.waiting[table.name] = []
        if not parts:
            return False
        rows = pa.Table.from_batches([part.rows for part in parts]).unify_dictionaries().combine_chunks()
        if table.name not in self.facts:
            self.facts[table.name] = Facts(self.ledger, table, self.horizon)
        facts = self.facts[table.name]
        verdict = facts.judge(rows)
        counts = self.summary.tables[table.name]
        counts.known += int((verdict.status == KNOWN).sum())
        counts.conflicts += int((verdict.status == CONFLICT).sum())
        counts.quarantined += int((verdict.status == BAD).sum())
        conflicts = self._explain(table, parts, verdict.status, verdict.reasons)
        if (verdict.status != NEW).any():
            rows = rows.filter(pa.array(verdict.status == NEW))
        self._write_aside(conflicts)
        if not rows.num_rows:
            return False
        return self._append(table, rows, facts, complete_until)

    def _explain(self, table: Table, parts: list[_Part], status: npt.NDArray[np.int8], reasons: dict[int, str]) -> list[dict[str, Any]]:
        """Set the bad rows aside; the answer is the conflicts."""
        conflicts = []
        begins = np.cumsum([0] + [part.rows.num_rows for part in parts])
        for index, reason in reasons.items():
            place = int(np.searchsorted(begins, index, "right")) - 1
            part, within = parts[place], int(parts[place].kept[index - begins[place]])
            number, text = int(part.piece.numbers[within]), _texts(part.piece, [within])[0]
            if status[index] == BAD:
                self._set_aside(table, part.file, number, reason, text)
            else:
                conflicts.append({"table": table.name, "file": part.file, "number": number, "reason": reason, "row": text})
        return conflicts

    def _append(self, table: Table, rows: pa.Table, facts: Facts, complete_until: int | None) -> bool:
        batch = self.ledger.storage.partial()
        write_batch(table, rows, batch)
        try:
            extremes = pc.min_max(rows["at"]).as_py()
            if not table.has_refs and facts.holds(hash_of(batch)):
                self.summary.tables[table.name].known += rows.num_rows
                return False
            entry = self.ledger.append(
                self.source,
                self.now,
                table=table.name,
                batch=batch,
                rows=rows.num_rows,
                first_at=extremes["min"],
                last_at=extremes["max"],
                backfill=self.backfill,
                complete_until=complete_until,
            )
        finally:
            batch.unlink(missing_ok=True)
        self.summary.tables[table.name].taken += rows.num_rows
        facts.remember(entry, rows)
        return True

    def finish(self, complete_until: int | None) -> None:
        """Append what still waits. The last entry says how far the source is complete, so that a kill before it claims nothing."""
        if self.summary.left_out and complete_until is not None:
            complete_until, self.summary.refused_complete = None, True
        full = [table for table in TABLES.values() if self.waiting[table.name]]
        said = False
        for table in full:
            said = self._flush(table, complete_until if table is full[-1] else None)
        if complete_until is not None and not said and self.ledger.complete_until([self.source]).get(self.source, -1) < complete_until:
            self.ledger.append(self.source, self.now, complete_until=complete_until)
        self._write_aside([])
        self.summary.complete_until = complete_until
        self.summary.position = self.ledger.head()

    def _write_aside(self, conflicts: list[dict[str, Any]]) -> None:
        """What was kept aside goes to disk before what came with it is appended: no row is ever only in memory."""
        for folder, records, files in (
            ("conflicts", conflicts, self.summary.conflicts),
            ("quarantine", self.quarantine, self.summary.quarantine),
        ):
            if records:
                # A half of a character, which no UTF-8 has, stays escaped.
                contents = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records).encode(errors="backslashreplace")
                name = f"{folder}/{sha256(contents).hexdigest()}.ndjson"
                if not self.ledger.storage.exists(name):
                    self.ledger.storage.create(name, contents)
                files.append(self.ledger.storage.where(name))
        self.quarantine = []


def _texts(piece: Piece, indexes: list[int]) -> list[str]:
    wanted = pa.array(indexes, pa.int64())
    if piece.lines is not None:
        texts: list[str] = piece.lines.take(wanted).to_pylist()
        return texts
    return texts_of(piece.rows.take(wanted))


def write_batch(table: Table, rows: pa.Table, file: Any) -> None:
    """Normalised `rows` as the Parquet file of a batch."""
    rows = pa.Table.from_arrays([rows[name] for name in table.columns], names=list(table.columns))
    # Columns that are never null, and plain text for whoever reads it: no Arrow types beside the Parquet ones.
    schema = pa.schema([pa.field(name, rows.schema.field(name).type, nullable=False) for name in table.columns])
    pq.write_table(
        rows.cast(schema),
        file,
        compression="zstd",
        store_schema=False,
        use_dictionary=[name for name in table.columns if name not in ("ref", "at")],
        column_encoding={"at": "DELTA_BINARY_PACKED"},
    )
