"""Rollups: late rows are deltas, links unite, cuts hold, days can be unfinished, and rebuilt from the log they are the same."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pictor.activity import counting
from pictor.activity.ledger import BrokenLedgerError, Ledger
from pictor.activity.moves import Group, Link, groups, standing
from pictor.activity.rollup_files import RollupFiles, quoted
from pictor.activity.rollups import Cut, Rollups, RollupsError
from pictor.activity.schemas import TABLES
from pictor.policy import Policy, load_policies, parse_policies
from pictor.scoring import EpochScores, score_epoch
from pictor.units import DAY, HOUR, MINUTE, Address, Role

ALICE, BOB, CAROL, DAVE = (Address("0x" + digit * 40) for digit in "abcd")
EPOCH = 20_000
T = EPOCH * DAY
RULES = load_policies().at(EPOCH)
Rows = list[dict[str, Any]]


class Network:
    """A ledger that rows are sent to, and its rollups."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ledger = Ledger.open(folder / "ledger", create=True)
        self.rollups = Rollups.open(self.ledger)
        self._refs = count()

    def send(self, table: str, *rows: dict[str, Any]) -> int:
        """Append a batch; its number."""
        names = TABLES[table].schema.names
        whole = [{"ref": f"{next(self._refs):06}", "kind": "paid", "job": "job", "frame": 0, "model": "GPU", **row} for row in rows]
        batch = self.folder / "batch.parquet"
        pq.write_table(pa.Table.from_pylist([{name: row[name] for name in names} for row in whole], TABLES[table].schema), batch)
        times = [row["at"] for row in whole]
        with self.ledger.writing():
            return self.ledger.append("test", T, table=table, batch=batch, rows=len(rows), first_at=min(times), last_at=max(times)).number

    def online(self, worker: str, start: int, minutes: int) -> int:
        """Send a heartbeat for each of the minutes from `start` on."""
        return self.send("heartbeats", *({"worker": worker, "at": start + i * MINUTE} for i in range(minutes)))

    def score(self, *accounts: str, epoch: int = EPOCH, cut: Cut | None = None, rules: Policy = RULES) -> EpochScores:
        """Of these accounts, each with both passes."""
        rows = [{"account": account, "role": int(role), "issued_at": 0} for account in accounts for role in Role]
        return score_epoch(self.rollups, rules, epoch, pa.Table.from_pylist(rows), cut)

    def totals(self, account: str, **options: Any) -> dict[str, int]:
        """What an account did, in both roles."""
        creator, worker = self.score(account, **options).totals.to_pylist()
        return {name: creator[name] + worker[name] for name in creator if name not in ("account", "role", "issued_at", "self_dealt")} | {
            "self_dealt": worker["self_dealt"]
        }


@pytest.fixture
def network(tmp_path: Path) -> Network:
    return Network(tmp_path)


def stored(rollups: Rollups, ledger: Ledger, series: str) -> list[tuple[Any, ...]]:
    """The rows of a series, accounts by their addresses, in a fixed order."""
    files = RollupFiles(ledger.storage.scratch / "rollups")
    index = files.index()
    con = counting.connect()
    paths, accounts = (quoted(files.paths(index.series(name))) for name in (series, "accounts"))
    columns = (
        f"SELECT a.account AS name, s.* EXCLUDE (account) FROM read_parquet({paths}) s JOIN read_parquet({accounts}) a ON s.account = a.id"
    )
    return con.execute(f"SELECT * FROM ({columns}) ORDER BY ALL").fetchall()


# --- counting


def test_a_minute_counts_once_whatever_comes_twice_or_late(network: Network) -> None:
    network.online(ALICE, T - 10 * DAY, 5)
    network.rollups.update()
    late = network.online(ALICE, T - 10 * DAY + 3 * MINUTE + 7, 4)  # two of these are known
    network.rollups.update()
    assert network.totals(ALICE)["online_minutes"] == 7
    rows = stored(network.rollups, network.ledger, "worker_days")
    assert [(row[3], row[6], row[9]) for row in rows] == [(1, 5, 1), (late, 2, 0)]  # batch, minutes, days online


def test_a_late_gpu_takes_the_days_from_its_own_on_with_it(network: Network) -> None:
    network.send("gpus", {"worker": ALICE, "hashpower": 1_000, "vram_mib": 24_576, "at": T - 20 * DAY})
    for day in range(1, 6):
        network.online(ALICE, T - day * DAY, 10)
    network.rollups.update()
    assert network.totals(ALICE)["gpu_minutes"] == 50 * 1_000_000
    network.score(ALICE, epoch=EPOCH - 1)  # a checkpoint that the late row has to get past
    late = network.send("gpus", {"worker": ALICE, "hashpower": 500, "vram_mib": 24_576, "at": T - 4 * DAY + 1})
    network.rollups.update()
    # The day that it was registered on began with the other one in force.
    assert network.totals(ALICE)["gpu_minutes"] == 20 * 1_000_000 + 30 * 750_000
    assert network.totals(ALICE, cut=Cut(late - 1))["gpu_minutes"] == 50 * 1_000_000


def test_without_a_gpu_hours_are_worth_nothing_until_the_first_is_registered(network: Network) -> None:
    for day in (3, 2, 1):
        network.online(ALICE, T - day * DAY, 10)
    network.rollups.update()
    network.send("gpus", {"worker": ALICE, "hashpower": 1_000, "vram_mib": 24_576, "at": T - 2 * DAY + HOUR})
    network.rollups.update()
    assert network.totals(ALICE)["gpu_minutes"] == 20 * 1_000_000


# --- cuts and epochs


def test_rows_after_the_cut_or_the_end_change_nothing(network: Network) -> None:
    _fill(network, random.Random(1), 6)
    network.rollups.update()
    cut = network.rollups.cut
    before = network.score(ALICE, BOB, CAROL)
    _fill(network, random.Random(2), 6)
    network.online(ALICE, T, 30)
    network.send("recharges", {"account": ALICE, "amount": 10**9, "at": T})
    network.rollups.update()
    after = network.score(ALICE, BOB, CAROL, cut=cut)
    assert (after.eligible, after.standings, after.totals) == (before.eligible, before.standings, before.totals)
    assert network.score(ALICE, BOB, CAROL).totals != before.totals


def test_a_cut_that_is_not_reached_yet_is_refused(network: Network) -> None:
    network.online(ALICE, T - DAY, 1)
    with pytest.raises(RollupsError, match="not yet at"):
        network.score(ALICE, cut=Cut(1))


def test_an_epoch_may_end_within_a_day(network: Network) -> None:
    rules = parse_policies(_policy_text().replace("epoch_length = 86_400", "epoch_length = 5_400")).at(0)
    epoch = (T + 4 * HOUR + 30 * MINUTE) // 5_400
    end = epoch * 5_400
    network.send("gpus", {"worker": ALICE, "hashpower": 1_000, "vram_mib": 24_576, "at": end - HOUR})
    network.send(
        "heartbeats",
        *({"worker": ALICE, "at": at} for at in (end - 30 * DAY - 1, end - 30 * DAY, end - 30 * DAY + MINUTE, end - MINUTE, end - 1, end)),
    )
    network.send("recharges", *({"account": ALICE, "amount": 5, "at": at} for at in (end - 1, end, end + DAY)))
    network.send("frames", *({"creator": ALICE, "worker": BOB, "outcome": "completed", "at": at} for at in (end - DAY, end - 1, end)))
    network.rollups.update()
    totals = network.totals(ALICE, epoch=epoch, rules=rules)
    assert totals["online_minutes"] == 3  # the window's first two minutes, and its last
    assert totals["gpu_minutes"] == 1_000_000  # registered that day, so for what there is of it; the days before had none
    assert (totals["recharged"], totals["frames"]) == (5, 2)


# --- moved accounts


def test_a_link_unites_what_both_did_from_then_on(network: Network) -> None:
    network.online(ALICE, T - 3 * DAY, 10)
    network.online(BOB, T - 3 * DAY + 5 * MINUTE, 10)
    network.send("frames", *({"creator": ALICE, "worker": BOB, "outcome": "completed", "at": T - 5 * DAY} for _ in range(3)))
    network.send("frames", {"creator": ALICE, "worker": CAROL, "outcome": "completed", "at": T - 5 * DAY})
    network.send("gpus", {"worker": ALICE, "hashpower": 1_000, "vram_mib": 24_576, "at": T - 9 * DAY})
    network.rollups.update()
    apart = network.totals(BOB, epoch=EPOCH - 1)
    network.send("links", {"from": ALICE, "to": BOB, "at": T - DAY})
    network.rollups.update()
    together = network.totals(BOB)
    assert together["online_minutes"] == 15  # united, not added
    assert together["gpu_minutes"] == 15 * 1_000_000
    assert (together["frames"], together["completed"], together["self_dealt"]) == (1, 0, 3)  # judged after the move
    assert network.totals(BOB, epoch=EPOCH - 1) == apart  # at ≥ that epoch's end
    assert ALICE not in network.score(ALICE, BOB).standings["account"].to_pylist()


def test_what_comes_after_a_link_is_added_to_what_was_recounted(network: Network) -> None:
    network.online(ALICE, T - 3 * DAY, 10)
    network.send("links", {"from": ALICE, "to": BOB, "at": T - 4 * DAY}, {"from": BOB, "to": CAROL, "at": T - 3 * DAY})
    network.rollups.update()
    assert network.totals(CAROL)["online_minutes"] == 10  # chains follow to the end
    network.online(ALICE, T - 3 * DAY + 5 * MINUTE, 10)
    network.online(BOB, T - 3 * DAY, 20)
    network.send("frames", {"creator": BOB, "worker": ALICE, "outcome": "completed", "at": T - DAY})
    network.send("recharges", {"account": ALICE, "amount": 7, "at": T - DAY})
    network.rollups.update()
    totals = network.totals(CAROL)
    assert (totals["online_minutes"], totals["self_dealt"], totals["recharged"]) == (20, 1, 7)


def test_links_that_cannot_stand_together_the_first_stand() -> None:
    links = [Link(ALICE, BOB, 9, 1), Link(ALICE, CAROL, 1, 2), Link(BOB, ALICE, 2, 3), Link(DAVE, DAVE, 1, 4), Link(CAROL, ALICE, 5, 5)]
    assert standing(links) == [links[0], links[4]]
    assert groups(links, 10) == [Group(BOB, (ALICE, CAROL))]
    assert groups(links, 9) == [Group(ALICE, (CAROL,))]  # `at` is when a link begins to count, and 9 is not before 9


# --- built anew


def test_rebuilt_from_the_log_they_are_the_same(network: Network) -> None:
    chance = random.Random(7)
    for _ in range(4):
        _fill(network, chance, 4)
        network.rollups.update()
        network.score(ALICE, BOB, CAROL, DAVE, epoch=EPOCH - 10)
    step_by_step = {series: stored(network.rollups, network.ledger, series) for series in ("minutes", "worker_days", "account_days")}
    scores = network.score(ALICE, BOB, CAROL, DAVE)
    for file in (network.ledger.storage.scratch / "rollups").iterdir():
        file.unlink()
    network.rollups.update()
    for series, rows in step_by_step.items():
        again = stored(network.rollups, network.ledger, series)
        assert [row for row in again if series == "minutes" or not row[1]] == [row for row in rows if series == "minutes" or not row[1]]
    rebuilt = network.score(ALICE, BOB, CAROL, DAVE)
    assert (rebuilt.eligible, rebuilt.standings, rebuilt.totals) == (scores.eligible, scores.standings, scores.totals)


@pytest.mark.parametrize("table", ["heartbeats", "gpus"])
@pytest.mark.parametrize("harm", ["cut", "changed", "gone"])
def test_a_damaged_batch_is_named_and_never_counted(network: Network, table: str, harm: str) -> None:
    network.online(ALICE, T - DAY, 3)
    network.send("gpus", {"worker": ALICE, "hashpower": 1_000, "vram_mib": 24_576, "at": T - 20 * DAY})
    batch = next(network.ledger.path(entry) for entry in network.ledger.entries() if entry.table == table)
    whole = batch.read_bytes()
    batch.unlink()
    if harm != "gone":
        batch.write_bytes(whole[:-9] if harm == "cut" else whole[:20] + bytes([whole[20] ^ 1]) + whole[21:])
    with pytest.raises(BrokenLedgerError, match=batch.name):
        network.rollups.update()
    assert network.rollups.cut == Cut(0)
    batch.unlink(missing_ok=True)
    batch.write_bytes(whole)
    network.rollups.update()
    assert network.totals(ALICE)["gpu_minutes"] == 3 * 1_000_000


@pytest.mark.parametrize("series", ["accounts", "worker_days"])
@pytest.mark.parametrize("harm", ["cut", "gone"])
def test_a_damaged_file_of_theirs_is_named_with_what_to_do(network: Network, series: str, harm: str) -> None:
    network.online(ALICE, T - DAY, 3)
    network.rollups.update()
    [file] = (network.ledger.storage.scratch / "rollups").glob(f"{series}-*.parquet")
    whole = file.read_bytes()
    file.unlink()
    if harm == "cut":
        file.write_bytes(whole[:-9])
    with pytest.raises(RollupsError, match=f"{file.name}.*; delete {file.parent} to have the rollups built anew"):
        network.score(ALICE)


def test_a_killed_update_leaves_them_as_they_were(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    network.online(ALICE, T - DAY, 3)
    network.rollups.update()
    network.online(ALICE, T - DAY + HOUR, 3)
    with monkeypatch.context() as patch:
        patch.setattr(RollupFiles, "commit", _killed)
        with pytest.raises(KeyboardInterrupt):
            network.rollups.update()
    assert network.rollups.cut == Cut(1)
    assert network.totals(ALICE)["online_minutes"] == 3
    network.rollups.update()
    assert network.totals(ALICE)["online_minutes"] == 6
    folder = network.ledger.storage.scratch / "rollups"
    index = RollupFiles(folder).index()
    assert {file.name for file in folder.glob("*.parquet")} == index.named() | set(index.retired)


def test_a_full_disk_is_told_and_leaves_them_as_they_were(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    network.online(ALICE, T - DAY, 3)
    with monkeypatch.context() as patch:
        patch.setattr(RollupFiles, "save", _disk_full)
        with pytest.raises(RollupsError, match="No space left"):
            network.rollups.update()
    assert network.rollups.cut == Cut(0)


def test_rollups_of_another_ledger_are_refused(network: Network, tmp_path: Path) -> None:
    network.online(ALICE, T - DAY, 3)
    network.rollups.update()
    other = Network(tmp_path / "other")
    other.online(BOB, T - DAY, 3)
    with pytest.raises(RollupsError, match="another ledger"):
        Rollups.open(other.ledger, network.ledger.storage.scratch / "rollups")


def test_files_stay_few_and_history_is_not_read_again(network: Network) -> None:
    for day in range(60, 0, -1):
        network.send("recharges", {"account": ALICE, "amount": 1, "at": T - day * DAY})
        network.rollups.update()
    index = RollupFiles(network.ledger.storage.scratch / "rollups").index()
    assert len(index.series("account_days")) <= 6
    network.score(ALICE, epoch=EPOCH - 2)
    counts = network.rollups.counts(T, 30 * DAY, T - 14 * DAY)
    assert [(span.first_day, span.end_day) for span in counts.account_days] == [(EPOCH - 2, EPOCH)]
    assert network.totals(ALICE, rules=_lifetime())["recharged"] == 60


# --- on-chain recharges


class Chain:
    """Recharges in blocks of an hour, as a log has them."""

    def __init__(self, *rows: tuple[str, int, int]) -> None:
        self.rows = rows

    def chains(self) -> list[int]:
        return [56]

    def head(self, chain: int) -> int:
        assert chain == 56
        return max(at for _, _, at in self.rows) // HOUR

    def table(self, chain: int, first: int, last: int) -> pa.Table:
        assert chain == 56
        rows: Rows = [
            {"ref": f"56:{at}", "account": account, "amount": amount, "kind": "paid", "at": at, "block": at // HOUR}
            for account, amount, at in self.rows
            if first <= at // HOUR <= last
        ]
        return pa.Table.from_pylist(rows, schema=TABLES["recharges"].schema.append(pa.field("block", pa.int64())))


def test_recharges_on_a_chain_are_cut_by_block(network: Network) -> None:
    network.send("recharges", {"account": ALICE, "amount": 1, "at": T - DAY})
    chain = Chain((ALICE, 10, T - 2 * DAY), (BOB, 100, T - DAY), (ALICE, 1_000, T - HOUR), (ALICE, 10_000, T))
    network.rollups = Rollups.open(network.ledger, recharges=chain)
    head = network.rollups.update()
    assert head == Cut(1, {56: T // HOUR})
    assert network.totals(ALICE)["recharged"] == 1_011
    assert network.totals(ALICE, cut=Cut(1, {56: T // HOUR - 2}))["recharged"] == 11
    assert network.totals(ALICE, cut=Cut(1))["recharged"] == 1
    hourly = parse_policies(_policy_text().replace("epoch_length = 86_400", "epoch_length = 3_600")).at(0)
    assert network.totals(ALICE, epoch=T // HOUR + 1, rules=hourly)["recharged"] == 11_011
    network.send("links", {"from": BOB, "to": ALICE, "at": T - DAY})
    network.rollups.update()
    assert network.totals(ALICE)["recharged"] == 1_111


# --- helpers


def _fill(network: Network, chance: random.Random, batches: int) -> None:
    """Batches of everything, in no order, for four accounts over forty days."""
    people = (ALICE, BOB, CAROL, DAVE)

    def at() -> int:
        return T - 40 * DAY + chance.randrange(40 * DAY)

    makers: dict[str, Callable[[], dict[str, Any]]] = {
        "heartbeats": lambda: {"worker": chance.choice(people), "at": T - 5 * DAY + chance.randrange(3 * HOUR)},
        "recharges": lambda: {"account": chance.choice(people), "amount": chance.randrange(-(10**9), 10**10), "at": at()},
        "spends": lambda: {"account": chance.choice(people), "amount": chance.randrange(10**10), "at": at()},
        "frames": lambda: {
            "creator": chance.choice(people),
            "worker": chance.choice(people),
            "outcome": chance.choice(("completed", "failed", "void")),
            "at": at(),
        },
        "gpus": lambda: {"worker": chance.choice(people), "hashpower": chance.randrange(2_000), "vram_mib": 24_576, "at": at()},
    }
    for _ in range(batches):
        table = chance.choice(list(makers))
        network.send(table, *(makers[table]() for _ in range(chance.randrange(1, 60))))
    network.send("links", {"from": CAROL, "to": DAVE, "at": T - 15 * DAY})


def _policy_text() -> str:
    from pictor.policy import DEFAULT_PATH

    return DEFAULT_PATH.read_text(encoding="utf-8")


def _lifetime() -> Policy:
    return parse_policies(_policy_text().replace('spending_window = "month"', 'spending_window = "lifetime"')).at(0)


def _killed(*_: Any) -> None:
    raise KeyboardInterrupt


def _disk_full(*_: Any) -> None:
    raise OSError(28, "No space left on device")
