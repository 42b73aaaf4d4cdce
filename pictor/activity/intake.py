"""Files of activity as they come: Parquet, CSV or NDJSON, read in pieces of bounded size, with each broken line set apart.

CSV and NDJSON hold one row a line (a quoted CSV field may hold commas and quotes, no line break), so what breaks a line costs that line.
Both may be gzipped. A CSV begins with a line of column names.
"""

import fcntl
import gzip
import json
import signal
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pictor.activity.lines import BLOCK_BYTES, FileError, Piece, Progress, blocks, csv_piece, header, ndjson_piece
from pictor.activity.schemas import Table, table_of

PIECE_ROWS = 1 << 20  # of a Parquet file, at a time
SUFFIXES = {".parquet": "parquet", ".csv": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson", ".json": "ndjson"}


@dataclass(frozen=True)
class Source:
    """A file to take: its path, the name by which it is reported, its format and the table that it holds."""

    path: Path
    name: str
    format: str
    table: Table
    packed: bool = False


def find(path: Path, table: Table | None) -> tuple[list[Source], list[tuple[str, str]]]:
    """What to take at `path`, a file or a folder: the sources in the order of their names, and (name, reason) of what is left out.

    In a folder, hidden files and whatever has no format's suffix (a file under its temporary name, a note) are passed over.
    Raises FileError if there is nothing at all.
    """
    if not path.exists():
        raise FileError("there is no such file")
    if not path.is_dir():
        return [_source(path, table)], []
    sources, left_out = [], []
    for one in sorted(path.rglob("*")):
        inside = one.relative_to(path)
        if not one.is_file() or any(part.startswith((".", "_")) for part in inside.parts) or _format(one) is None:
            continue
        try:
            sources.append(_source(one, table))
        except FileError as problem:
            left_out.append((str(one), str(problem)))
    if not sources:
        raise FileError("no file of activity in this folder")
    return sources, left_out


def _format(path: Path) -> str | None:
    """Told by the suffix; text may be gzipped."""
    packed = path.suffix == ".gz"
    kind = SUFFIXES.get(path.with_suffix("").suffix if packed else path.suffix)
    return None if packed and kind == "parquet" else kind


def _source(path: Path, table: Table | None) -> Source:
    kind = _format(path)
    if kind is None:
        raise FileError(f"is neither Parquet, CSV nor NDJSON by its name ({', '.join(SUFFIXES)}; text also with .gz)")
    table = table or table_of(path.name)
    if table is None:
        raise FileError("its name begins with no table's name; name the table")
    return Source(path, str(path), kind, table, path.suffix == ".gz")


def spooled(stream: IO[bytes], table: Table, path: Path) -> Source:
    """Standard input, written to the file `path`; its format is told by its first bytes."""
    with path.open("wb") as spool:
        while block := stream.read(BLOCK_BYTES):
            spool.write(block)
    with path.open("rb") as spool:
        begin = spool.read(64)
    packed = begin.startswith(b"\x1f\x8b")
    if packed:
        with gzip.open(path) as unpacked:
            begin = unpacked.read(64)
    kind = "parquet" if begin.startswith(b"PAR1") else "ndjson" if begin.lstrip().startswith(b"{") else "csv"
    return Source(path, "standard input", kind, table, packed)


def read(source: Source, progress: Progress = lambda _: None) -> Iterator[Piece]:
    """The rows of a file, piece by piece. Raises FileError at the point from which on it cannot be read.

    A file that somebody has open for writing, or that changes meanwhile, is left for the next time.
    """
    if _is_being_written(source.path):
        raise FileError("is being written; left for the next time")
    try:
        before = source.path.stat()
        yield from _parquet(source, progress) if source.format == "parquet" else _text(source, progress)
        after = source.path.stat()
    except OSError as error:  # Arrow's errors of reading are among these
        raise FileError(f"cannot be read: {error.strerror or _first_line(error)}") from None
    except (pa.ArrowException, EOFError, zlib.error) as error:
        raise FileError(f"is damaged or cut off: {_first_line(error)}") from None
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise FileError("changed while it was read; what was added is left for the next time")


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0]


def _is_being_written(path: Path) -> bool:
    """Whether some process has the file open for writing, where the system can tell (Linux grants no read lease then)."""
    if sys.platform != "linux":
        return False
    with path.open("rb") as opened:
        try:
            fcntl.fcntl(opened, 10, signal.SIGURG)  # F_SETSIG: a signal that is ignored, should a writer come just now
            fcntl.fcntl(opened, fcntl.F_SETLEASE, fcntl.F_RDLCK)
            fcntl.fcntl(opened, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        except BlockingIOError:
            return True
        except OSError:
            return False  # a file system without leases
    return False


def _parquet(source: Source, progress: Progress) -> Iterator[Piece]:
    size = source.path.stat().st_size
    with pq.ParquetFile(source.path) as opened:
        coded = _dictionary_columns(opened)
    with pq.ParquetFile(source.path, read_dictionary=coded) as opened:
        total, first = opened.metadata.num_rows, 1
        # Arrow can do little with views of text, which newer writers like.
        plain = pa.schema([one.with_type(pa.string()) if pa.types.is_string_view(one.type) else one for one in opened.schema_arrow])
        for rows in opened.iter_batches(PIECE_ROWS):
            yield Piece(rows.cast(plain), np.arange(first, first + rows.num_rows))
            first += rows.num_rows
            progress(size * rows.num_rows // total)


def _dictionary_columns(opened: pq.ParquetFile) -> list[str]:
    """The columns of text that are dictionary-encoded in the file: kept so, they need not be encoded again."""
    schema, meta = opened.schema_arrow, opened.metadata
    if meta.num_row_groups == 0:
        return []
    first = {meta.row_group(0).column(i).path_in_schema: meta.row_group(0).column(i).encodings for i in range(meta.num_columns)}
    return [one.name for one in schema if pa.types.is_string(one.type) and "RLE_DICTIONARY" in first.get(one.name, ())]


def _text(source: Source, progress: Progress) -> Iterator[Piece]:
    with cast(IO[bytes], (gzip.open if source.packed else open)(source.path, "rb")) as opened:
        pieces = blocks(opened, progress, source.path.stat().st_size)
        if source.format == "ndjson":
            for number, block in pieces:
                yield ndjson_piece(source.table, number, block)
            return
        number, block = next(pieces, (1, b""))
        head, _, rest = block.removeprefix(b"\xef\xbb\xbf").partition(b"\n")
        names = header(source.table, head)
        yield csv_piece(source.table, names, 2, rest)
        for number, block in pieces:
            yield csv_piece(source.table, names, number, block)


def texts_of(rows: pa.RecordBatch) -> list[str]:
    """Rows as JSON text, for people to read: what a file without lines had in them."""
    plain = [column.dictionary_decode() if pa.types.is_dictionary(column.type) else column for column in rows.columns]
    # As bytes: text in a file need not be UTF-8.
    readable = [column.cast(pa.binary()) if pa.types.is_string(column.type) else column for column in plain]
    return [
        json.dumps(row, default=_readable, ensure_ascii=False)
        for row in pa.RecordBatch.from_arrays(readable, names=rows.schema.names).to_pylist()
    ]


def _readable(value: object) -> str:
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else str(value)


def size_of(source: Source) -> int:
    """Bytes, for progress; 0 if the file is gone."""
    try:
        return source.path.stat().st_size
    except OSError:
        return 0
