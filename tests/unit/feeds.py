"""Small feeds for the tests of the ledger: rows, files in each format, and an ingest with everything at hand."""

import csv
import gzip
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pictor.activity.ingest import Summary, ingest
from pictor.activity.intake import find
from pictor.activity.ledger import Ledger
from pictor.activity.lines import FileError
from pictor.activity.schemas import TABLES

Row = Mapping[str, Any]

NOW = 1_770_000_000
LATE_LIMIT = 35 * 86_400
ALICE, BOB, CAROL, DAVE = (f"0x{digit * 40}" for digit in "abcd")
CHECKSUMMED = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
FORMATS = ("parquet", "csv", "ndjson", "csv.gz", "ndjson.gz")

SAMPLES: dict[str, Row] = {
    "recharges": {"ref": "r-1", "account": ALICE, "amount": 5_000_000, "kind": "paid", "at": NOW - 60},
    "spends": {"ref": "s-1", "account": ALICE, "amount": -7, "kind": "bonus", "job": "j-1", "at": NOW - 60},
    "frames": {"ref": "f-1", "job": "j-1", "frame": 12, "creator": ALICE, "worker": BOB, "outcome": "completed", "at": NOW - 60},
    "heartbeats": {"worker": BOB, "at": NOW - 60},
    "gpus": {"ref": "g-1", "worker": BOB, "model": "RTX 4090", "hashpower": 1_000, "vram_mib": 24_576, "at": NOW - 60},
    "links": {"ref": "l-1", "from": ALICE, "to": CAROL, "at": NOW - 60},
}


def sample(table: str, **changes: Any) -> dict[str, Any]:
    """A good row of a table, with some values changed."""
    return {**SAMPLES[table], **changes}


def write(file: Path, rows: Sequence[Row]) -> Path:
    """Rows as a file, in the format that its name says."""
    contents: bytes
    if file.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(list(rows)), file)
        return file
    if ".csv" in file.suffixes:
        with file.open("w", newline="") as opened:
            writer = csv.DictWriter(opened, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        contents = file.read_bytes()
    else:
        contents = "".join(json.dumps(row) + "\n" for row in rows).encode()
    file.write_bytes(gzip.compress(contents) if file.suffix == ".gz" else contents)
    return file


def take(ledger: Ledger, *paths: Path, table: str | None = None, now: int = NOW, **options: Any) -> Summary:
    """Ingest files or folders, as the command does."""
    sources, left_out = [], []
    for path in paths:
        try:
            found, strange = find(path, TABLES[table] if table else None)
            sources += found
            left_out += strange
        except FileError as problem:
            left_out.append((str(path), str(problem)))
    return ingest(ledger, sources, now=now, late_limit=LATE_LIMIT, left_out=left_out, **options)


def feed(ledger: Ledger, folder: Path, rows: Mapping[str, Sequence[Row]], **options: Any) -> Summary:
    """Ingest rows by table."""
    folder.mkdir(exist_ok=True)
    paths = [write(folder / f"{table}-{len(list(folder.iterdir()))}.ndjson", of) for table, of in rows.items()]
    return take(ledger, *paths, **options)


def contents(ledger: Ledger, table: str) -> list[dict[str, Any]]:
    """All rows of a table, in ledger order."""
    entries = [entry for entry in ledger.entries() if entry.table == table]
    return [row for entry in entries for row in pq.read_table(ledger.path(entry)).to_pylist()]


def aside(files: Sequence[str]) -> list[dict[str, Any]]:
    """The records of quarantine or conflict files."""
    return [json.loads(line) for file in files for line in Path(file).read_text().splitlines()]
