"""The rules once more, slow and plain: what stands, who is eligible, points, score, rank, priority. Shares no code with the engine.

Big integers, dicts and loops only. One function for each rule, in the order of the rules, so that it can be checked by reading.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from unicodedata import category

from eth_utils.crypto import keccak

CREATOR, WORKER = 1, 2
MICRO = 1_000_000
MINUTE, HOUR, DAY = 60, 3_600, 86_400

Row = Mapping[str, Any]
Fact = tuple[str, Row]  # (table, row)


@dataclass(frozen=True)
class Rules:
    """Every number that the rules name, as they name it. Times in seconds, money in micro-USDT, points whole."""

    epoch_length: int = 86_400
    priority_share_bps: int = 1_000
    not_members: tuple[str, ...] = ()
    late_limit: int = 35 * DAY
    recharged: int = 5_000 * MICRO
    spent: int = 5_000 * MICRO
    window_days: int = 30
    online_minutes: int = 30 * 16 * 60
    offline_limit: int = 72 * HOUR
    spending_over: str = "month"
    spending: int = 1
    creator_frame: int = 1
    creator_pass: int = 100
    uptime_hour: int = 1
    worker_frame: int = 5
    worker_failure: int = 10
    gpu_hundred_hours: int = 10
    worker_pass: int = 100
    reference_hashpower: int = 1_000
    reference_vram_mib: int = 24_576


# --- what comes in ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Delivery:
    """One ingest: rows in the order in which they were handed over, and when."""

    rows: tuple[Fact, ...]
    received_at: int
    backfill: bool = False


@dataclass
class Fate:
    """What became of the rows of one delivery. `heartbeats` have no ref, so none of them is ever known or in conflict."""

    taken: list[Fact] = field(default_factory=list)
    known: list[Fact] = field(default_factory=list)
    conflicts: list[Fact] = field(default_factory=list)
    late: list[Fact] = field(default_factory=list)
    quarantined: list[Fact] = field(default_factory=list)


ACCOUNTS = {
    "recharges": ("account",),
    "spends": ("account",),
    "frames": ("creator", "worker"),
    "heartbeats": ("worker",),
    "gpus": ("worker",),
    "links": ("from", "to"),
}
WORDS = {"kind": {"paid", "bonus"}, "outcome": {"completed", "failed", "void"}}
RANGES = {  # both ends included
    "at": (0, 2**32 - 1),
    "amount": (-(10**15), 10**15),
    "hashpower": (0, 10**6),
    "vram_mib": (0, 2**24),
    "frame": (-(2**31), 2**31 - 1),
}
TEXT_BYTES = 256
ON_CHAIN_REF = re.compile(r"[0-9]+:0x[0-9a-fA-F]{64}:[0-9]+")


def normal_address(text: str) -> str | None:
    """Lower-case, or None: all-lower and all-upper are taken as they come, mixed case must pass EIP-55; zero is nobody."""
    if not re.fullmatch(r"0x[0-9a-fA-F]{40}", text) or int(text, 16) == 0:
        return None
    digits = text[2:]
    if digits not in (digits.lower(), digits.upper()):
        digest = keccak(text=digits.lower()).hex()
        if digits != "".join(c.upper() if int(h, 16) >= 8 else c for c, h in zip(digits.lower(), digest, strict=False)):
            return None
    return text.lower()


def normal_text(text: str) -> bool:
    """Whether an opaque text is one: not empty, not too long, no control characters."""
    return 0 < len(text.encode()) <= TEXT_BYTES and not any(category(c) == "Cc" for c in text)


def normal_row(table: str, row: Row) -> Row | None:
    """The row as it is compared and kept, or None where it breaks the schema."""
    kept = dict(row)
    for column, value in row.items():
        if column in ACCOUNTS[table]:
            kept[column] = normal_address(value)
            good = kept[column] is not None
        elif column in WORDS:
            good = value in WORDS[column]
        elif column in RANGES:
            good = RANGES[column][0] <= value <= RANGES[column][1]
        else:
            good = normal_text(value)
        if not good:
            return None
    return None if table == "recharges" and ON_CHAIN_REF.fullmatch(row["ref"]) else kept


def breaks_links(row: Row, standing: Iterable[Row]) -> bool:
    """Whether a link closes a circle or gives its `from` a second `to`, given the links that stand."""
    moved_to = {link["from"]: link["to"] for link in standing}
    if moved_to.get(row["from"], row["to"]) != row["to"]:
        return True
    account = row["to"]
    while account in moved_to and account != row["from"]:
        account = moved_to[account]
    return bool(account == row["from"])


def receive(deliveries: Iterable[Delivery], rules: Rules) -> list[Fate]:
    """What becomes of each row, in ledger order: only what stood before decides."""
    standing: dict[tuple[str, str], list[Row]] = defaultdict(list)
    links: list[Row] = []
    fates = []
    for delivery in deliveries:
        fate = Fate()
        fates.append(fate)
        for table, raw in delivery.rows:
            row = normal_row(table, raw)
            if row is None:
                fate.quarantined.append((table, raw))
                continue
            if not delivery.backfill and delivery.received_at - row["at"] > rules.late_limit:
                fate.late.append((table, row))
                continue
            if table == "heartbeats":
                fate.taken.append((table, row))
                continue
            same_ref = standing[table, row["ref"]]
            remembered = [r for r in same_ref if delivery.backfill or delivery.received_at - r["at"] <= rules.late_limit]
            if row in remembered:
                fate.known.append((table, row))
            elif remembered:
                fate.conflicts.append((table, row))
            elif table == "links" and breaks_links(row, links):
                fate.quarantined.append((table, row))
            else:
                fate.taken.append((table, row))
                same_ref.append(row)
                if table == "links":
                    links.append(row)
    return fates


# --- moved accounts --------------------------------------------------------------------------------------------------------------


def moves(links: Iterable[Row], end: int) -> dict[str, str]:
    """For each account that moved by the end of the epoch, where its activity counts: the end of its chain of links."""
    step = {link["from"]: link["to"] for link in links if link["at"] < end}
    final = {}
    for account in step:
        to = step[account]
        while to in step:
            to = step[to]
        final[account] = to
    return final


# --- what is counted -------------------------------------------------------------------------------------------------------------


@dataclass
class Counts:
    """All that the rules count of one account, both roles."""

    recharged: int = 0
    recharged_in_month: int = 0
    spent: int = 0
    frames_created: int = 0
    frames_completed: int = 0
    frames_failed: int = 0
    self_dealt: int = 0
    minutes: set[int] = field(default_factory=set)
    gpus: list[Row] = field(default_factory=list)


def month_start(second: int) -> int:
    """The first second of the UTC calendar month that holds `second`."""
    day = datetime.fromtimestamp(second, UTC)
    return int(datetime(day.year, day.month, 1, tzinfo=UTC).timestamp())


def count(facts: Iterable[Fact], end: int) -> tuple[dict[str, Counts], dict[str, str]]:
    """The counts of each account up to `end`, under the account that it is now, and the moves."""
    rows: dict[str, list[Row]] = defaultdict(list)
    for table, row in facts:
        if row["at"] < end:
            rows[table].append(row)
    moved = moves(rows["links"], end)
    counts: dict[str, Counts] = defaultdict(Counts)

    def of(account: str) -> Counts:
        return counts[moved.get(account, account)]

    for row in rows["recharges"]:
        if row["kind"] == "paid":
            of(row["account"]).recharged += row["amount"]
            if row["at"] >= month_start(end - 1):
                of(row["account"]).recharged_in_month += row["amount"]
    for row in rows["spends"]:
        if row["kind"] == "paid":
            of(row["account"]).spent += row["amount"]
    for row in rows["frames"]:
        creator, worker = of(row["creator"]), of(row["worker"])
        if row["outcome"] == "completed" and creator is worker:
            creator.self_dealt += 1
        elif row["outcome"] == "completed":
            creator.frames_created += 1
            worker.frames_completed += 1
        elif row["outcome"] == "failed":
            worker.frames_failed += 1
    for row in rows["heartbeats"]:
        of(row["worker"]).minutes.add(row["at"] // MINUTE)
    for row in rows["gpus"]:
        of(row["worker"]).gpus.append(row)
    return dict(counts), moved


def minutes_in_window(counts: Counts, end: int, rules: Rules) -> int:
    """Online minutes in the window that ends with the epoch."""
    return sum(1 for minute in counts.minutes if minute * MINUTE >= end - rules.window_days * DAY)


def longest_offline_run(counts: Counts, end: int, rules: Rules) -> int:
    """Seconds of the longest unbroken offline run in the window, its edges included."""
    first, stop = (end - rules.window_days * DAY) // MINUTE, end // MINUTE
    longest, offline_since = 0, first
    for minute in sorted(m for m in counts.minutes if m >= first):
        longest = max(longest, minute - offline_since)
        offline_since = minute + 1
    return max(longest, stop - offline_since) * MINUTE


def gpu_factor(row: Row, rules: Rules) -> int:
    """Millionths of the reference GPU."""
    return 500_000 * int(row["hashpower"]) // rules.reference_hashpower + 500_000 * int(row["vram_mib"]) // rules.reference_vram_mib


def factor_on_day(gpus: Sequence[Row], day: int, rules: Rules) -> int:
    """By the GPU in force when the UTC day began, or else the first one registered that day; none yet: 0."""
    before = [g for g in gpus if g["at"] <= day * DAY]
    if before:
        return gpu_factor(max(before, key=lambda g: (g["at"], g["ref"].encode())), rules)
    that_day = [g for g in gpus if g["at"] // DAY == day]
    if that_day:
        first = min(g["at"] for g in that_day)
        return gpu_factor(max((g for g in that_day if g["at"] == first), key=lambda g: g["ref"].encode()), rules)
    return 0


# --- who earns a pass, and points ------------------------------------------------------------------------------------------------


def earns(role: int, counts: Counts, end: int, rules: Rules) -> bool:
    """Whether the conditions of a role's pass are met at the end of the epoch."""
    if role == CREATOR:
        return counts.recharged >= rules.recharged and counts.spent >= rules.spent
    enough = minutes_in_window(counts, end, rules) >= rules.online_minutes
    return enough and longest_offline_run(counts, end, rules) <= rules.offline_limit


CRITERIA = ("spending", "completed_jobs", "average_uptime", "job_completion", "gpu_performance", "pass")


def points(role: int, counts: Counts, end: int, rules: Rules) -> dict[str, int]:
    """Micro-points by criterion; 0 where a criterion is not of the role."""
    criteria = dict.fromkeys(CRITERIA, 0)
    if role == CREATOR:
        recharged = counts.recharged_in_month if rules.spending_over == "month" else counts.recharged
        criteria["spending"] = max(0, recharged * rules.spending)
        criteria["completed_jobs"] = counts.frames_created * rules.creator_frame * MICRO
        criteria["pass"] = rules.creator_pass * MICRO
    else:
        criteria["average_uptime"] = minutes_in_window(counts, end, rules) * rules.uptime_hour * MICRO // (rules.window_days * 60)
        criteria["job_completion"] = (counts.frames_completed * rules.worker_frame - counts.frames_failed * rules.worker_failure) * MICRO
        factors = {day: factor_on_day(counts.gpus, day, rules) for day in {m * MINUTE // DAY for m in counts.minutes}}
        weighted = sum(factors[minute * MINUTE // DAY] for minute in counts.minutes)
        criteria["gpu_performance"] = weighted * rules.gpu_hundred_hours // 6_000
        criteria["pass"] = rules.worker_pass * MICRO
    return criteria


# --- ranks and priority ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Holder:
    """A pass that was held in the epoch's last block."""

    account: str
    role: int
    issued_at: int


@dataclass(frozen=True)
class Standing:
    """A scored holder: micro-points by criterion, their sum but never below 0, and the rank within the role."""

    account: str
    role: int
    criteria: tuple[tuple[str, int], ...]
    score: int
    rank: int
    prioritized: bool


@dataclass(frozen=True)
class Epoch:
    """All that follows from an epoch's facts: eligible (role, account) in order, standings in rank order, creators first."""

    eligible: tuple[tuple[int, str], ...]
    standings: tuple[Standing, ...]


def score(facts: Iterable[Fact], epoch: int, holders: Iterable[Holder], rules: Rules) -> Epoch:
    """Eligibility and standings of epoch `epoch` from the facts up to its cut."""
    end = epoch * rules.epoch_length
    counts, moved = count(facts, end)
    outside = {*moved, *rules.not_members}
    eligible = [
        (role, account)
        for role in (CREATOR, WORKER)
        for account in sorted(counts)
        if account not in outside and earns(role, counts[account], end, rules)
    ]
    standings = []
    for role in (CREATOR, WORKER):
        scored = []
        for holder in holders:
            if holder.role == role and holder.issued_at < end and holder.account not in outside:
                criteria = points(role, counts.get(holder.account, Counts()), end, rules)
                scored.append((max(0, sum(criteria.values())), holder, criteria))
        scored.sort(key=lambda entry: (-entry[0], entry[1].issued_at, entry[1].account))
        prioritised = -(-len(scored) * rules.priority_share_bps // 10_000)
        for rank, (total, holder, criteria) in enumerate(scored, 1):
            standings.append(Standing(holder.account, role, tuple(criteria.items()), total, rank, rank <= prioritised))
    return Epoch(tuple(eligible), tuple(standings))
