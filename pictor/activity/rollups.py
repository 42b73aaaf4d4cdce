"""Rollups: counts of what the ledger says, kept up to date batch by batch, so that what an epoch costs never grows with history.

    minutes        minute mask per worker and hour
    worker_days    minutes per worker, UTC day and GPU; the first and the last minute of the day
    account_days   sums per account and UTC day (`counting.SUMS`); one more series for each chain, `account_days.<chainId>`
    gpus, links    the rows of these tables
    accounts       the number of each account

Counts, never points: the policy has no part in them. Every row is a delta tagged with its batch (on a chain: its block), so one set of
rollups serves every cut up to its position. Lifetime is a checkpoint (sums per account up to a day and a position) and what came since.
Accounts that a link made one are counted once more, together, from the log; from then on they are kept up to date like every other.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import duckdb
import pyarrow as pa

from pictor.activity import counting
from pictor.activity.ledger import Entry, Ledger
from pictor.activity.moves import Group, Link, groups
from pictor.activity.rolling import Recharges, Step, numbered
from pictor.activity.rollup_files import Checkpoint, File, Index, RollupFiles, RollupsError, quoted
from pictor.units import DAY, HOUR, MINUTE, Address

__all__ = ["Counts", "Cut", "Recharges", "Rollups", "RollupsError", "Span"]

STEP_ROWS, STEP_ENTRIES = 200_000_000, 1_000  # taken in at once: bounds memory, and what a kill costs
CHECKPOINT_DAYS = 7  # an epoch further than this from the last checkpoint makes a new one
CHECKPOINTS = 8  # as many are kept; what is older is added up from the days


@dataclass(frozen=True)
class Cut:
    """What counts: the ledger up to entry `position`, and each chain's recharges up to a block (by chain id; other chains do not count)."""

    position: int
    blocks: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Span:
    """Rows of one series: those in `files` with `first_day ≤ day < end_day` and a tag (`batch`) up to `last_tag`.

    With `after`, of these only what a checkpoint does not know: a tag above the first number, or a group (`moved`) above the second.
    """

    files: tuple[str, ...]
    first_day: int
    end_day: int
    last_tag: int
    after: tuple[int, int] | None = None


@dataclass(frozen=True)
class Counts:
    """All that an epoch's scores come from. Accounts go by their numbers, those in the files `accounts` (`id`, `account`).

    The checkpoint has two files: `account_sums` (`moved, account, …SUMS`) and `gpu_minutes` (`moved, account, hashpower, vram_mib,
    minutes`). Lifetime is these and `account_days`, `worker_days`. `spending_days` are the account days since `spending_from`,
    `window_days` the worker days of the window. The days that the epoch or its window begins or ends within come as tables, for each
    of these. Of the rows with `moved = 0`, those of the accounts `united` do not count; of the others only those of `groups`.
    """

    accounts: tuple[str, ...]
    account_sums: str | None
    gpu_minutes: str | None
    account_days: tuple[Span, ...]
    spending_days: tuple[Span, ...]
    worker_days: tuple[Span, ...]
    window_days: tuple[Span, ...]
    unfinished_account_days: pa.Table | None
    unfinished_worker_days: pa.Table | None
    unfinished_window_days: pa.Table | None
    united: tuple[int, ...]
    groups: tuple[int, ...]
    moves: tuple[Group, ...]


class Rollups:
    """The rollups of one ledger, and of the on-chain recharges beside it, in a folder of their own. They can always be built anew."""

    def __init__(self, ledger: Ledger, files: RollupFiles, recharges: Recharges | None) -> None:
        self._ledger = ledger
        self._files = files
        self._recharges = recharges

    @classmethod
    def open(cls, ledger: Ledger, folder: Path | None = None, recharges: Recharges | None = None) -> "Rollups":
        """The rollups in `folder` (default: in the ledger's cache), empty if there are none. Raises RollupsError."""
        rollups = cls(ledger, RollupFiles(folder or ledger.storage.scratch / "rollups"), recharges)
        rollups._index()
        return rollups

    @property
    def cut(self) -> Cut:
        """How far they are."""
        return _cut(self._index())

    def update(self, cut: Cut | None = None) -> Cut:
        """Take in what came up to `cut` (default: everything); how far they are then. Raises RollupsError, LedgerError."""
        with self._writing():
            index = self._index()
            stop = self._ledger.head().number if cut is None else cut.position
            entries = self._ledger.entries(index.position, stop) if stop > index.position else ()
            for some in _portions(entries):
                index = self._files.commit(index, Step(self._ledger, self._files, index).take_in(some))
            for chain in self._recharges.chains() if self._recharges else ():
                assert self._recharges is not None
                last = self._recharges.head(chain) if cut is None else cut.blocks.get(chain, -1)
                if last > index.blocks.get(str(chain), -1):
                    index = self._files.commit(index, Step(self._ledger, self._files, index).take_in_chain(self._recharges, chain, last))
        return _cut(index)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Read what `counts` names. Raises RollupsError for a file that is damaged or gone."""
        try:
            yield
        except duckdb.Error as error:
            if str(self._files.folder) not in str(error):
                raise
            raise RollupsError(f"{str(error).splitlines()[0]}; delete {self._files.folder} to have the rollups built anew") from None

    def counts(self, end: int, window: int, spending_from: int, cut: Cut | None = None) -> Counts:
        """What an epoch that ends at `end` counts at `cut` (default: all that is rolled up), with a window of `window` seconds.

        `window` and `spending_from` are whole days. Raises RollupsError for a cut that the rollups have not reached.
        """
        index = self._index()
        cut = cut or _cut(index)
        if cut.position > index.position or any(block > index.blocks.get(str(chain), -1) for chain, block in cut.blocks.items()):
            raise RollupsError(f"the rollups are at {_cut(index)}, not yet at {cut}: update them first")
        moves = self._moves(index, end, cut)
        if unknown := [group for group in moves if group not in numbered(index).values()]:
            index = self._unite(unknown)
        day = end // DAY
        index, checkpoint = self._with_checkpoint(index, day, cut)
        active = {number: group for number, group in numbered(index).items() if group in moves}
        first = -(-(end - window) // DAY)  # the window's first whole day
        step = Step(self._ledger, self._files, index)
        files = {series: self._files.path(name) for series, name in checkpoint.files.items()} if checkpoint else {}
        unfinished: tuple[pa.Table | None, ...] = (None, None, None)
        if end % DAY:
            unfinished = step.unfinished(end, end - window, cut.position, cut.blocks, self._recharges, active)
        return Counts(
            accounts=tuple(self._files.paths(index.series("accounts"))),
            account_sums=files.get("account_sums"),
            gpu_minutes=files.get("gpu_minutes"),
            account_days=self._account_days(index, 0, day, cut, checkpoint),
            spending_days=self._account_days(index, spending_from // DAY, day, cut),
            worker_days=self._spans(index, "worker_days", 0, day, cut.position, checkpoint),
            window_days=self._spans(index, "worker_days", first, day, cut.position),
            unfinished_account_days=unfinished[0],
            unfinished_worker_days=unfinished[1],
            unfinished_window_days=unfinished[2],
            united=tuple(step.number(member for group in moves for member in group.members)),
            groups=tuple(active),
            moves=tuple(moves),
        )

    def moves(self, end: int, cut: Cut | None = None) -> list[Group]:
        """The groups of accounts that count as one in an epoch that ends at `end`."""
        index = self._index()
        return self._moves(index, end, cut or _cut(index))

    def online_minutes(self, account: Address, start: int, end: int, cut: Cut | None = None) -> list[int]:
        """The minutes (since the Unix epoch) in `[start, end)` that a worker was online, in order; with those of all accounts that count as
        this one in an epoch that ends at `end`."""
        index = self._index()
        cut = cut or _cut(index)
        members = next((group.members for group in self._moves(index, end, cut) if group.root == account), (account,))
        step = Step(self._ledger, self._files, index)
        numbers = ", ".join(map(str, step.number(members))) or "NULL"
        masks = f"{step.stored('minutes', [(start // HOUR, end // HOUR)])} AND account IN ({numbers}) AND batch <= {cut.position}"
        minutes = step.con.execute(f"""
            SELECT hour * 60 + minute AS at_minute
            FROM (SELECT hour, bit_or(mask) AS mask FROM ({masks}) GROUP BY hour), range(60) t(minute)
            WHERE mask >> minute & 1 = 1 AND at_minute >= {start // MINUTE} AND at_minute < {end // MINUTE} ORDER BY at_minute
        """)
        return [row[0] for row in minutes.fetchall()]

    def _index(self) -> Index:
        """The index, if it is of this ledger. Raises RollupsError."""
        index = self._files.index()
        if index.position and (index.position > self._ledger.head().number or self._ledger.position(index.position).hash != index.hash):
            raise RollupsError(
                f"{self._files.folder}: built from another ledger, or its past was rewritten (position {index.position}:{index.hash}); "
                "make sure which, then delete the folder to have the rollups built anew"
            )
        return index

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._files.writing(), self.reading():
            try:
                yield
            except (duckdb.IOException, OSError) as error:
                raise RollupsError(f"{self._files.folder}: {str(error).splitlines()[0]}") from None

    def _moves(self, index: Index, end: int, cut: Cut) -> list[Group]:
        """The groups of accounts that count as one, for an epoch that ends at `end`."""
        files = self._files.paths(index.series("links"))
        if not files:
            return []
        query = f'SELECT origin, target, "at", batch FROM read_parquet({quoted(files)}) WHERE batch <= {cut.position}'
        links = counting.connect().execute(f"{query} ORDER BY batch, row").fetchall()
        return groups([Link(Address(origin), Address(target), at, batch) for origin, target, at, batch in links], end)

    def _unite(self, unknown: Sequence[Group]) -> Index:
        with self._writing():
            index = self._index()
            fresh = [group for group in unknown if group not in numbered(index).values()]
            return self._files.commit(index, Step(self._ledger, self._files, index).unite(fresh)) if fresh else index

    def _account_days(self, index: Index, first: int, end: int, cut: Cut, checkpoint: Checkpoint | None = None) -> tuple[Span, ...]:
        """The account days of the ledger and of all chains that count."""
        spans = self._spans(index, "account_days", first, end, cut.position, checkpoint)
        for chain, block in cut.blocks.items():
            spans += self._spans(index, f"account_days.{chain}", first, end, block, checkpoint)
        return spans

    def _spans(self, index: Index, series: str, first: int, end: int, tag: int, checkpoint: Checkpoint | None = None) -> tuple[Span, ...]:
        """The days `first` to `end` of a series; of those before the checkpoint's, what it does not know."""
        files = index.series(series)
        if checkpoint:
            after = (checkpoint.tag(series), checkpoint.groups)
            late = [file for file in files if file.last_tag > after[0] or file.last_moved > after[1]]
            spans = [self._span(late, first, checkpoint.day, tag, after), self._span(files, checkpoint.day, end, tag)]
        else:
            spans = [self._span(files, first, end, tag)]
        return tuple(span for span in spans if span.files)

    def _span(self, files: Iterable[File], first: int, end: int, tag: int, after: tuple[int, int] | None = None) -> Span:
        touched = [file for file in files if file.first_time < end and file.last_time >= first and file.first_tag <= tag]
        return Span(tuple(self._files.paths(touched)), first, end, tag, after)

    def _with_checkpoint(self, index: Index, day: int, cut: Cut) -> tuple[Index, Checkpoint | None]:
        """The checkpoint to start from, a new one if the last that can be used is too far back."""
        usable = [
            one
            for one in index.checkpoints
            if one.day <= day
            and one.position <= cut.position
            and all(block <= cut.blocks.get(int(chain), -1) for chain, block in one.blocks.items())
        ]
        best = max(usable, key=lambda one: (one.day, one.position), default=None)
        first = min((file.first_time for file in index.files if "_days" in file.series), default=day)
        if day - (best.day if best else first) <= CHECKPOINT_DAYS:
            return index, best
        with self._writing():
            index = self._index()
            return self._new_checkpoint(index, day, cut, best)

    def _new_checkpoint(self, index: Index, day: int, cut: Cut, best: Checkpoint | None) -> tuple[Index, Checkpoint]:
        con = counting.connect()
        files = {series: self._files.path(name) for series, name in best.files.items()} if best else {}
        sums = [f"FROM '{path}'" for path in (files.get("account_sums"),) if path]
        minutes = [f"FROM '{path}'" for path in (files.get("gpu_minutes"),) if path]
        columns = ", ".join(counting.SUMS)
        sums += [_rows(span, f"moved, account, {columns}") for span in self._account_days(index, 0, day, cut, best)]
        worker_days = self._spans(index, "worker_days", 0, day, cut.position, best)
        minutes += [_rows(span, "moved, account, hashpower, vram_mib, minutes") for span in worker_days]
        totals = ", ".join(f"sum({name})::BIGINT AS {name}" for name in counting.SUMS)
        after, names = index, {}
        for series, parts, query in (
            ("account_sums", sums, f"SELECT moved, account, {totals} FROM ({{}}) GROUP BY ALL"),
            ("gpu_minutes", minutes, "SELECT moved, account, hashpower, vram_mib, sum(minutes)::BIGINT AS minutes FROM ({}) GROUP BY ALL"),
        ):
            if parts:
                after, names[series] = self._files.save(con, after, series, query.format(" UNION ALL ".join(parts)))
        made = Checkpoint(day, cut.position, {str(chain): block for chain, block in cut.blocks.items()}, len(index.groups), names)
        kept = sorted((*index.checkpoints, made), key=lambda one: (one.day, one.position))[-CHECKPOINTS:]
        if made not in kept:  # an epoch of long ago: not worth keeping
            kept = [made, *kept[1:]]
        return self._files.commit(index, replace(after, checkpoints=tuple(kept))), made


def _cut(index: Index) -> Cut:
    return Cut(index.position, {int(chain): block for chain, block in index.blocks.items()})


def _portions(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    """`entries`, as many at a time as are taken in at once."""
    portion: list[Entry] = []
    rows = 0
    for entry in entries:
        if portion and (rows + entry.rows > STEP_ROWS or len(portion) == STEP_ENTRIES):
            yield portion
            portion, rows = [], 0
        portion.append(entry)
        rows += entry.rows
    if portion:
        yield portion


def _rows(span: Span, columns: str) -> str:
    """A query for the rows of a span."""
    after = f" AND (batch > {span.after[0]} OR moved > {span.after[1]})" if span.after else ""
    return (
        f"SELECT {columns} FROM read_parquet({quoted(list(span.files))}) "
        f"WHERE day >= {span.first_day} AND day < {span.end_day} AND batch <= {span.last_tag}{after}"
    )
