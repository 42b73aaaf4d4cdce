"""The ledger: an ordered, hash-chained list of immutable batches. What stands in it is never changed, only added to.

    LEDGER/
      ledger.json                     {"format":1}
      entries/000000000001.json …     one file for each entry, numbered without gaps
      batches/<sha256>.parquet        normalised rows, named by the hash of the file
      conflicts/  quarantine/         what was kept aside, with reasons: no part of the chain
      recharges/<chainId>/            what this party read from its own provider: no part of the chain
      cache/                          can be deleted at any time

The **head** of entry n is the SHA-256 of its file; the field `previous` holds the head of entry n − 1, and the head of "entry 0" is the
SHA-256 of `ledger.json`. So a head vouches for everything before it, and `sha256sum` is all that is needed to follow the chain. A
**position** is a number and the head there.

A batch is in place before its entry is created, and an entry is created whole and only if its number is free: whenever a writer is killed,
the ledger is the old one or the new one. A batch without an entry is no part of the ledger.
"""

import json
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

from pictor.activity.schemas import TABLES
from pictor.activity.storage import Storage, StorageBusyError, open_storage
from pictor.units import Timestamp

FORMAT = 1
GENESIS = b'{"format":1}'
FOLDERS = {"ledger.json", "entries", "batches", "conflicts", "quarantine", "recharges", "cache"}
_SOURCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)


class LedgerError(Exception):
    """The ledger cannot be read, or not written. The message says where and why."""


class LedgerBusyError(LedgerError):
    """Another writer is at work: nothing was written."""


class BrokenLedgerError(LedgerError):
    """What lies there is not what was written: a link of the chain, a hash or a count does not fit."""


@dataclass(frozen=True)
class Position:
    """A place in the ledger: after entry `number`, whose head is `hash` (64 hex digits). Written `NUMBER:HASH`."""

    number: int
    hash: str

    def __str__(self) -> str:
        return f"{self.number}:{self.hash}"


@dataclass(frozen=True)
class Entry:
    """One entry. Without a batch (`table`, `sha256`, `first_at`, `last_at` None, no rows) it only says how far its source is complete."""

    number: int
    table: str | None
    source: str
    sha256: str | None  # of the batch file, hex
    rows: int
    first_at: int | None  # the least and the greatest `at` of the rows
    last_at: int | None
    received_at: int
    backfill: bool
    complete_until: int | None  # the source has sent everything before
    latest_at: int  # the greatest `at` of all rows up to here: readers that want recent rows stop where it is too old
    previous: str
    head: str  # not in the file: the hash of it

    @property
    def position(self) -> Position:
        """The position after this entry."""
        return Position(self.number, self.head)

    def file(self) -> bytes:
        """The contents of the entry's file: JSON, keys sorted, no white space, all fields but `head`."""
        return _canonical({name: value for name, value in asdict(self).items() if name != "head"})


def _canonical(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def _entry_name(number: int) -> str:
    return f"entries/{number:012d}.json"


def batch_name(digest: str) -> str:
    """The file of the batch with this hash."""
    return f"batches/{digest}.parquet"


def hash_of(file: Path) -> str:
    """SHA-256 of a file, hex."""
    with file.open("rb") as opened:
        return file_digest(opened, "sha256").hexdigest()


class Ledger:
    """A ledger at a local path or an fsspec URL. Reading needs no lock; a position once seen stays true."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self._seen = 0  # a number that is known to exist: the search for the head starts there

    @classmethod
    def open(cls, url: str | Path, create: bool = False) -> "Ledger":
        """The ledger at `url`; with `create`, a new one where there is nothing yet. Raises LedgerError."""
        storage = open_storage(url)
        try:
            genesis = storage.read("ledger.json")
        except (FileNotFoundError, NotADirectoryError):
            if not create:
                raise LedgerError(f"{url}: no ledger here (no ledger.json)") from None
            if storage.exists(_entry_name(1)):
                raise BrokenLedgerError(f"{url}: has entries but no ledger.json") from None
            genesis = cls._create(storage)
        if genesis != GENESIS:
            raise LedgerError(f"{url}: not a ledger of format {FORMAT}, the one that this version reads: ledger.json says {genesis[:80]!r}")
        return cls(storage)

    @staticmethod
    def _create(storage: Storage) -> bytes:
        strange = {one.name for one in storage.folder.iterdir()} - FOLDERS if storage.folder and storage.folder.is_dir() else None
        if strange:
            raise LedgerError(f"{storage.root}: no ledger, and not empty ({min(strange)}): name a folder of its own")
        try:
            storage.create("ledger.json", GENESIS)
        except FileExistsError:
            pass  # another process was faster, and wrote the same
        except (NotADirectoryError, PermissionError) as error:
            raise LedgerError(f"{storage.root}: {error.strerror}") from None
        return storage.read("ledger.json")

    # Reading

    def head(self) -> Position:
        """The newest position."""
        return self.position(self.size())

    def size(self) -> int:
        """The number of entries. Found by looking at a few of them, however many there are."""
        low, step = self._seen, 1
        while self.storage.exists(_entry_name(low + step)):
            low, step = low + step, step * 2
        high = low + step  # not there; low is
        while high - low > 1:
            middle = (low + high) // 2
            if self.storage.exists(_entry_name(middle)):
                low = middle
            else:
                high = middle
        self._seen = low
        return low

    def position(self, number: int) -> Position:
        """The position after entry `number`; 0 is before the first. Raises LedgerError if there is no such entry."""
        return Position(0, sha256(GENESIS).hexdigest()) if number == 0 else self.entry(number).position

    def locate(self, text: str) -> Position:
        """The position that `text` names: `NUMBER` or `NUMBER:HASH`. Raises LedgerError if it is not in this ledger."""
        number, _, digest = text.partition(":")
        if not number.isascii() or not number.isdigit():
            raise LedgerError(f"not a position: {text!r}; give NUMBER or NUMBER:HASH")
        found = self.position(int(number))
        if digest and digest.lower() != found.hash:
            raise LedgerError(f"position {text} is not in {self.storage.root}: its head there is {found.hash}")
        return found

    def entry(self, number: int) -> Entry:
        """Entry `number`. Raises LedgerError if there is none, BrokenLedgerError if it is damaged."""
        try:
            contents = self.storage.read(_entry_name(number))
        except FileNotFoundError:
            raise LedgerError(f"{self.storage.root}: there is no entry {number}") from None
        try:
            entry = Entry(**json.loads(contents), head=sha256(contents).hexdigest())
        except (ValueError, TypeError):
            raise BrokenLedgerError(f"{self.storage.where(_entry_name(number))}: not an entry") from None
        if entry.file() != contents:
            raise BrokenLedgerError(f"{self.storage.where(_entry_name(number))}: not in canonical form")
        if entry.number != number:
            raise BrokenLedgerError(f"{self.storage.where(_entry_name(number))}: says it is entry {entry.number}")
        return entry

    def entries(self, start: int = 0, stop: int | None = None) -> Sequence[Entry]:
        """The entries after position `start` up to position `stop` (default: the head), their chain checked. Raises BrokenLedgerError."""
        stop = self.size() if stop is None else stop
        found = []
        previous = self.position(start).hash
        for number in range(start + 1, stop + 1):
            entry = self.entry(number)
            if entry.previous != previous:
                raise BrokenLedgerError(f"{self.storage.root}: entry {number} does not follow entry {number - 1}")
            found.append(entry)
            previous = entry.head
        return found

    def recent(self, table: str, since: int, stop: int | None = None) -> list[Entry]:
        """The entries of `table` with rows of `at ≥ since`, in order. Reads backwards, and no further than it must."""
        found = []
        for number in range(self.size() if stop is None else stop, 0, -1):
            entry = self.entry(number)
            if entry.latest_at < since:
                break
            if entry.table == table and entry.last_at is not None and entry.last_at >= since:
                found.append(entry)
        return found[::-1]

    def complete_until(self, sources: Collection[str], stop: int | None = None) -> dict[str, Timestamp]:
        """How far each of `sources` is complete, up to position `stop`. A source that never said is not in the answer."""
        found: dict[str, Timestamp] = {}
        for number in range(self.size() if stop is None else stop, 0, -1):
            if len(found) == len(set(sources)):
                break
            entry = self.entry(number)
            if entry.source in sources and entry.complete_until is not None:
                found.setdefault(entry.source, Timestamp(entry.complete_until))
        return found

    def path(self, entry: Entry) -> Path:
        """The batch of `entry` as a local file; from an object store it is copied once, and checked. Raises LedgerError."""
        if entry.sha256 is None:
            raise LedgerError(f"entry {entry.number} has no batch")
        if self.storage.folder is not None:
            return self.storage.folder / batch_name(entry.sha256)
        copy = self.storage.scratch / batch_name(entry.sha256)
        if not copy.exists():
            partial = self.storage.partial()
            partial.write_bytes(self.batch(entry))
            copy.parent.mkdir(parents=True, exist_ok=True)
            partial.replace(copy)
        return copy

    def checked(self, entry: Entry) -> Path:
        """`path`, after its contents were checked against the entry's hash. Raises BrokenLedgerError."""
        path = self.path(entry)
        try:
            found = hash_of(path)
        except FileNotFoundError:
            raise BrokenLedgerError(f"{path}: missing, the batch of entry {entry.number}") from None
        if found != entry.sha256:
            raise BrokenLedgerError(f"{path}: not the contents that entry {entry.number} vouches for")
        return path

    def batch(self, entry: Entry) -> bytes:
        """The bytes of an entry's batch file, checked against its hash. Raises BrokenLedgerError."""
        assert entry.sha256 is not None
        name = batch_name(entry.sha256)
        try:
            contents = self.storage.read(name)
        except FileNotFoundError:
            raise BrokenLedgerError(f"{self.storage.where(name)}: missing, the batch of entry {entry.number}") from None
        if sha256(contents).hexdigest() != entry.sha256:
            raise BrokenLedgerError(f"{self.storage.where(name)}: not the contents that entry {entry.number} vouches for")
        return contents

    # Writing

    @contextmanager
    def writing(self, wait: float = 60) -> Iterator[None]:
        """Keep other writers out, as long as a decision rests on what the ledger holds. Raises LedgerBusyError after `wait` seconds."""
        try:
            with self.storage.locked(wait):
                yield
        except StorageBusyError as error:
            raise LedgerBusyError(str(error)) from None

    def append(
        self,
        source: str,
        received_at: int,
        *,
        table: str | None = None,
        batch: Path | None = None,
        rows: int = 0,
        first_at: int | None = None,
        last_at: int | None = None,
        backfill: bool = False,
        complete_until: int | None = None,
    ) -> Entry:
        """Add one entry, atomically, and take over the local file `batch`. To be called inside `writing()`.

        `received_at` and `complete_until` never go back: an earlier one is replaced by what the ledger already says.
        Raises LedgerBusyError if another writer took the number (nothing was added), LedgerError for a source's name that is not one.
        """
        check_source(source)
        if table is not None and table not in TABLES:
            raise LedgerError(f"not a table: {table!r}")
        last = self.head()
        before = self.entry(last.number) if last.number else None
        if complete_until is not None:
            complete_until = max(complete_until, self.complete_until([source], last.number).get(source, 0))
        digest = hash_of(batch) if batch else None
        fields: dict[str, Any] = {
            "number": last.number + 1,
            "table": table,
            "source": source,
            "sha256": digest,
            "rows": rows,
            "first_at": first_at,
            "last_at": last_at,
            "received_at": max(received_at, before.received_at if before else 0),
            "backfill": backfill,
            "complete_until": complete_until,
            "latest_at": max(last_at or 0, before.latest_at if before else 0),
            "previous": last.hash,
        }
        if batch is not None and digest is not None:
            self.storage.adopt(batch_name(digest), batch)
        return self.chain(Entry(**fields, head=sha256(_canonical(fields)).hexdigest()))

    def chain(self, entry: Entry) -> Entry:
        """Put `entry`, whose batch is in place, at the end. Raises LedgerBusyError if its number is taken."""
        try:
            self.storage.create(_entry_name(entry.number), entry.file())
        except FileExistsError:
            raise LedgerBusyError(f"{self.storage.root}: another writer added entry {entry.number} meanwhile; run it again") from None
        return entry


def check_source(name: str) -> None:
    """Raises LedgerError for a name that no source can have."""
    if not _SOURCE.fullmatch(name):
        raise LedgerError(f"not a source's name: {name!r}; letters, digits, dots, dashes and underscores, at most 64")
