"""The six tables of activity: columns, types and ranges of a row as it stands in the ledger, and which file holds which table.

Normalised, accounts are text (`0x` and 40 lower-case hex digits), numbers int64, everything else text; nothing is ever null. The ranges
keep every sum over a plausible network inside int64: 9 000 rows of the greatest amount, or ten years of the greatest GPU factor.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import pyarrow as pa

from pictor.units import MICRO, TIME_LIMIT

KINDS = ("paid", "bonus")
OUTCOMES = ("completed", "failed", "void")

AMOUNT_LIMIT = 10**9 * MICRO  # a recharge, spend or refund is at most a thousand million USDT
HASHPOWER_LIMIT = MICRO  # a thousand times the reference GPU
VRAM_LIMIT = 1 << 24  # 16 TiB
TEXT_LIMIT = 256  # bytes of UTF-8


@dataclass(frozen=True)
class Text:
    """Opaque text, told apart by its UTF-8 bytes: 1 to `TEXT_LIMIT` of them, no control characters."""


@dataclass(frozen=True)
class Ref(Text):
    """A producer's unique, opaque id. The form `chainId:txHash:logIndex` is kept for what is read from a chain."""


@dataclass(frozen=True)
class Account:
    """An address other than zero."""


@dataclass(frozen=True)
class Whole:
    """An integer in `low` to `high`, both included."""

    low: int
    high: int


@dataclass(frozen=True)
class Choice:
    """One of a few words."""

    words: tuple[str, ...]


Kind = Text | Account | Whole | Choice
TIME = Whole(0, TIME_LIMIT - 1)
AMOUNT = Whole(-AMOUNT_LIMIT, AMOUNT_LIMIT)


@dataclass(frozen=True)
class Table:
    """A table of activity. `columns` in the order in which they stand in a batch."""

    name: str
    columns: Mapping[str, Kind]

    @property
    def schema(self) -> pa.Schema:
        """Of the normalised rows."""
        return pa.schema(
            [pa.field(name, pa.int64() if isinstance(kind, Whole) else pa.string(), nullable=False) for name, kind in self.columns.items()]
        )

    @property
    def has_refs(self) -> bool:
        """Whether a row is a fact with a `ref`. A heartbeat is not: the minute that it vouches for is all that it says."""
        return "ref" in self.columns

    @property
    def accounts(self) -> tuple[str, ...]:
        """The columns that hold an account."""
        return tuple(name for name, kind in self.columns.items() if isinstance(kind, Account))


TABLES: Mapping[str, Table] = MappingProxyType(
    {
        table.name: table
        for table in (
            Table("recharges", {"ref": Ref(), "account": Account(), "amount": AMOUNT, "kind": Choice(KINDS), "at": TIME}),
            Table("spends", {"ref": Ref(), "account": Account(), "amount": AMOUNT, "kind": Choice(KINDS), "job": Text(), "at": TIME}),
            Table(
                "frames",
                {
                    "ref": Ref(),
                    "job": Text(),
                    "frame": Whole(-(1 << 31), (1 << 31) - 1),
                    "creator": Account(),
                    "worker": Account(),
                    "outcome": Choice(OUTCOMES),
                    "at": TIME,
                },
            ),
            Table("heartbeats", {"worker": Account(), "at": TIME}),
            Table(
                "gpus",
                {
                    "ref": Ref(),
                    "worker": Account(),
                    "model": Text(),
                    "hashpower": Whole(0, HASHPOWER_LIMIT),
                    "vram_mib": Whole(0, VRAM_LIMIT),
                    "at": TIME,
                },
            ),
            Table("links", {"ref": Ref(), "from": Account(), "to": Account(), "at": TIME}),
        )
    }
)


def table_of(file_name: str) -> Table | None:
    """The table that a file's name begins with: `frames-2026-01.parquet` holds frames. None if it begins with no table's name."""
    return next((table for name, table in TABLES.items() if file_name.startswith(name)), None)
