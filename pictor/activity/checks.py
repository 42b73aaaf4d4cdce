"""Whether rows fit their table's schema: whole columns at a time, with a reason for each row that does not."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pictor.activity.schemas import TABLES, TEXT_LIMIT, Account, Choice, Kind, Ref, Table, Text, Whole
from pictor.units import wrong_checksums

Mask = npt.NDArray[np.bool_]

_NORMAL = "^0x[0-9a-f]{40}$"
_ONE_CASE = "^(0x[0-9a-f]{40}|0[xX][0-9A-F]{40})$"
_ANY_CASE = "^0x[0-9a-fA-F]{40}$"
_NOBODY = "0x" + "0" * 40
_INTEGER = "^-?[0-9]{1,18}$"
_CONTROL = r"[\x00-\x1f\x7f]"
_CHAIN_REF = "^[0-9]+:(0x)?[0-9a-fA-F]{64}:[0-9]+$"
_EXTREME = 1 << 62  # stands for whatever does not fit into 64 bits: outside every range


@dataclass
class Findings:
    """What is wrong with each row: the first thing found, or nothing."""

    rows: int
    reasons: dict[int, str] = field(default_factory=dict)

    def add(self, bad: Mask, column: pa.Array, say: Callable[[object], str]) -> None:
        """Give each row in `bad` the reason that `say` makes of its value, unless it has one."""
        at = [int(i) for i in np.flatnonzero(bad) if int(i) not in self.reasons]
        for i, value in zip(at, column.take(pa.array(at, pa.int64())).to_pylist(), strict=True):
            self.reasons[i] = say(value)

    def add_all(self, reason: str) -> None:
        """Give every row `reason`, unless it has one."""
        for i in range(self.rows):
            self.reasons.setdefault(i, reason)

    def good(self) -> Mask:
        """The rows without a reason."""
        mask = np.ones(self.rows, dtype=bool)
        mask[list(self.reasons)] = False
        return mask


def check(table: Table, rows: pa.RecordBatch, chain_refs: bool = False) -> tuple[pa.RecordBatch, Findings]:
    """Normalise `rows` (columns by name, as their file gave them) and say which are bad and why.

    The first part of the answer has the columns of `table`, with as many rows; what stands in a bad row means nothing. Repeated text is
    dictionary-encoded. `chain_refs` admits the refs that are kept for what is read from a chain.
    """
    findings = Findings(rows.num_rows)
    given = rows.schema.names
    for name in table.columns:
        if name not in given:
            findings.add_all(f'column "{name}" is missing')
        elif given.count(name) > 1:
            findings.add_all(f'column "{name}" stands twice')
    for name in given:
        if name not in table.columns:
            findings.add_all(f'column "{name}" is unknown')
    columns = []
    for name, kind in table.columns.items():
        if findings.rows and len(findings.reasons) == findings.rows:
            columns.append(pa.nulls(rows.num_rows, table.schema.field(name).type))  # nothing is left to check
        else:
            columns.append(_column(name, kind, rows.column(name), findings, chain_refs))
    return pa.RecordBatch.from_arrays(columns, names=list(table.columns)), findings


def _column(name: str, kind: Kind, column: pa.Array, findings: Findings, chain_refs: bool) -> pa.Array:
    if column.null_count:
        findings.add(_mask(pc.is_null(column)), column, lambda _: f"{name} is missing")
    if isinstance(kind, Whole):
        return _whole(name, kind, column, findings)
    text = _as_text(column)
    if text is None:
        findings.add(_mask(pc.is_valid(column)), column, lambda value: f"{name}: {_short(value)} is not text")
        return pa.nulls(len(column), pa.string())
    if isinstance(kind, Text):
        return _text(name, kind, text.cast(pa.string()), findings, chain_refs)
    coded = text if pa.types.is_dictionary(text.type) else text.dictionary_encode()
    return _account(name, coded, findings) if isinstance(kind, Account) else _choice(name, kind, coded, findings)


def _as_text(column: pa.Array) -> pa.Array | None:
    """Any of Arrow's forms of text as its plain one, dictionary-encoded where it was so; None for what is not text."""
    coded = pa.types.is_dictionary(column.type)
    values = column.type.value_type if coded else column.type
    if not any(is_text(values) for is_text in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)):
        return None
    return column.cast(pa.dictionary(pa.int32(), pa.string()) if coded else pa.string())


def _whole(name: str, kind: Whole, column: pa.Array, findings: Findings) -> pa.Array:
    text = _as_text(column)
    if text is not None:
        column = text.cast(pa.string())
        digits = pc.match_substring_regex(column, "^-?[0-9]+$")
        findings.add(_mask(pc.invert(digits)), column, lambda value: _no_value(name, value, "a whole number"))
        fits = pc.fill_null(pc.match_substring_regex(column, _INTEGER), False)
        numbers = pc.if_else(fits, column, str(_EXTREME)).cast(pa.int64())
    elif pa.types.is_integer(column.type) or (pa.types.is_decimal(column.type) and column.type.scale == 0):
        numbers = _int64(column)
    else:
        findings.add(_mask(pc.is_valid(column)), column, lambda value: f"{name}: {_short(value)} ({column.type}) is not a whole number")
        return pa.nulls(len(column), pa.int64())
    extremes = pc.min_max(numbers).as_py()
    if extremes["min"] is not None and (extremes["min"] < kind.low or extremes["max"] > kind.high):
        outside = pc.or_(pc.less(numbers, kind.low), pc.greater(numbers, kind.high))
        findings.add(_mask(outside), column, lambda value: _outside(name, kind, int(str(value))))
    return numbers


def _int64(column: pa.Array) -> pa.Array:
    """Integers of any type as int64; `_EXTREME` for what does not fit."""
    if pa.types.is_signed_integer(column.type):
        return column.cast(pa.int64())
    wide = column.cast(pa.decimal256(76, 0)) if pa.types.is_decimal(column.type) else column.cast(pa.decimal128(20, 0))
    limit = pa.scalar(_EXTREME, pa.int64()).cast(wide.type)
    fits = pc.and_(pc.less(wide, limit), pc.greater(wide, pc.negate(limit)))
    return pc.if_else(fits, wide, limit).cast(pa.int64())


def _outside(name: str, kind: Whole, value: int) -> str:
    if name == "at" and 10**8 <= value // 1000 <= kind.high:
        return f"at: {value} is in milliseconds; seconds are wanted"
    return f"{name}: {_short(value)} is not in {kind.low} to {kind.high}"


def _text(name: str, kind: Text, column: pa.Array, findings: Findings, chain_refs: bool) -> pa.Array:
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:  # not UTF-8 somewhere: nothing else can look at it
        raw = column.cast(pa.binary())
        bad = np.array([not _is_utf8(value) for value in raw.to_pylist()])
        findings.add(bad, raw, lambda value: f"{name}: {value!r} is not UTF-8")
        column = pc.if_else(pa.array(bad), None, raw).cast(pa.string())
    sizes = pc.min_max(pc.binary_length(column)).as_py()
    if sizes["min"] is not None and (sizes["min"] < 1 or sizes["max"] > TEXT_LIMIT):
        findings.add(_mask(pc.equal(pc.binary_length(column), 0)), column, lambda _: f"{name} is missing")
        findings.add(_mask(pc.greater(pc.binary_length(column), TEXT_LIMIT)), column, lambda value: f"{name}: {_short(value)} is too long")
    there = _bytes_of(column)
    if there[:32].any() or there[127]:
        bad = _mask(pc.match_substring_regex(column, _CONTROL))
        findings.add(bad, column, lambda value: f"{name}: {_short(value)} has a control character")
    if isinstance(kind, Ref) and not chain_refs and there[ord(":")]:
        bad = _mask(pc.match_substring_regex(column, _CHAIN_REF))
        findings.add(bad, column, lambda value: f"{name}: {_short(value)} has the form that is kept for what is read from a chain")
    return column


def _account(name: str, column: pa.DictionaryArray, findings: Findings) -> pa.Array:
    known = column.dictionary
    normal = _mask(pc.match_substring_regex(known, _NORMAL))
    if not normal.all():
        fine = _mask(pc.match_substring_regex(known, _ONE_CASE))
        mixed = _mask(pc.match_substring_regex(known, _ANY_CASE)) & ~fine
        wrong = pa.array(wrong_checksums(known.filter(pa.array(mixed)).to_pylist()), known.type)
        forged = _mask(pc.is_in(known, value_set=wrong))
        findings.add(_spread(column, forged), column, lambda value: f"{name}: {value} has a wrong checksum")
        findings.add(_spread(column, ~(fine | mixed)), column, lambda value: _no_value(name, value, "an address"))
        known = pc.ascii_lower(known)
    nobody = _mask(pc.equal(known, _NOBODY))
    if nobody.any():
        findings.add(_spread(column, nobody), column, lambda _: f"{name} is the zero address")
    return pa.DictionaryArray.from_arrays(column.indices, known)


def _choice(name: str, kind: Choice, column: pa.DictionaryArray, findings: Findings) -> pa.Array:
    fine = _mask(pc.is_in(column.dictionary, value_set=pa.array(kind.words, column.dictionary.type)))
    if not fine.all():
        findings.add(_spread(column, ~fine), column, lambda value: _no_value(name, value, "one of " + ", ".join(kind.words)))
    return column


def _spread(column: pa.DictionaryArray, of_value: Mask) -> Mask:
    """Per row, what `of_value` says of its value; False for rows without one."""
    codes = pc.fill_null(column.indices, len(of_value)).to_numpy(zero_copy_only=False)
    return cast(Mask, np.append(of_value, False)[codes])


def _bytes_of(column: pa.Array) -> Mask:
    """Which of the 256 byte values occur in a text column. A look at all bytes at once is far cheaper than one at each row."""
    offsets, data = column.buffers()[1:]
    there = np.zeros(256, dtype=bool)
    if len(column) and data is not None:
        ends = np.frombuffer(offsets, dtype=np.int32)[[column.offset, column.offset + len(column)]]
        there[np.frombuffer(data, dtype=np.uint8)[ends[0] : ends[1]]] = True
    return there


def _mask(answers: pa.Array) -> Mask:
    """An Arrow answer as a mask; no answer is no."""
    return np.asarray(pc.fill_null(answers, False).to_numpy(zero_copy_only=False), dtype=np.bool_)


def _is_utf8(value: bytes | None) -> bool:
    try:
        (value or b"").decode()
    except UnicodeDecodeError:
        return False
    return True


def _no_value(name: str, value: object, wanted: str) -> str:
    return f"{name}: {_short(value)} is not {wanted}" if value else f"{name} is missing"


def _short(value: object) -> str:
    text = str(value)
    return repr(text if len(text) <= 80 else text[:77] + "…")


def check_normalised(name: str, rows: pa.RecordBatch) -> str | None:
    """The first thing that is wrong with a batch that should hold normalised rows of table `name`; None if it does."""
    table = TABLES[name]
    normalised, findings = check(table, rows, chain_refs=True)
    for i, reason in sorted(findings.reasons.items()):
        return f"row {i + 1}: {reason}"
    for column in table.columns:
        if (
            not normalised.column(column)
            .cast(table.schema.field(column).type)
            .equals(rows.column(column).cast(table.schema.field(column).type))
        ):
            return f"{column} is not normalised"
    return None
