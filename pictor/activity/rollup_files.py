"""The files of the rollups: Parquet files that never change, and one small index that says which of them count.

    ROLLUPS/
      rollups.json            the index: format, how far the rollups are, the files, the checkpoints, the groups of moved accounts
      <series>-<number>.parquet
      lock

The index is replaced by a rename after its new files are on disk: killed at any moment, the rollups are the old ones or the new ones, and
the next writer removes what was left over. A file that is no longer named is kept until the commit after, for readers under way.

Small neighbours of a series are merged, so that the number of files stays near the logarithm of the number of updates, and a row is
rewritten a few times at most. Merging changes no row.
"""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import duckdb

FORMAT = 1
MERGED_ROWS = 4_000_000  # files this large are merged no further
INDEX = "rollups.json"


class RollupsError(Exception):
    """The rollups cannot be read, written or used for what was asked. The message says why and what to do."""


@dataclass(frozen=True)
class File:
    """A Parquet file of one series, and what its rows span (all bounds included): tags, times (days or hours) and groups."""

    name: str
    series: str
    rows: int
    first_tag: int
    last_tag: int
    first_time: int
    last_time: int
    last_moved: int


@dataclass(frozen=True)
class Checkpoint:
    """Lifetime sums of all days before `day`, of what batches up to `position` (and each chain's blocks up to `blocks`) say.

    `groups` is the number of the last group of moved accounts that it knows. `files` are its two files, by series.
    """

    day: int
    position: int
    blocks: dict[str, int]
    groups: int
    files: dict[str, str]

    def tag(self, series: str) -> int:
        """The last tag of a series that it knows: of a chain's series, a block."""
        chain = series.partition(".")[2]
        return self.blocks.get(chain, -1) if chain else self.position


@dataclass(frozen=True)
class Index:
    """What `rollups.json` says."""

    format: int = FORMAT
    position: int = 0  # the number of the last entry of the ledger that is rolled up
    hash: str = ""  # the ledger's head there
    blocks: dict[str, int] = field(default_factory=dict)  # by chain id, the last block that is rolled up
    next_file: int = 1
    files: tuple[File, ...] = ()
    checkpoints: tuple[Checkpoint, ...] = ()
    groups: tuple[tuple[str, tuple[str, ...]], ...] = ()  # group n + 1: its root and the accounts that moved there
    retired: tuple[str, ...] = ()  # named by the index before this one, and removed at the next commit

    def series(self, name: str) -> list[File]:
        """The files of a series, oldest first."""
        return [file for file in self.files if file.series == name]

    def named(self) -> set[str]:
        """The names of all files that count."""
        return {file.name for file in self.files} | {name for checkpoint in self.checkpoints for name in checkpoint.files.values()}


# The order of the rows in a file, so that what is not needed of it can be passed over.
SORTED = {"minutes": ("hour", "account"), "worker_days": ("day", "account"), "account_days": ("day", "account"), "gpus": ("account",)}


class RollupFiles:
    """The folder. Every change is made inside `writing()` and counts from `commit` on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._made: list[str] = []

    def index(self) -> Index:
        """The index as it is now; an empty one if there is none. Raises RollupsError for another format."""
        try:
            raw = json.loads((self.folder / INDEX).read_bytes())
        except FileNotFoundError:
            return Index()
        except (ValueError, OSError) as error:
            raise RollupsError(f"{self.folder / INDEX}: {error}; delete {self.folder} to have the rollups built anew") from None
        if raw.get("format") != FORMAT:
            raise RollupsError(f"{self.folder}: rollups of format {raw.get('format')}, not {FORMAT}; delete them to have them built anew")
        files = tuple(File(**one) for one in raw.pop("files"))
        checkpoints = tuple(Checkpoint(**one) for one in raw.pop("checkpoints"))
        groups = tuple((root, tuple(moved)) for root, moved in raw.pop("groups"))
        return Index(**raw | {"files": files, "checkpoints": checkpoints, "groups": groups, "retired": tuple(raw["retired"])})

    @contextmanager
    def writing(self, wait: float = 600) -> Iterator[None]:
        """Keep other writers out, and remove what a killed one left. Raises RollupsError after `wait` seconds."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = (self.folder / "lock").open("a")
        except OSError as error:
            raise RollupsError(f"cannot write rollups to {self.folder}: {error.strerror}") from None
        with lock:
            give_up = time.monotonic() + wait
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() >= give_up:
                        raise RollupsError(f"{self.folder}: another process is updating the rollups") from None
                    time.sleep(0.05)
            self._remove_leftovers()
            yield

    def _remove_leftovers(self) -> None:
        index = self.index()
        kept = index.named() | set(index.retired)
        for file in self.folder.glob("*.parquet"):
            if file.name not in kept:
                file.unlink()
        self._made = []

    def path(self, name: str) -> str:
        """Where a file lies."""
        return str(self.folder / name)

    def paths(self, files: list[File]) -> list[str]:
        """Where files lie."""
        return [self.path(file.name) for file in files]

    def save(self, con: duckdb.DuckDBPyConnection, index: Index, series: str, query: str) -> tuple[Index, str]:
        """Write the rows of `query` to a new file, which counts once it is committed; the index with the next number, and the name."""
        name = f"{series}-{index.next_file:08d}.parquet"
        con.execute(f"COPY ({query}) TO '{self.path(name)}' (FORMAT parquet, COMPRESSION zstd)")
        self._made.append(name)
        return replace(index, next_file=index.next_file + 1), name

    def add(self, con: duckdb.DuckDBPyConnection, index: Index, series: str, query: str) -> Index:
        """The index with the rows of `query` (if there are any) as a new file of `series`, small neighbours merged."""
        index, name = self.save(con, index, series, _in_order(series, query))
        file = self._described(con, series, name)
        if not file.rows:
            return index
        files = [*index.series(series), file]
        while len(files) > 1 and files[-2].rows < 2 * files[-1].rows and files[-2].rows + files[-1].rows <= MERGED_ROWS:
            both = ", ".join(f"'{path}'" for path in self.paths(files[-2:]))
            index, name = self.save(con, index, series, _in_order(series, f"SELECT * FROM read_parquet([{both}])"))
            files[-2:] = [self._described(con, series, name)]
        return replace(index, files=tuple(one for one in index.files if one.series != series) + tuple(files))

    def _described(self, con: duckdb.DuckDBPyConnection, series: str, name: str) -> File:
        columns = {row[0] for row in con.execute(f"DESCRIBE SELECT * FROM '{self.path(name)}'").fetchall()}
        tag = "batch" if "batch" in columns else "0"
        time_ = next((column for column in ("day", "hour") if column in columns), "0")
        moved = "moved" if "moved" in columns else "0"
        bounds = con.execute(
            f"SELECT count(*), min({tag}), max({tag}), min({time_}), max({time_}), max({moved}) FROM '{self.path(name)}'"
        ).fetchall()[0]
        return File(name, series, *bounds)

    def commit(self, before: Index, after: Index) -> Index:
        """Make `after` the index. What only `before` named is removed at the next commit."""
        after = replace(after, retired=tuple(sorted(before.named() - after.named())))
        for name in after.named() & set(self._made):
            _sync(self.folder / name)
        partial = self.folder / f"{INDEX}.partial"
        try:
            partial.write_text(json.dumps(asdict(after), separators=(",", ":")))
            _sync(partial)
            partial.replace(self.folder / INDEX)
            _sync(self.folder)
        except OSError as error:
            raise RollupsError(f"cannot write {self.folder / INDEX}: {error.strerror}") from None
        for name in (set(self._made) | set(before.retired)) - after.named() - set(after.retired):
            (self.folder / name).unlink(missing_ok=True)
        self._made = []
        return after


def _in_order(series: str, query: str) -> str:
    order = next((columns for start, columns in SORTED.items() if series.startswith(start)), ())
    return f"SELECT * FROM ({query}) ORDER BY {', '.join(order)}" if order else query


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def quoted(paths: list[str]) -> str:
    """A list of paths as SQL reads it."""
    return "[" + ", ".join("'" + path.replace("'", "''") + "'" for path in paths) + "]"
