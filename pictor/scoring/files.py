"""Scores as files: who holds a pass comes in as CSV, who is eligible and the standings go out as CSV."""

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from pictor.scoring.points import STANDINGS
from pictor.scoring.standings import HOLDERS, EpochScores, HoldersError
from pictor.units import TIME_LIMIT, AddressError, Role, parse_address

_PLAIN = "^0x[0-9a-f]{40}$"
_WORDS = {role.name.lower(): int(role) for role in Role}
_TEXT = pyarrow.csv.ConvertOptions(column_types={name: pa.string() for name in HOLDERS.names}, strings_can_be_null=False)


def read_holders(path: Path) -> pa.Table:
    """The holders in a CSV file `account,role,issued_at` (role `creator` or `worker`, Unix seconds). Raises HoldersError with the line."""
    try:
        raw = pyarrow.csv.read_csv(path, convert_options=_TEXT)
    except (pa.ArrowInvalid, OSError) as error:
        raise HoldersError(f"{path}: {str(error).splitlines()[0]}") from None
    if missing := [name for name in HOLDERS.names if name not in raw.column_names]:
        raise HoldersError(f"{path}: no column {missing[0]}; the first line has to be {','.join(HOLDERS.names)}")
    raw = raw.combine_chunks()
    accounts = raw["account"].to_pylist() if not pc.all(pc.match_substring_regex(raw["account"], _PLAIN)).as_py() else None
    if accounts is not None:
        for line, account in enumerate(accounts):
            try:
                accounts[line] = parse_address(account)
            except AddressError as error:
                raise HoldersError(f"{path}, line {line + 2}: {error}") from None
    roles = pc.index_in(raw["role"], pa.array(list(_WORDS)))
    _refuse(path, raw, "role", pc.is_null(roles), f"none of {', '.join(_WORDS)}")
    digits = pc.match_substring_regex(raw["issued_at"], "^[0-9]{1,10}$")
    _refuse(path, raw, "issued_at", pc.invert(digits), "not Unix seconds")
    issued_at = pc.cast(raw["issued_at"], pa.int64())
    _refuse(path, raw, "issued_at", pc.greater_equal(issued_at, TIME_LIMIT), "not Unix seconds (milliseconds?)")
    role = pc.take(pa.array(list(_WORDS.values()), pa.int8()), roles)
    return pa.table([raw["account"] if accounts is None else pa.array(accounts, pa.string()), role, issued_at], schema=HOLDERS)


def _refuse(path: Path, raw: pa.Table, column: str, bad: pa.ChunkedArray, reason: str) -> None:
    line = pc.index(bad, True).as_py()
    if line >= 0:
        raise HoldersError(f"{path}, line {line + 2}: {column} {raw[column][line].as_py()!r} is {reason}")


def write_scores(scores: EpochScores, folder: Path) -> None:
    """Write `eligible.csv` and `standings.csv` to `folder`, which is made if need be; on an error, neither. Raises OSError."""
    role = {name: _role_words(table["role"]) for name, table in (("eligible", scores.eligible), ("standings", scores.standings))}
    columns = {name: pc.cast(scores.standings[name], pa.int8()) if name == "prioritized" else scores.standings[name] for name in STANDINGS}
    tables = {
        "eligible.csv": pa.table({"account": scores.eligible["account"], "role": role["eligible"]}),
        "standings.csv": pa.table(columns | {"role": role["standings"]}),
    }
    folder.mkdir(parents=True, exist_ok=True)
    partial = {name: folder / f".{name}.{os.getpid()}.partial" for name in tables}
    try:
        for name, table in tables.items():
            with partial[name].open("wb") as file:
                file.write((",".join(table.column_names) + "\n").encode())
                options = pyarrow.csv.WriteOptions(include_header=False, quoting_style="none")
                pyarrow.csv.write_csv(table, file, options)
                file.flush()
                os.fsync(file.fileno())
        for name, path in partial.items():
            path.replace(folder / name)
    finally:
        for path in partial.values():
            path.unlink(missing_ok=True)


def _role_words(roles: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.take(pa.array(list(_WORDS)), pc.index_in(roles, pa.array(list(_WORDS.values()), pa.int8())))
