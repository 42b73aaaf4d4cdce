"""A simulated network: the activity files of plausible creators and workers, from a seed, for trials, demos and benchmarks.

    OUT/history/        what a network brings along when it starts: a year of old payments, then the simulated days
    OUT/2026-05-31/     what is handed in on one of the last days, with what real feeds bring: repeats, rows typed wrongly
    OUT/2026-06-01/     comes in after the end: rows that one gateway held back
    OUT/holders.csv     who would hold a pass by now
    OUT/transfers.csv   the paid recharges that are on-chain transfers, where a share of them is asked for

The world: a creator has a budget (most small, a few large), tops up when it runs out, and sends jobs; their frames queue up and go to
whoever is online, fast GPUs taking more. A worker has a habit (a data centre, an evening gamer, …), outages, a GPU and sometimes a
failing one. Floats are used here to invent, never to count.
"""

from __future__ import annotations

import os
import shutil
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from eth_utils.address import to_checksum_address

DAY, DAY_MINUTES = 86_400, 1_440
MICRO = 1_000_000
MEMBERS = (100, 1_000_000)
DAYS = (1, 400)

Ints = npt.NDArray[np.signedinteger[Any]]
Mask = npt.NDArray[np.bool_]
Format = Literal["parquet", "csv", "ndjson"]

# Model, hashpower where an RTX 4090 has 1 000 (the order of public render benchmarks), VRAM in MiB, share of the network.
GPUS = (
    ("NVIDIA GeForce RTX 2080 Ti", 260, 11_264, 0.05),
    ("NVIDIA GeForce RTX 3060", 215, 12_288, 0.14),
    ("NVIDIA GeForce RTX 3070", 300, 8_192, 0.12),
    ("NVIDIA GeForce RTX 3080", 425, 10_240, 0.10),
    ("NVIDIA GeForce RTX 3090", 480, 24_576, 0.09),
    ("NVIDIA GeForce RTX 4060 Ti", 350, 16_384, 0.10),
    ("NVIDIA GeForce RTX 4070 SUPER", 560, 12_288, 0.10),
    ("NVIDIA GeForce RTX 4080", 740, 16_384, 0.08),
    ("NVIDIA GeForce RTX 4090", 1_000, 24_576, 0.12),
    ("NVIDIA GeForce RTX 5090", 1_360, 32_768, 0.03),
    ("NVIDIA RTX A6000", 450, 49_152, 0.03),
    ("NVIDIA RTX 6000 Ada Generation", 960, 49_152, 0.02),
    ("NVIDIA L40S", 900, 49_152, 0.02),
)

# Habit, share of the workers, hours online a day, their spread, UTC hour at which the day starts, its spread.
HABITS = (
    ("data centre", 0.22, 24.0, 0.0, 0.0, 0.0),
    ("always on", 0.23, 22.5, 1.5, 5.0, 3.0),
    ("studio by night", 0.25, 16.4, 1.5, 17.0, 1.5),
    ("evening gamer", 0.20, 12.0, 3.0, 22.0, 3.0),
    ("now and then", 0.10, 5.0, 3.0, 12.0, 6.0),
)

FRAMES_PER_MINUTE = 0.11  # of a worker with the reference GPU
SPENT_PER_WORKER_MONTH = 3_500 * MICRO
TOP_UPS = np.array([20, 50, 100, 250, 500, 1_000, 2_500, 5_000]) * MICRO
TOP_UP_SHARES = (0.15, 0.25, 0.25, 0.15, 0.1, 0.06, 0.03, 0.01)


class SimulationError(ValueError):
    """A network that cannot be simulated as asked, or a place that cannot be written to."""


@dataclass(frozen=True)
class Network:
    """What to simulate. The same values give the same rows.

    members: accounts in all. days: simulated days, the last one ending at `end` (UTC midnight). daily: how many of the last days get a
    folder of their own. on_chain: share of the creators, in percent, who recharge by transfers that are written apart.
    """

    members: int
    end: date
    seed: int = 1
    days: int = 45
    daily: int = 1
    on_chain: int = 0
    format: Format = "parquet"

    def __post_init__(self) -> None:
        for name, low, high in (
            ("members", *MEMBERS),
            ("days", *DAYS),
            ("daily", 0, self.days),
            ("on_chain", 0, 100),
            ("seed", 0, 2**63 - 1),
        ):
            if not low <= getattr(self, name) <= high:
                raise SimulationError(f"{name} must be from {low:,} to {high:,}, not {getattr(self, name):,}")

    @property
    def workers(self) -> int:
        """Fewer of many: one heartbeat a minute each is what such a network weighs."""
        return min(self.members // 3, int(10 * self.members**0.5))

    @property
    def start(self) -> int:
        """Unix second at which the first simulated day begins."""
        return self.stop - self.days * DAY

    @property
    def stop(self) -> int:
        """Unix second of `end`."""
        return int(datetime(self.end.year, self.end.month, self.end.day, tzinfo=UTC).timestamp())


@dataclass(frozen=True)
class Simulated:
    """What was written: rows by table, members by kind, and the folders in the order in which to ingest them."""

    folders: tuple[str, ...]
    rows: Mapping[str, int]
    workers: int
    holders: int
    moved: int
    transfers: int
    bytes: int

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def simulate(network: Network, out: Path, progress: Callable[[str], None] = lambda _: None) -> Simulated:
    """Write the network's activity below `out`, which must not exist or be empty; it appears whole or not at all.

    `progress` is called with the name of each finished part; there are `network.days + 1` of them.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise SimulationError(f"{out} is there already, and not an empty folder")
    out.parent.mkdir(parents=True, exist_ok=True)
    draft = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        with _Writer(draft, network.format) as writer:
            world = _World(network, writer)
            world.past()
            progress("history")
            for day in range(network.days):
                world.live(day)
                progress(world.folder(day))
            simulated = world.finish()
        if out.exists():
            out.rmdir()
        draft.rename(out)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return simulated


# --- strings made of numbers, a whole column at once -------------------------------------------------------------------------------

_HEX = np.array([f"{i:04x}" for i in range(65_536)], dtype="S4")


def _strings(columns: npt.NDArray[np.uint16], prefix: bytes = b"") -> pa.Array:
    """Each row of 16-bit words as hex digits after a prefix."""
    digits = _HEX[columns].view("S1").reshape(len(columns), 4 * columns.shape[1])
    text = np.empty((len(digits), len(prefix) + digits.shape[1]), dtype="S1")
    text[:, : len(prefix)] = np.frombuffer(prefix, dtype="S1")
    text[:, len(prefix) :] = digits
    offsets = np.arange(len(text) + 1, dtype=np.int32) * text.shape[1]
    return pa.Array.from_buffers(pa.string(), len(text), [None, pa.py_buffer(offsets), pa.py_buffer(text.tobytes())])


class _Ids:
    """Unique, opaque ids: a counter times an odd number, modulo 2^64, as hex."""

    def __init__(self, seed: int) -> None:
        self._next = seed << 40 & 2**64 - 1

    def take(self, count: int) -> pa.Array:
        numbers = (np.arange(count, dtype=np.uint64) + np.uint64(self._next)) * np.uint64(0x9E3779B97F4A7C15)
        self._next = self._next + count & 2**64 - 1
        return _strings(numbers.view(np.uint16).reshape(count, 4))


def _pick(choices: pa.Array, index: npt.NDArray[Any]) -> pa.Array:
    """A column of `choices`, as a dictionary of those that occur."""
    used = np.zeros(len(choices), np.bool_)
    used[index] = True
    place = np.cumsum(used, dtype=np.int32) - 1
    return pa.DictionaryArray.from_arrays(pa.array(place[index]), choices.take(pa.array(np.flatnonzero(used))))


# --- files ------------------------------------------------------------------------------------------------------------------------


class _Writer:
    """Writes tables in the background, a few at a time, and counts what it wrote."""

    def __init__(self, root: Path, form: Format) -> None:
        self.root = root
        self.rows: dict[str, int] = {}
        self.folders: list[str] = []
        self._form = form
        self._pool = ThreadPoolExecutor(2)
        self._pending: deque[Future[None]] = deque()

    def __enter__(self) -> _Writer:
        self.root.mkdir()
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def write(self, folder: str, name: str, columns: Mapping[str, Any]) -> None:
        """One file of the table that `name` begins with; no file where there are no rows."""
        table = pa.table(dict(columns))
        if not table.num_rows:
            return
        if folder not in self.folders:
            self.folders.append(folder)
            (self.root / folder).mkdir()
        kind = name.split("-")[0]
        self.rows[kind] = self.rows.get(kind, 0) + table.num_rows
        if len(self._pending) > 4:
            self._pending.popleft().result()
        self._pending.append(self._pool.submit(self._write, table, self.root / folder / f"{name}.{self._form}"))

    def _write(self, table: pa.Table, path: Path) -> None:
        if self._form == "parquet":
            words = [f.name for f in table.schema if pa.types.is_dictionary(f.type)]
            numbers = {f.name: "DELTA_BINARY_PACKED" for f in table.schema if pa.types.is_integer(f.type)}
            # Plain strings for any reader: the Arrow schema would say "dictionary".
            pa.parquet.write_table(table, path, compression="zstd", use_dictionary=words, column_encoding=numbers, store_schema=False)
            return
        plain = table.cast(pa.schema([(f.name, pa.string() if pa.types.is_dictionary(f.type) else f.type) for f in table.schema]))
        if self._form == "csv":
            pa.csv.write_csv(plain, path, pa.csv.WriteOptions(quoting_style="none"))
        else:
            try:
                with duckdb.connect() as db:
                    db.register("plain", plain)
                    db.execute(f"COPY plain TO '{str(path).replace(chr(39), chr(39) * 2)}' (FORMAT json)")
            except duckdb.IOException as error:
                raise OSError(str(error)) from error

    def write_text(self, name: str, lines: Sequence[str]) -> None:
        """A small file of lines, at once."""
        (self.root / name).write_text("\n".join(lines) + "\n")

    def flush(self) -> None:
        """Wait until all is written."""
        while self._pending:
            self._pending.popleft().result()


# --- the world --------------------------------------------------------------------------------------------------------------------


class _Payments:
    """Rows of `recharges` or `spends` gathered for one file."""

    def __init__(self) -> None:
        self._rows: list[tuple[Ints, Ints, Mask, Ints]] = []
        self._jobs: list[pa.Array] = []

    def add(self, wallet: Ints, amount: Ints, at: Ints, bonus: Mask | bool, job: pa.Array | None = None) -> None:
        self._rows.append((wallet, amount, np.broadcast_to(np.asarray(bonus), wallet.shape), at))
        if job is not None:
            self._jobs.append(job)

    def columns(self, ids: _Ids, addresses: pa.Array) -> dict[str, Any]:
        """All rows in the order of time."""
        wallet, amount, bonus, at = (np.concatenate(column) for column in zip(*self._rows, strict=True))
        order = np.argsort(at, kind="stable")
        columns = {"ref": ids.take(len(at)), "account": _pick(addresses, wallet[order]), "amount": amount[order]}
        columns["kind"] = _pick(pa.array(["paid", "bonus"]), bonus[order].astype(np.int32))
        if self._jobs:
            columns["job"] = pa.concat_arrays(self._jobs).take(pa.array(order))
        return {**columns, "at": at[order]}


class _World:
    """Everybody's habits, fixed at the start, and what changes from day to day. Members are numbers; a wallet is one too."""

    def __init__(self, network: Network, writer: _Writer) -> None:
        self.net, self.out = network, writer
        rng = self._rng(0)
        n, w, days = network.members, network.workers, network.days
        self.ids = {table: _Ids(network.seed) for table in ("recharges", "spends", "frames", "gpus", "links", "jobs")}
        self.addresses = _strings(rng.integers(0, 65_536, (n, 10), dtype=np.uint16), b"0x")

        # Members 0…w-1 are workers, the last `fresh` are wallets that nobody uses yet, the rest are creators, and a few workers are both.
        fresh = max(2, n // 500)
        self.creators = np.arange(w - max(1, w // 30), n - fresh)
        self.wallet = np.arange(n, dtype=np.int32)
        self._plan_moves(rng, fresh)

        def some_day(share: float, shape: int | tuple[int, int] = w) -> Ints:
            return np.where(rng.random(shape) < share, rng.integers(0, days, shape), days)

        self.habit = rng.choice(len(HABITS), w, p=[h[1] for h in HABITS])
        self.joined = some_day(0.25) % days
        self.left = some_day(0.06)
        self.outage = some_day(0.07, (w, 2))
        self.outage_days = 1 + rng.geometric(0.4, (w, 2))
        self.phase = rng.integers(0, 60, w)
        self.gpu = rng.choice(len(GPUS), w, p=[g[3] for g in GPUS])
        self.upgrade = some_day(0.1)
        self.sick = some_day(0.05)
        self.failures = rng.beta(1.2, 80, w)
        # A wash trader renders for itself: every second one openly, the others through a creator who turns out to be the same person.
        self.wash = np.flatnonzero(rng.random(w) < 0.006)
        self.wash_creator = self.wash.copy()
        self.wash_creator[::2] = rng.choice(
            np.setdiff1d(self.creators[self.creators >= w], self.move_from), len(self.wash[::2]), replace=False
        )

        budget = rng.lognormal(0, 1.7, len(self.creators))
        self.budget = budget / budget.sum()
        self.first_day = np.where(rng.random(len(self.creators)) < 0.6, -1, rng.integers(0, days, len(self.creators)))
        self.first_day[0] = -1
        self.top_up = rng.choice(TOP_UPS, n, p=TOP_UP_SHARES)
        self.by_transfer = rng.random(n) * 100 < network.on_chain

        self.balance, self.recharged, self.spent = (np.zeros(n, np.int64) for _ in range(3))
        self.online_minutes = np.zeros((w, days), np.int64)
        self.refunds: dict[int, list[tuple[int, int]]] = {}
        self.withheld: dict[str, Any] | None = None
        self.recharges, self.spends = _Payments(), _Payments()
        self.transfers: list[tuple[Ints, Ints, Ints]] = []
        self.had_pass = np.zeros((2, n), np.bool_)
        self.holders: list[tuple[str, Ints, Ints]] = []

    def _rng(self, *part: int) -> np.random.Generator:
        return np.random.default_rng([self.net.seed, *part])

    def _plan_moves(self, rng: np.random.Generator, fresh: int) -> None:
        """Who loses a wallet, when, and moves where: to a fresh wallet, and every tenth of those a second time."""
        net, twice = self.net, fresh // 10
        lost = rng.choice(net.members - fresh, fresh - twice, replace=False)
        self.move_to = net.members - fresh + np.arange(fresh)
        self.move_owner = np.concatenate([lost, lost[:twice]])
        self.move_from = np.concatenate([lost, self.move_to[:twice]])
        middle = net.start + (net.stop - net.start) // 2
        self.move_at = np.concatenate([rng.integers(net.start, middle, fresh - twice), rng.integers(middle, net.stop, twice)])

    def _date(self, day: int) -> str:
        return str(self.net.end + timedelta(days=day - self.net.days))

    def folder(self, day: int) -> str:
        """Where the rows that are handed in on a day go."""
        return "history" if day < self.net.days - self.net.daily else self._date(day)

    def _of(self, member: Ints) -> pa.Array:
        """The wallet that each of these members uses today."""
        return _pick(self.addresses, self.wallet[member])

    # --- before the first day

    def past(self) -> None:
        """GPUs that were there already, and a year of payments, a month at a time, of the creators who were."""
        rng, start = self._rng(1), self.net.start
        there = np.flatnonzero(self.joined == 0)
        self._register("gpus-known", "history", there, start - rng.integers(1, 300 * DAY, len(there)))
        old = self.first_day < 0
        a_month = self.budget[old] * self.net.workers * SPENT_PER_WORKER_MONTH
        for month in range(12, 0, -1):
            active = rng.random(len(a_month)) < 0.7
            who = self.creators[old][active]
            amount = (a_month[active] * rng.lognormal(0, 0.4, len(who))).astype(np.int64) // MICRO * MICRO + MICRO
            at = start - month * 30 * DAY + rng.integers(0, 28 * DAY, len(who))
            self._recharge(who, amount, at)
            left = amount // rng.integers(10, 60, len(who))
            self._spend(who, amount - left, at + rng.integers(60, DAY, len(who)), self.ids["jobs"].take(len(who)))

    # --- one day

    def live(self, day: int) -> None:
        """All that happens on one day."""
        rng = self._rng(2, day)
        folder, begin = self.folder(day), self.net.start + day * DAY
        self._arrive(day, folder, begin, rng)
        worker, minute = self._online(day, rng)
        self._beat(day, folder, begin, worker, minute, rng)
        self._render(day, folder, begin, minute, rng)
        self._pay_back(day, begin, rng)
        if folder != self.folder(day + 1):
            self._hand_in_payments(folder)
        if day < self.net.days - 1:
            self._issue_passes(day, begin + DAY, rng)
        moved = (self.move_at >= begin) & (self.move_at < begin + DAY)
        self.wallet[self.move_owner[moved]] = self.move_to[moved]

    def _arrive(self, day: int, folder: str, begin: int, rng: np.random.Generator) -> None:
        """New workers register a GPU, others a better one; new creators get a welcome in credits; lost wallets are reported."""
        upgraded = np.flatnonzero((self.upgrade == day) & (self.joined < day))
        self.gpu[upgraded] = np.minimum(self.gpu[upgraded] + rng.integers(1, 4, len(upgraded)), len(GPUS) - 1)
        who = np.concatenate([np.flatnonzero((self.joined == day) & (day > 0)), upgraded])
        self._register(f"gpus-{self._date(day)}", folder, who, begin + rng.integers(0, DAY, len(who)))
        new = self.creators[self.first_day == day]
        self._recharge(new, np.full(len(new), 20 * MICRO), begin + rng.integers(0, DAY, len(new)), bonus=True)
        moved = (self.move_at >= begin) & (self.move_at < begin + DAY)
        self._link(f"links-{self._date(day)}", folder, self.move_from[moved], self.move_to[moved], self.move_at[moved])
        if day == self.net.days * 2 // 3:
            masks = self.wash_creator != self.wash
            self._link("links-unmasked", folder, self.wash_creator[masks], self.wash[masks], np.full(masks.sum(), begin))

    def _register(self, name: str, folder: str, who: Ints, at: Ints) -> None:
        model, hashpower, vram_mib, _ = (np.array(column)[self.gpu[who]] for column in zip(*GPUS, strict=True))
        columns = {"ref": self.ids["gpus"].take(len(who)), "worker": self._of(who), "model": model}
        self.out.write(folder, name, {**columns, "hashpower": hashpower, "vram_mib": vram_mib, "at": at})

    def _link(self, name: str, folder: str, origin: Ints, to: Ints, at: Ints) -> None:
        wallets = {"from": _pick(self.addresses, origin), "to": _pick(self.addresses, to)}
        self.out.write(folder, name, {"ref": self.ids["links"].take(len(at)), **wallets, "at": at})

    def _online(self, day: int, rng: np.random.Generator) -> tuple[Ints, Ints]:
        """(worker, minute of the day) of each minute that somebody is online, by worker and minute."""
        w = self.net.workers
        hours, spread, begins, varies = (np.array([h[i] for h in HABITS])[self.habit] for i in (2, 3, 4, 5))
        length = np.clip((hours + spread * rng.standard_normal(w)) * 60, 0, DAY_MINUTES).astype(np.int16)
        down = ((self.outage <= day) & (day < self.outage + self.outage_days)).any(axis=1)
        length[down | (day < self.joined) | (day >= self.left)] = 0
        begin = ((begins + varies * rng.standard_normal(w)) * 60).astype(np.int16)
        clock = np.arange(DAY_MINUTES, dtype=np.int16)
        since = clock - begin[:, None] % np.int16(DAY_MINUTES)
        since[since < 0] += DAY_MINUTES
        online = since < length[:, None]
        # A reboot, a driver, a router: one worker in four misses up to an hour and a half.
        hole = rng.integers(0, DAY_MINUTES, w).astype(np.int16)[:, None]
        missed = np.where(rng.random(w) < 0.25, rng.integers(2, 90, w), 0).astype(np.int16)[:, None]
        online &= (clock < hole) | (clock >= hole + missed)
        worker, minute = np.nonzero(online)
        self.online_minutes[:, day] = np.bincount(worker, minlength=w)
        return worker, minute

    def _beat(self, day: int, folder: str, begin: int, worker: Ints, minute: Ints, rng: np.random.Generator) -> None:
        """A heartbeat a minute, some lost, some sent twice. In the daily feeds, one gateway delivers a day late."""
        sent = np.ones(len(worker), np.bool_)
        sent[rng.integers(0, max(1, len(sent)), len(sent) // 500)] = False
        index = np.concatenate([np.flatnonzero(sent), rng.integers(0, max(1, len(sent)), len(sent) // 1_000)])
        who, at = worker[index], begin + minute[index] * 60 + self.phase[worker[index]]
        held = (who % 97 == 13) & (folder != "history")
        self.out.write(folder, f"heartbeats-{self._date(day)}", {"worker": self._of(who[~held]), "at": at[~held]})
        if self.withheld:
            self.out.write(folder, "heartbeats-held-back", self.withheld)
        self.withheld = {"worker": self._of(who[held]), "at": at[held]}
        if folder != "history":
            self.out.write(folder, "heartbeats-too-old", {"worker": self._of(who[:9]), "at": at[:9] - 40 * DAY})

    def _render(self, day: int, folder: str, begin: int, minute: Ints, rng: np.random.Generator) -> None:
        """Jobs come in, their frames go, in the order of time, to whoever is online; a job is paid for when it starts."""
        w, minutes = self.net.workers, self.online_minutes[:, day]
        speed = np.array([g[1] for g in GPUS])[self.gpu] / 1_000
        who = np.repeat(np.arange(w), rng.poisson(minutes * speed * FRAMES_PER_MINUTE))
        if not len(who):
            return
        first_minute = np.cumsum(minutes) - minutes
        at = begin + minute[first_minute[who] + (rng.random(len(who)) * minutes[who]).astype(np.int64)] * 60 + rng.integers(0, 60, len(who))
        order = np.argsort(at, kind="stable")
        who, at = who[order], at[order]

        ends = np.cumsum(np.clip(rng.lognormal(3.2, 1.3, 32 + len(who) // 10), 1, 5_000).astype(np.int64))
        job = np.searchsorted(ends, np.arange(len(who)), side="right")
        jobs = int(job[-1]) + 1
        start = np.searchsorted(job, np.arange(jobs))
        size = np.diff(np.append(start, len(who)))
        weight = np.cumsum(self.budget * (self.first_day <= day))
        owner = self.creators[np.searchsorted(weight, rng.random(jobs) * weight[-1], side="right")]
        names = self.ids["jobs"].take(jobs + 1)

        risk = np.where((self.sick <= day) & (day < self.sick + 6), 0.35, self.failures)
        outcome = (rng.random(len(who)) < risk[who]).astype(np.int64)
        cancelled_at = np.where(rng.random(jobs) < 0.012, rng.random(jobs), 1.0) * size
        outcome[np.arange(len(who)) - start[job] >= cancelled_at[job]] = 2
        # A failed frame is tried again: its number comes back until it is completed.
        done = np.cumsum(outcome == 0) - (outcome == 0)
        frame = done - done[start][job]

        creator, named = owner[job], job.copy()
        washes_as = np.full(w, -1)
        washes_as[self.wash] = self.wash_creator
        washed = (washes_as[who] >= 0) & (rng.random(len(who)) < 0.6)
        creator[washed], named[washed], frame[washed] = washes_as[who[washed]], jobs, np.arange(washed.sum())

        columns = {
            "ref": self.ids["frames"].take(len(who)),
            "job": _pick(names, named),
            "frame": frame,
            "creator": self._of(creator),
            "worker": self._of(who),
            "outcome": _pick(pa.array(["completed", "failed", "void"]), outcome),
            "at": at,
        }
        self.out.write(folder, f"frames-{self._date(day)}", columns)
        if folder != "history":
            self._send_again(folder, pa.table(columns).slice(0, 200))
        self._charge(day, begin, owner, start, size, np.bincount(job[outcome == 2], minlength=jobs), at, names, rng)

    def _send_again(self, folder: str, frames: pa.Table) -> None:
        """What real feeds bring: the same rows once more, then three of them with another time."""
        self.out.write(folder, "frames-sent-again", dict(zip(frames.column_names, frames.columns, strict=True)))
        changed = frames.slice(0, 3)
        columns = dict(zip(changed.column_names, changed.columns, strict=True))
        self.out.write(folder, "frames-sent-again-changed", {**columns, "at": changed["at"].to_numpy() - 1})

    # --- money

    def _charge(
        self, day: int, begin: int, owner: Ints, start: Ints, size: Ints, void: Ints, at: Ints, names: pa.Array, rng: np.random.Generator
    ) -> None:
        """Each job is paid when it starts, a few with credits; what was cancelled is paid back."""
        price = (rng.lognormal(0.2, 0.7, len(owner)) * MICRO).astype(np.int64)
        paid_at = np.maximum(at[start] - rng.integers(30, 1_200, len(owner)), begin)
        bonus = rng.random(len(owner)) < 0.03
        self._top_up(day, owner[~bonus], (price * size)[~bonus], paid_at[~bonus], begin, rng)
        self._spend(owner, price * size, paid_at, names[: len(owner)], bonus)
        back = np.flatnonzero(void)
        refunded_at = np.minimum(at[start + size - 1][back] + rng.integers(60, 7_200, len(back)), begin + DAY - 1)
        self._spend(owner[back], -(price * void)[back], refunded_at, names.take(pa.array(back)), bonus[back])

    def _top_up(self, day: int, owner: Ints, cost: Ints, at: Ints, begin: int, rng: np.random.Generator) -> None:
        """Whoever has not enough left for today's jobs recharges before the first of them; some will ask for it back."""
        need = np.zeros_like(self.balance)
        np.add.at(need, owner, cost)
        first = np.full_like(self.balance, begin + DAY)
        np.minimum.at(first, owner, at)
        who = np.flatnonzero(need > self.balance)
        step = self.top_up[who]
        amount = (need[who] - self.balance[who] + step - 1) // step * step
        self._recharge(who, amount, np.maximum(first[who] - rng.integers(20, 3_600, len(who)), begin))
        self.balance[who] += amount
        self.balance -= need
        for i in np.flatnonzero(rng.random(len(who)) < 0.004):
            # Now and then more is paid back than came in: several old recharges at once.
            tenths = 40 if rng.random() < 0.1 else int(rng.integers(2, 11))
            self.refunds.setdefault(day + int(rng.integers(1, 40)), []).append((int(who[i]), int(amount[i]) * tenths // 10))

    def _pay_back(self, day: int, begin: int, rng: np.random.Generator) -> None:
        """Refunds that fall due today."""
        due = np.array(self.refunds.pop(day, []), np.int64).reshape(-1, 2)
        np.subtract.at(self.balance, due[:, 0], due[:, 1])
        self._recharge(due[:, 0], -due[:, 1], begin + rng.integers(0, DAY, len(due)))

    def _recharge(self, who: Ints, amount: Ints, at: Ints, bonus: bool = False) -> None:
        if not bonus:
            np.add.at(self.recharged, who, amount)
        # Bonus credits and refunds are no transfers, whoever gets them.
        apart = self.by_transfer[who] & (amount > 0) & (at >= self.net.start) & (not bonus)
        self.transfers.append((self.wallet[who[apart]], amount[apart], at[apart]))
        self.recharges.add(self.wallet[who[~apart]], amount[~apart], at[~apart], bonus)

    def _spend(self, who: Ints, amount: Ints, at: Ints, job: pa.Array, bonus: Mask | bool = False) -> None:
        np.add.at(self.spent, who, np.where(bonus, 0, amount))
        self.spends.add(self.wallet[who], amount, at, bonus, job)

    def _hand_in_payments(self, folder: str) -> None:
        self.out.write(folder, f"recharges-{folder}", self.recharges.columns(self.ids["recharges"], self.addresses))
        self.out.write(folder, f"spends-{folder}", self.spends.columns(self.ids["spends"], self.addresses))
        self.recharges, self.spends = _Payments(), _Payments()
        if folder != "history":
            self._type_by_hand(folder)

    def _type_by_hand(self, folder: str) -> None:
        """A small CSV as an office writes it: three good rows and one of each common mistake."""
        at = int(datetime.fromisoformat(folder).replace(tzinfo=UTC).timestamp()) + DAY // 2
        who = [str(self.addresses[int(i)]) for i in self.creators[:3]]
        checked = to_checksum_address(who[1])
        swapped = "0x" + checked[2:].swapcase()
        lines = [
            "ref,account,amount,kind,at",
            f"office-{folder}-1,{who[0]},250000000,paid,{at}",
            f"office-{folder}-2,{checked},250000000,paid,{at}",
            f"office-{folder}-3,0x{who[2][2:].upper()},-40000000,paid,{at}",
            f"office-{folder}-4,{swapped},250000000,paid,{at}",
            f"office-{folder}-5,{who[0]},{10**30},paid,{at}",
            f"office-{folder}-6,{who[0]},250000000,paid,{at * 1_000}",
            f"office-{folder}-7,{who[0]},250000000,gift,{at}",
            f"office-{folder}-8,{who[0]},250 USDT,paid,{at}",
        ]
        self.out.write_text(f"{folder}/recharges-office.csv", lines)

    # --- passes

    def _issue_passes(self, day: int, at: int, rng: np.random.Generator) -> None:
        """Half an hour after the day's end, to whoever meets the conditions, roughly; one in fifty burns it."""
        enough = 5_000 * MICRO
        meets = np.zeros_like(self.had_pass)
        meets[0] = (self.recharged >= enough) & (self.spent >= enough)
        window = self.online_minutes[:, max(0, day - 29) : day + 1]
        away = window == 0
        run = away[:, :-2] & away[:, 1:-1] & away[:, 2:]
        meets[1, : self.net.workers] = (window.sum(axis=1) >= 30 * 16 * 60) & ~run.any(axis=1)
        for role, member in enumerate(meets):
            wallets = self.wallet[np.flatnonzero(member)]
            wallets = np.unique(wallets[~self.had_pass[role, wallets]])
            self.had_pass[role, wallets] = True
            keeps = wallets[rng.random(len(wallets)) < 0.98]
            self.holders.append((("creator", "worker")[role], keeps, at + 1_800 + np.arange(len(keeps)) // 100 * 12))

    def finish(self) -> Simulated:
        """The held-back rows, the holders and the transfers, and the account of it all."""
        if self.withheld:
            self.out.write(self._date(self.net.days), "heartbeats-held-back", self.withheld)
        rows = sorted((str(self.addresses[int(w)]), role, int(t)) for role, ws, ts in self.holders for w, t in zip(ws, ts, strict=True))
        self.out.write_text("holders.csv", ["account,role,issued_at", *(f"{a},{r},{t}" for a, r, t in rows)])
        wallet, amount, at = (np.concatenate(column) for column in zip(*self.transfers, strict=True))
        order = np.argsort(at, kind="stable")
        sent = zip(wallet[order].tolist(), amount[order].tolist(), at[order].tolist(), strict=True)
        if self.net.on_chain:
            self.out.write_text("transfers.csv", ["account,amount,at", *(f"{self.addresses[w]},{a},{t}" for w, a, t in sent)])
        self.out.flush()
        return Simulated(
            folders=tuple(self.out.folders),
            rows=dict(sorted(self.out.rows.items())),
            workers=self.net.workers,
            holders=len(rows),
            moved=len(self.move_at),
            transfers=len(wallet),
            bytes=sum(path.stat().st_size for path in self.out.root.rglob("*") if path.is_file()),
        )
