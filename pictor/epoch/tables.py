"""A table of an archive as a Parquet file: rows in the order of pass ids, in groups so small that one is found without reading the rest."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pictor.epoch.manifest import BadFileError, OversizedFileError
from pictor.units import Address, Role

GROUP_ROWS = 8_192
_NOBODY = ((Role.WORKER, Role.CREATOR), ("", ""))
ROW_BYTES = 256  # more than a row of any table takes uncompressed


def write_table(table: pa.Table, path: Path) -> None:
    """Writes the rows as they are. Hardly a value stands there twice, so dictionaries would only take space and time."""
    pq.write_table(table, path, row_group_size=GROUP_ROWS, compression="zstd", use_dictionary=False)


class TableFile:
    """A table in its file. Raises BadFileError or OversizedFileError where the file is not what it must be."""

    def __init__(self, path: Path, schema: pa.Schema, most_rows: int) -> None:
        """Reads what the file says of itself: columns, rows, groups, and the passes that each group spans."""
        self._path = path
        try:
            self._file = pq.ParquetFile(path, memory_map=True)
        except (pa.ArrowException, OSError) as error:
            raise BadFileError(f"{path}: {error}") from None
        if not self._file.schema_arrow.equals(schema):
            raise BadFileError(f"{path}: has not the columns {', '.join(f'{each.name} {each.type}' for each in schema)}")
        metadata = self._file.metadata
        if metadata.num_rows > most_rows:
            raise OversizedFileError(f"{path}: has {metadata.num_rows} rows; {most_rows} is the most")
        self._spans = [self._span(number, metadata.row_group(number)) for number in range(metadata.num_row_groups)]

    def _span(self, number: int, group: Any) -> tuple[Any, Any]:
        """The least and the greatest role, and account, of a group."""
        if group.num_rows > GROUP_ROWS or group.total_byte_size > GROUP_ROWS * ROW_BYTES:
            raise OversizedFileError(f"{self._path}: group {number} has {group.num_rows} rows in {group.total_byte_size} bytes")
        if not group.num_rows:
            return _NOBODY  # of an empty table, which has one group or none
        roles, accounts = (group.column(self._file.schema_arrow.names.index(name)).statistics for name in ("role", "account"))
        if not (roles and roles.has_min_max and accounts and accounts.has_min_max):
            raise BadFileError(f"{self._path}: group {number} does not say which passes it spans")
        return (roles.min, roles.max), (accounts.min, accounts.max)

    def __len__(self) -> int:
        """How many rows there are."""
        return int(self._file.metadata.num_rows)

    def read(self) -> pa.Table:
        """The whole table."""
        try:
            return self._file.read()
        except (pa.ArrowException, OSError) as error:
            raise BadFileError(f"{self._path}: {error}") from None

    def row(self, role: Role, account: Address) -> dict[str, Any] | None:
        """The row of a pass; None if there is none."""
        for number, (roles, accounts) in enumerate(self._spans):
            if roles[0] <= role <= roles[1] and accounts[0] <= account <= accounts[1]:
                try:
                    group = self._file.read_row_group(number)
                except (pa.ArrowException, OSError) as error:
                    raise BadFileError(f"{self._path}: {error}") from None
                found = group.filter((pc.field("role") == int(role)) & (pc.field("account") == account)).to_pylist()
                if found:
                    return dict(found[0])
        return None
