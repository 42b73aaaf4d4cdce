"""Hypothesis strategies over hostile activity: what stands on an edge, comes twice, late, in disorder, or pretends to be something else."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from eth_utils.address import to_checksum_address
from hypothesis import strategies as st

from pictor.policy import DEFAULT_PATH
from tests.reference import DAY, HOUR, MICRO, MINUTE, Delivery, Fact, Holder, Rules, month_start

# Few enough to meet each other. Neighbours in one order and not in another; two have no letters to write in capitals.
ACCOUNTS = (
    "0x00000000000000000000000000000000000000a1",
    "0x1000000000000000000000000000000000000000",
    "0x8617e340b3d01fa5f11f306f4090fd50e238070d",
    "0xabcdefabcdefabcdefabcdefabcdefabcdefabcd",
    "0xde709f2102306220921060314715629080e2fb77",
    "0xffffffffffffffffffffffffffffffffffffffff",
)

# Ordered by bytes of UTF-8; other orders (UTF-16, numbers, case, accents) differ. Some look like nothing, a number or markup.
REFS = ("0", "00", "10", "9", "A", "B", "NULL", "a", "a ", "b", "nan", "null", "true", "é", "\uffee", "\U0001f600")
TEXTS = ("j", " j", "null", "1", "1.0", 'say "j"', "a,b", "\\N", "\U0001f600")
FOREIGN_REF = f"1:0x{'ab' * 32}:0"

# Where calendars go wrong: months, leap years (2000 and 2024 are, 2100 is not), the first and the last days of all.
MOMENTS = tuple(
    int(datetime(*day, tzinfo=UTC).timestamp())
    for day in (
        (1970, 4, 1),
        (2000, 3, 1),
        (2024, 2, 29),
        (2024, 3, 1),
        (2025, 3, 1),
        (2025, 12, 31),
        (2026, 1, 1),
        (2026, 6, 1),
        (2026, 6, 15),
        (2100, 3, 1),
        (2106, 1, 1),
    )
)


# --- rules ------------------------------------------------------------------------------------------------------------------------


@st.composite
def rules(draw: st.DrawFn) -> Rules:
    """Policies with thresholds that a handful of rows can meet, and now and then the ones that ship."""
    if draw(st.integers(0, 5)) == 0:
        return replace(Rules(), not_members=draw(st.sampled_from(((), ACCOUNTS[:1]))))
    window = draw(st.sampled_from((1, 2, 3, 30)))
    return Rules(
        epoch_length=draw(st.sampled_from((DAY, DAY, HOUR, MINUTE, 7 * DAY, 90 * MINUTE))),
        priority_share_bps=draw(st.sampled_from((1_000, 2_500, 3_334, 10_000))),
        not_members=tuple(sorted(draw(st.sets(st.sampled_from(ACCOUNTS), max_size=1)))),
        late_limit=draw(st.sampled_from((35 * DAY, 35 * DAY, 2 * DAY, HOUR))),
        recharged=draw(st.sampled_from((1, 5_000 * MICRO, 10**15, 3 * 10**15 + 1))),
        spent=draw(st.sampled_from((1, 5_000 * MICRO, 10**15))),
        window_days=window,
        online_minutes=draw(st.sampled_from((1, 2, 60, 300))),
        offline_limit=draw(st.sampled_from((DAY, DAY + MINUTE, 36 * HOUR, max(DAY, window * DAY - MINUTE)))),
        spending_over=draw(st.sampled_from(("month", "lifetime"))),
        spending=draw(st.sampled_from((1, 3))),
        creator_frame=draw(st.sampled_from((0, 1))),
        creator_pass=draw(st.sampled_from((0, 100))),
        uptime_hour=draw(st.sampled_from((1, 7))),
        worker_frame=draw(st.sampled_from((5, 1))),
        worker_failure=draw(st.sampled_from((10, 150))),
        gpu_hundred_hours=draw(st.sampled_from((10, 100, 7))),
        worker_pass=draw(st.sampled_from((0, 100))),
        reference_hashpower=draw(st.sampled_from((1_000, 1, 7))),
        reference_vram_mib=draw(st.sampled_from((24_576, 3))),
    )


def policy_toml(wanted: Rules) -> str:
    """The shipped policy with the numbers of `wanted`, as a policy file."""
    policy = tomllib.loads(DEFAULT_PATH.read_text())
    version = policy["version"][0]
    policy |= {"epoch_length": wanted.epoch_length, "priority_share": wanted.priority_share_bps}
    version["not_members"] = list(wanted.not_members)
    version["activity"]["late_limit"] = wanted.late_limit
    version["creator"] = {
        "min_recharge": wanted.recharged,
        "min_spend": wanted.spent,
        "spending_points": wanted.spending,
        "spending_window": wanted.spending_over,
        "completed_points": wanted.creator_frame,
        "pass_points": wanted.creator_pass,
    }
    version["worker"] = {
        "window": wanted.window_days * DAY,
        "min_uptime": wanted.online_minutes,
        "max_offline": wanted.offline_limit,
        "uptime_points": wanted.uptime_hour,
        "completed_points": wanted.worker_frame,
        "failed_penalty": wanted.worker_failure,
        "gpu_points": wanted.gpu_hundred_hours,
        "pass_points": wanted.worker_pass,
    }
    version["gpu"] |= {"reference_hashpower": wanted.reference_hashpower, "reference_vram_mib": wanted.reference_vram_mib}
    return _toml({k: v for k, v in policy.items() if k != "version"}) + "[[version]]\n" + _toml(version, "version.")


def _toml(values: Mapping[str, Any], prefix: str = "") -> str:
    plain = "".join(f"{k} = {v!r}\n".replace("'", '"') for k, v in values.items() if not isinstance(v, dict))
    return plain + "".join(f"[{prefix}{k}]\n{_toml(v)}" for k, v in values.items() if isinstance(v, dict))


# --- rows -------------------------------------------------------------------------------------------------------------------------


def edges(end: int, wanted: Rules) -> list[int]:
    """Seconds on both sides of everything that begins or ends with the epoch."""
    start = end - wanted.window_days * DAY
    day = (end - 1) // DAY * DAY
    month = month_start(end - 1)
    at = [end, end - MINUTE, start, month, month_start(month - 1), day, day - DAY, start // DAY * DAY + DAY]
    return sorted({t + offset for t in at for offset in (-1, 0, 1, 59) if t + offset >= 0})


def times(end: int, wanted: Rules) -> st.SearchStrategy[int]:
    """Mostly on an edge, else around the epoch."""
    return st.one_of(st.sampled_from(edges(end, wanted)), st.integers(max(0, end - 70 * DAY), min(2**32 - 1, end + 2 * DAY)))


def written(account: str) -> st.SearchStrategy[str]:
    """An address in the notations that are taken, and rarely in one that is not."""
    checked: str = to_checksum_address(account)
    notations = (account, account, checked, "0x" + account[2:].upper())
    return st.one_of(*[st.sampled_from(notations)] * 20, st.sampled_from(("0x" + checked[2:].swapcase(), "0x" + "0" * 40, account[:-1])))


GAINS = (1, MICRO, 5_000 * MICRO, 4_999_999_999, 10**15, 10**15 - 1)
LOSSES = (0, -1, -MICRO, -(10**15), 10**15 + 1)


def row(table: str, accounts: st.SearchStrategy[str], at: st.SearchStrategy[int]) -> st.SearchStrategy[Fact]:
    """One row of a table with refs, addresses in lower case."""
    gains = (*GAINS, *[10**15] * 6)
    amounts = st.one_of(st.sampled_from(gains), st.sampled_from(gains), st.integers(1, 10**15), st.sampled_from((*LOSSES, *GAINS)))
    kinds = st.sampled_from((*["paid"] * 8, "bonus", "Paid"))
    refs = st.one_of(st.sampled_from(REFS), st.integers(0, 10**9).map(str), st.integers(0, 10**9).map(str))
    outcomes = st.sampled_from((*["completed"] * 8, *["failed"] * 3, "void", "done"))
    columns: dict[str, dict[str, st.SearchStrategy[Any]]] = {
        "recharges": {"ref": st.one_of(refs, st.just(FOREIGN_REF)), "account": accounts, "amount": amounts, "kind": kinds},
        "spends": {"ref": refs, "account": accounts, "amount": amounts, "kind": kinds, "job": st.sampled_from(TEXTS)},
        "frames": {
            "ref": refs,
            "job": st.sampled_from(TEXTS),
            "frame": st.sampled_from((0, 1, -1, 2**31 - 1, 2**31)),
            "creator": accounts,
            "worker": accounts,
            "outcome": outcomes,
        },
        "gpus": {
            "ref": refs,
            "worker": accounts,
            "model": st.sampled_from(TEXTS),
            "hashpower": st.sampled_from((1_000, 999, 10**6, 1, 0, 10**6 + 1)),
            "vram_mib": st.sampled_from((24_576, 2**24, 1, 0)),
        },
        "links": {"ref": refs, "from": accounts, "to": accounts},
    }
    return st.fixed_dictionaries({**columns[table], "at": at}).map(lambda columns: (table, columns))


@st.composite
def heartbeats(draw: st.DrawFn, accounts: st.SearchStrategy[str], end: int, wanted: Rules) -> list[Fact]:
    """Beats of one worker: a single one, a few a minute, or all through the window but for a hole of just about the limit."""
    worker = draw(accounts)
    start = end - wanted.window_days * DAY
    kind = draw(st.sampled_from(("single", "single", "burst", "hole", "hole")))
    if kind == "single":
        seconds = [draw(times(end, wanted))]
    elif kind == "burst":
        first = draw(times(end, wanted))
        seconds = [first + i * draw(st.sampled_from((0, 1, 30, 60))) for i in range(5)]
    else:
        # One beat in a while is online enough for these rules; minute by minute, 30 days would be 43 200 rows.
        step = wanted.window_days * 9 * MINUTE
        hole = draw(st.sampled_from((start, draw(st.integers(start - HOUR, end)) // MINUTE * MINUTE)))
        awake = hole + wanted.offline_limit + draw(st.sampled_from((-MINUTE, 0, MINUTE)))
        seconds = [*range(start, hole - MINUTE, step), hole - 1, awake, *range(awake, end, step)]
    return [("heartbeats", {"worker": worker, "at": s}) for s in seconds if s >= 0]


@st.composite
def facts(draw: st.DrawFn, end: int, wanted: Rules) -> list[Fact]:
    """Rows of all tables, in no order; a table may be empty. Addresses in lower case, refs that may clash."""
    accounts = st.sampled_from(draw(st.permutations(ACCOUNTS))[: draw(st.integers(2, len(ACCOUNTS)))])
    at = times(end, wanted)
    found: list[Fact] = []
    for table, most in (("recharges", 24), ("spends", 16), ("frames", 24), ("gpus", 8), ("links", 5)):
        found += draw(st.lists(row(table, accounts, at), min_size=draw(st.sampled_from((0, most // 2, most))), max_size=most))
    for run in draw(st.lists(heartbeats(accounts, end, wanted), min_size=draw(st.sampled_from((0, 4))), max_size=6)):
        found += run
    if draw(st.booleans()):
        # More than 2^53 for one account: a float would lose the last unit.
        whale, odd = draw(accounts), draw(st.integers(0, 99))
        found += [
            ("recharges", {"ref": f"w{i}", "account": whale, "amount": 10**15 - odd * i, "kind": "paid", "at": end - 1}) for i in range(11)
        ]
    return found


@st.composite
def holders(draw: st.DrawFn, end: int) -> tuple[Holder, ...]:
    """Passes held, most of them with ties in age, some not yet issued at the epoch's end."""
    everybody = [(account, role) for account in ACCOUNTS for role in (1, 2)]
    passes = draw(st.sets(st.sampled_from(everybody), min_size=draw(st.sampled_from((0, 10, 10))), max_size=len(everybody)))
    issued = st.sampled_from((max(0, end - DAY), max(0, end - 1), end, 0, max(0, end - DAY)))
    return tuple(Holder(account, role, draw(issued)) for account, role in sorted(passes))


# --- deliveries -------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """An epoch with all that came in before and after its cut. `cut`: how many of the deliveries stand before it."""

    rules: Rules
    epoch: int
    deliveries: tuple[Delivery, ...]
    cut: int
    holders: tuple[Holder, ...]

    @property
    def end(self) -> int:
        """Where the epoch ends."""
        return self.epoch * self.rules.epoch_length


@st.composite
def epochs(draw: st.DrawFn) -> tuple[Rules, int]:
    """Rules and an epoch that ends near a moment of interest."""
    wanted = draw(rules())
    return wanted, draw(st.sampled_from(MOMENTS)) // wanted.epoch_length + draw(st.integers(0, 1))


@st.composite
def disordered(draw: st.DrawFn, found: Sequence[Fact]) -> list[Fact]:
    """The rows in another order, with repeats, changed repeats, and addresses in every notation."""
    rows = list(found)
    for _ in range(draw(st.integers(0, 6)) if rows else 0):
        table, columns = draw(st.sampled_from(rows))
        changes = draw(
            st.sampled_from(({}, {}, {"at": columns["at"] + draw(st.sampled_from((1, DAY, 36 * DAY)))}, {"amount": 1}, {"outcome": "void"}))
        )
        rows.append((table, {**columns, **{k: v for k, v in changes.items() if k in columns}}))
    draw(st.randoms(use_true_random=False)).shuffle(rows)
    spelled: dict[int, tuple[str, Any]] = {}
    for _ in range(draw(st.integers(0, 8)) if rows else 0):
        i = draw(st.integers(0, len(rows) - 1))
        table, columns = rows[i]
        spelled[i] = (table, {k: draw(written(v)) if v in ACCOUNTS else v for k, v in columns.items()})
    return [spelled.get(i, fact) for i, fact in enumerate(rows)]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Anything that may come in, in one to four ingests, some of them backfills, received on the edges of the late limit."""
    wanted, epoch = draw(epochs())
    end = epoch * wanted.epoch_length
    rows = draw(disordered(draw(facts(end, wanted))))
    count = draw(st.integers(1, 4))
    bounds = [0, *sorted(draw(st.lists(st.integers(0, len(rows)), min_size=count - 1, max_size=count - 1))), len(rows)]
    moments = [end, end + HOUR, end + 36 * DAY]
    if rows:
        at = draw(st.sampled_from(rows))[1]["at"]
        moments += [at + wanted.late_limit, at + wanted.late_limit + 1]
    received = sorted(draw(st.lists(st.sampled_from(moments), min_size=count, max_size=count)))
    deliveries = tuple(
        Delivery(tuple(rows[a:b]), moment, backfill=draw(st.integers(0, 2)) > 0)
        for (a, b), moment in zip(pairwise(bounds), received, strict=True)
    )
    return Case(wanted, epoch, deliveries, draw(st.sampled_from((*range(count), *[count] * 4))), draw(holders(end)))


@st.composite
def conflict_free(draw: st.DrawFn) -> tuple[Case, tuple[Delivery, ...]]:
    """A case of sound rows in one backfill, and the same rows in another order, with repeats, in other ingests."""
    wanted, epoch = draw(epochs())
    end = epoch * wanted.epoch_length
    rows = []
    moved: dict[str, str] = {}
    for i, (table, columns) in enumerate(draw(facts(end, wanted))):
        if table == "links":
            # Each account moves once, and only towards a greater one: never a circle, whatever comes first.
            if columns["from"] >= columns["to"] or columns["from"] in moved:
                continue
            moved[columns["from"]] = columns["to"]
        rows.append((table, {**columns, "ref": f"{columns['ref']}/{i}"} if "ref" in columns else columns))
    again = [*rows, *draw(st.lists(st.sampled_from(rows), max_size=5) if rows else st.just([]))]
    draw(st.randoms(use_true_random=False)).shuffle(again)
    bounds = [0, *sorted(draw(st.lists(st.integers(0, len(again)), max_size=3))), len(again)]
    parts = tuple(Delivery(tuple(again[a:b]), end, backfill=True) for a, b in pairwise(bounds))
    return Case(wanted, epoch, (Delivery(tuple(rows), end, backfill=True),), 1, draw(holders(end))), parts
