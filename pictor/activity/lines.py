"""Lines of CSV and NDJSON as columns of text: fast where the lines are plain, and each broken line set apart."""

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json

from pictor.activity.schemas import Table, Text, Whole

BLOCK_BYTES = 1 << 24  # read at a time; no line is longer

Numbers = npt.NDArray[np.int64]
Broken = list[tuple[int, str, str]]  # number, reason and text of lines that gave no row
Progress = Callable[[int], None]  # told how many more bytes have been read


class FileError(Exception):
    """A file, or the rest of one, that cannot be taken. The message is the reason, without the file's name."""


@dataclass(frozen=True)
class Piece:
    """Some rows of a file, under the file's own column names. `numbers` are lines of a text file, else rows, both from 1."""

    rows: pa.RecordBatch
    numbers: Numbers
    lines: pa.Array | None = None  # the text of each row, where the file is text
    broken: Broken = field(default_factory=list)


def blocks(opened: IO[bytes], progress: Progress, size: int) -> Iterator[tuple[int, bytes]]:
    """Whole lines, about `BLOCK_BYTES` at a time, each with the number of its first line."""
    number, rest, done = 1, b"", 0
    while True:
        block = opened.read(BLOCK_BYTES)
        whole, found, rest = (rest + block).rpartition(b"\n") if block else (rest, b"", b"")
        if whole or found:
            yield number, whole + found
            number += whole.count(b"\n") + 1
        if len(rest) > BLOCK_BYTES:
            raise FileError(f"line {number} has no end: it is longer than {BLOCK_BYTES} bytes")
        raw = getattr(opened, "fileobj", opened)
        progress(min(raw.tell(), size) - done)
        done = min(raw.tell(), size)
        if not block:
            return


def _lines(number: int, block: bytes) -> tuple[pa.Array, Numbers, Broken]:
    """The lines of a block that are not empty, their numbers, and those that are not UTF-8."""
    data = np.frombuffer(block, dtype=np.uint8)
    ends = np.flatnonzero(data == ord("\n")).astype(np.int32) + 1
    if len(data) and data[-1] != ord("\n"):
        ends = np.append(ends, np.int32(len(data)))
    offsets = np.append(np.int32(0), ends).astype(np.int32)
    raw = pa.Array.from_buffers(pa.binary(), len(ends), [None, pa.py_buffer(offsets), pa.py_buffer(block)])
    numbers = np.arange(number, number + len(ends))
    broken: Broken = []
    try:
        lines = raw.cast(pa.string())
    except pa.ArrowInvalid:
        values = raw.to_pylist()
        good = [i for i, value in enumerate(values) if _decodes(value)]
        bad = set(range(len(values))).difference(good)
        broken = [(int(numbers[i]), "the line is not UTF-8", repr(values[i])) for i in sorted(bad)]
        lines, numbers = raw.take(pa.array(good, pa.int64())).cast(pa.string()), numbers[good]
    lines = pc.utf8_rtrim(lines, "\r\n")
    there = pc.greater(pc.binary_length(lines), 0).to_numpy(zero_copy_only=False)
    return lines.filter(pa.array(there)), numbers[there], broken


def _encodes(value: str) -> bool:
    """JSON can escape halves of characters, which no text has."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _decodes(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def header(table: Table, line: bytes) -> list[str]:
    """The column names in the first line of a CSV. Raises FileError if it is no such line."""
    try:
        names = next(csv.reader([line.decode().rstrip("\r\n")], strict=True), [])
    except (UnicodeDecodeError, csv.Error):
        names = []
    if not set(names) & set(table.columns):
        raise FileError(f"has no first line with the names of its columns ({', '.join(table.columns)})")
    return names


def csv_piece(table: Table, names: list[str], number: int, block: bytes) -> Piece:
    """The rows in a block of CSV that begins with line `number`."""
    lines, numbers, broken = _lines(number, block)
    if len(lines) and not block.endswith(b"\n") and not _is_whole(table, names[-1], lines[-1].as_py().rpartition(",")[2]):
        broken.append((int(numbers[-1]), "the line has no end: the file may be cut off here", lines[-1].as_py()))
        lines, numbers = lines[:-1], numbers[:-1]
    quoted = pc.match_substring(lines, '"').to_numpy(zero_copy_only=False) if len(lines) else np.zeros(0, dtype=bool)
    plain = lines.filter(pa.array(~quoted))
    fields = pc.split_pattern(plain, ",")
    counts = pc.list_value_length(fields).to_numpy(zero_copy_only=False)
    fits = counts == len(names)
    broken += [
        (int(number), f"{count} fields where the first line names {len(names)}", text)
        for number, count, text in zip(numbers[~quoted][~fits], counts[~fits], plain.filter(pa.array(~fits)).to_pylist(), strict=True)
    ]
    values = fields.filter(pa.array(fits)).flatten()
    columns = [values.take(pa.array(np.arange(i, len(values), len(names)))) for i in range(len(names))]
    kept, kept_lines = numbers[~quoted][fits], plain.filter(pa.array(fits))
    if quoted.any():
        rows, at, texts = _quoted(names, lines.filter(pa.array(quoted)).to_pylist(), numbers[quoted].tolist(), broken)
        order = np.argsort(np.append(kept, np.array(at, dtype=np.int64)), kind="stable")
        columns = [
            pa.concat_arrays([column, pa.array([row[i] for row in rows], pa.string())]).take(pa.array(order))
            for i, column in enumerate(columns)
        ]
        kept_lines = pa.concat_arrays([kept_lines, pa.array(texts, pa.string())]).take(pa.array(order))
        kept = np.append(kept, np.array(at, dtype=np.int64))[order]
    return Piece(pa.RecordBatch.from_arrays(columns, names=names), kept, kept_lines, broken)


def _is_whole(table: Table, name: str, field: str) -> bool:
    """Whether the last field of a file cannot be the begin of a longer one. A number with digits missing would be taken for another."""
    kind = table.columns.get(name)
    if isinstance(kind, Whole):
        return len(field.lstrip("-")) >= len(str(kind.high))
    return field.endswith('"') if isinstance(kind, Text) else True


def _quoted(names: list[str], lines: list[str], numbers: list[int], broken: Broken) -> tuple[list[list[str]], list[int], list[str]]:
    """The fields of lines that hold a quote; those that do not parse go to `broken`."""
    rows, at, texts = [], [], []
    for number, line in zip(numbers, lines, strict=True):
        try:
            fields = next(csv.reader([line], strict=True))
        except csv.Error as error:
            broken.append((number, f"not CSV: {error}", line))
            continue
        if len(fields) != len(names):
            broken.append((number, f"{len(fields)} fields where the first line names {len(names)}", line))
            continue
        rows.append(fields)
        at.append(number)
        texts.append(line)
    return rows, at, texts


def ndjson_piece(table: Table, number: int, block: bytes) -> Piece:
    """The rows in a block of NDJSON that begins with line `number`."""
    lines, numbers, broken = _lines(number, block)
    if len(lines) == 0:
        return Piece(
            pa.RecordBatch.from_arrays([pa.array([], one.type) for one in table.schema], names=list(table.columns)), numbers, lines, broken
        )
    options = pa.json.ParseOptions(
        explicit_schema=pa.schema([(one.name, one.type) for one in table.schema]), unexpected_field_behavior="error"
    )
    keys = pc.min_max(pc.count_substring(lines, '":')).as_py()
    try:
        # Arrow is quick, but takes a key that stands twice, and one bad line spoils its whole answer.
        if (keys["min"], keys["max"]) == (len(table.columns), len(table.columns)):
            text = pa.BufferReader("\n".join(lines.to_pylist()).encode())
            rows = pa.json.read_json(text, parse_options=options).combine_chunks().to_batches()[0]
            if rows.num_rows == len(lines):
                return Piece(rows, numbers, lines, broken)
    except (pa.ArrowException, IndexError):
        pass
    return _ndjson_line_by_line(table, lines.to_pylist(), numbers.tolist(), broken)


def _ndjson_line_by_line(table: Table, lines: list[str], numbers: list[int], broken: Broken) -> Piece:
    rows, at, texts = [], [], []
    for number, line in zip(numbers, lines, strict=True):
        fault, row = _json_row(table, line)
        if fault:
            broken.append((number, fault, line))
        else:
            rows.append(row)
            at.append(number)
            texts.append(line)
    columns = [pa.array([row[name] for row in rows], pa.string()) for name in table.columns]
    return Piece(
        pa.RecordBatch.from_arrays(columns, names=list(table.columns)), np.array(at, dtype=np.int64), pa.array(texts, pa.string()), broken
    )


def _json_row(table: Table, line: str) -> tuple[str, dict[str, str | None]]:
    """What is wrong with the line, or nothing and its values as text."""
    try:
        pairs: Any = json.loads(line, object_pairs_hook=list)
    except (ValueError, RecursionError) as error:  # also an integer of thousands of digits
        return f"not JSON: {error}", {}
    if not line.lstrip().startswith("{"):
        return "not a JSON object", {}
    row = dict(pairs)
    if len(row) < len(pairs):
        return "a column stands twice", {}
    for name in row:
        if name not in table.columns:
            return f'column "{name}" is unknown', {}
    values: dict[str, str | None] = {}
    for name, kind in table.columns.items():
        if name not in row:
            return f'column "{name}" is missing', {}
        value = row[name]
        if isinstance(kind, Whole) and type(value) is int:
            value = str(value)
        if isinstance(value, str) and not value.isascii() and not _encodes(value):
            return f"{name}: {value!a} is not text", {}
        if value is not None and not isinstance(value, str):
            return f"{name}: {json.dumps(value)[:80]} is not {'a whole number' if isinstance(kind, Whole) else 'text'}", {}
        values[name] = value
    return "", values
