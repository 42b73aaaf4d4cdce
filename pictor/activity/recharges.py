"""On-chain recharges: each party's own, block-hashed record of the transfers into the treasuries, cut by block.

    recharges/<chainId>/
      log.json                        what is recorded: token, its decimals, treasury, first block
      spans/<first>-<last>.parquet    the transfers of a range of finalised blocks, as rows of `recharges`; ranges follow without gaps

Each span's file says the hash of its last block and of the block before its first, and each row the hash of its block. So spans are
linked as blocks are, and a provider that has another past than the one recorded is noticed.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from web3 import Web3

from pictor.activity.schemas import AMOUNT_LIMIT, TABLES
from pictor.activity.storage import LocalStorage
from pictor.activity.transfers import ProviderError, Span, TransferReader
from pictor.policy import ChainRules
from pictor.units import to_micro

FORMAT = 1
_SPAN = re.compile(r"(\d{12})-(\d{12})\.parquet")
_NOBODY = "0x" + "0" * 40
_SCHEMA = pa.schema([*TABLES["recharges"].schema, pa.field("block", pa.int64(), False), pa.field("block_hash", pa.string(), False)])


class RechargeLogError(Exception):
    """A recharge log that cannot be used: another configuration, a gap, a damaged file."""


class ChangedBlockError(ProviderError):
    """A finalised block is not the one that was recorded: a rewritten chain, or a provider on another one."""


@dataclass(frozen=True)
class Held:
    """How far a log goes: its last block, with its hash and time."""

    block: int
    hash: str
    time: int


@dataclass(frozen=True)
class Synced:
    """What a sync did. `dust` is in the token's units; `refused` counts transfers that are no recharges (see `rows_of`)."""

    held: Held | None
    rows: int = 0
    dust: int = 0
    refused: int = 0


class RechargeLog:
    """The recharges that were read from all chains, below one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def open(cls, folder: Path) -> "RechargeLog":
        """The log in `folder` (of a ledger: `recharges`). There may be nothing in it yet."""
        return cls(folder)

    def chains(self) -> Sequence[int]:
        """The ids of the chains that something is held of."""
        if not self.folder.is_dir():
            return []
        return sorted(int(one.name) for one in self.folder.iterdir() if one.name.isdecimal() and self._spans(int(one.name)))

    def head(self, chain: int) -> int:
        """The last block held. Raises RechargeLogError if nothing is held of the chain."""
        return self.held(chain).block

    def held(self, chain: int) -> Held:
        """The last block held. Raises RechargeLogError if nothing is held of the chain."""
        spans = self._spans(chain)
        if not spans:
            raise RechargeLogError(f"{self.folder / str(chain)}: nothing is held of chain {chain}")
        about = _about(self._file(chain, spans[-1]))
        return Held(spans[-1][1], about["last_hash"], about["last_time"])

    def table(self, chain: int, first: int, last: int) -> pa.Table:
        """The recharges in the blocks `first` to `last`, both included: the columns of `recharges` and `block`, in the chain's order.

        Raises RechargeLogError if the log does not go as far.
        """
        if last > self.head(chain):
            raise RechargeLogError(f"{self.folder / str(chain)}: goes to block {self.head(chain)}, not to {last}")
        files = [self._file(chain, span) for span in self._spans(chain) if span[0] <= last and span[1] >= first]
        names = [name for name in _SCHEMA.names if name != "block_hash"]
        tables = [pq.read_table(file, columns=names, filters=[("block", ">=", first), ("block", "<=", last)]) for file in files]
        return pa.concat_tables([pa.schema([_SCHEMA.field(name) for name in names]).empty_table(), *tables])

    def sync(
        self, chain: ChainRules, web3: Web3, stop: int | None = None, progress: Callable[[int], None] = lambda _: None, wait: float = 60
    ) -> Synced:
        """Record what is finalised and not yet held, up to block `stop` if given. Goes on where it was killed.

        A provider that lags behind the log adds nothing. Raises ProviderError (ChangedBlockError among them) without having
        taken anything doubtful, RechargeLogError if the log was made for another token or treasury, StorageBusyError.
        """
        reader = TransferReader(web3, chain)
        storage = LocalStorage(self.folder / str(chain.chain_id))
        with storage.locked(wait):
            decimals = self._configure(storage, chain, reader)
            newest = reader.finalized().number
            last = newest if stop is None else min(stop, newest)
            done = Synced(self.held(chain.chain_id) if self._spans(chain.chain_id) else None)
            if done.held and done.held.block <= newest:
                [now] = reader.headers([done.held.block])
                if now.hash != done.held.hash:
                    raise ChangedBlockError(
                        f"chain {chain.chain_id}: finalised block {now.number} was {done.held.hash} and is now {now.hash};"
                        " if the provider is right, move the log away and read it anew"
                    )
            first = done.held.block + 1 if done.held else chain.first_block
            for span in reader.spans(first, last):
                done = self._record(storage, chain, decimals, span, done)
                progress(span.last.number - span.first.number + 1)
            return done

    def _configure(self, storage: LocalStorage, chain: ChainRules, reader: TransferReader) -> int:
        """Say what the log is of, or check that it says so; the token's decimals."""
        wanted = {"format": FORMAT, **asdict(chain), "decimals": reader.decimals()}
        if not storage.exists("log.json"):
            storage.create("log.json", json.dumps(wanted, sort_keys=True, separators=(",", ":")).encode())
        found = json.loads(storage.read("log.json"))
        for name, value in wanted.items():
            if found.get(name) != value:
                raise RechargeLogError(f"{storage.root}: was made for {name} {found.get(name)}, not {value}; move it away to read anew")
        return int(wanted["decimals"])

    def _record(self, storage: LocalStorage, chain: ChainRules, decimals: int, span: Span, done: Synced) -> Synced:
        if done.held and span.first.parent != done.held.hash:
            raise ChangedBlockError(
                f"chain {chain.chain_id}: block {span.first.number} does not follow {done.held.hash}, the last one held"
            )
        rows, dust, refused = rows_of(chain, decimals, span)
        about = {
            "before": span.first.parent,
            "last_hash": span.last.hash,
            "last_time": span.last.time,
            "dust": str(dust),
            "refused": refused,
        }
        file = storage.partial()
        pq.write_table(rows.replace_schema_metadata({"span": json.dumps(about)}), file, compression="zstd")
        storage.adopt(f"spans/{span.first.number:012d}-{span.last.number:012d}.parquet", file)
        held = Held(span.last.number, span.last.hash, span.last.time)
        return Synced(held, done.rows + rows.num_rows, done.dust + dust, done.refused + refused)

    def _spans(self, chain: int) -> list[tuple[int, int]]:
        """First and last block of each span, in order. Raises RechargeLogError if there is a gap between two."""
        folder = self.folder / str(chain) / "spans"
        found = [_SPAN.fullmatch(one.name) for one in folder.iterdir()] if folder.is_dir() else []
        spans = sorted((int(match[1]), int(match[2])) for match in found if match)
        for one, two in pairwise(spans):
            if two[0] != one[1] + 1:
                raise RechargeLogError(f"{folder}: a gap between block {one[1]} and block {two[0]}")
        return spans

    def _file(self, chain: int, span: tuple[int, int]) -> Path:
        return self.folder / str(chain) / "spans" / f"{span[0]:012d}-{span[1]:012d}.parquet"

    def check(self, chain: ChainRules, web3: Web3) -> None:
        """Read everything that is held again, and compare. Raises RechargeLogError where files do not link, ChangedBlockError."""
        reader = TransferReader(web3, chain)
        decimals = reader.decimals()
        before = None
        for first, last in self._spans(chain.chain_id):
            file = self._file(chain.chain_id, (first, last))
            about = _about(file)
            if before is not None and about["before"] != before:
                raise RechargeLogError(f"{file}: does not follow the span before it")
            before = about["last_hash"]
            spans = list(reader.spans(first, last))
            rows = pa.concat_tables(rows_of(chain, decimals, span)[0] for span in spans)
            same = (spans[0].first.parent, spans[-1].last.hash) == (about["before"], before)
            if not same or not rows.equals(pq.read_table(file).replace_schema_metadata(None)):
                raise ChangedBlockError(f"{file}: the provider has other blocks or transfers there")


def rows_of(chain: ChainRules, decimals: int, span: Span) -> tuple[pa.Table, int, int]:
    """The recharges of a span, the dust that was dropped (in the token's units), and the number of transfers that are none.

    None is a transfer from the zero address (a mint), or of more than an amount can be. Less than a micro-USDT is all dust.
    """
    rows: list[dict[str, Any]] = []
    dust = refused = 0
    for transfer in span.transfers:
        amount, rest = to_micro(transfer.value, decimals)
        if transfer.sender == _NOBODY or amount > AMOUNT_LIMIT:
            refused += 1
            continue
        dust += rest
        if amount == 0:
            continue
        rows.append(
            {
                "ref": f"{chain.chain_id}:{transfer.transaction}:{transfer.index}",
                "account": transfer.sender,
                "amount": amount,
                "kind": "paid",
                "at": span.times[transfer.block],
                "block": transfer.block,
                "block_hash": transfer.block_hash,
            }
        )
    return pa.Table.from_pylist(rows, _SCHEMA), dust, refused


def _about(file: Path) -> dict[str, Any]:
    try:
        about: dict[str, Any] = json.loads(pq.read_schema(file).metadata[b"span"])
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError):
        raise RechargeLogError(f"{file}: damaged") from None
    return about
