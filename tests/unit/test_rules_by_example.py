"""The rules as examples with the numbers worked out by hand: the reference and the engine must both give them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest

from tests import engine, reference
from tests.reference import CREATOR, DAY, HOUR, MICRO, MINUTE, WORKER, Epoch, Fact, Holder, Rules

ALICE, BOB, CAROL, DAVE = (f"0x{i}{'0' * 38}{i}" for i in "abcd")
EPOCH = int(datetime(2026, 6, 15, tzinfo=UTC).timestamp()) // DAY
T = EPOCH * DAY
WINDOW = T - 30 * DAY
_refs = count()

Score = Callable[..., Epoch]


@pytest.fixture(params=["reference", "engine"])
def score(request: pytest.FixtureRequest) -> Score:
    """The epoch that ends on 15 June 2026, by the rules that ship."""
    by: Callable[..., Epoch] = {"reference": reference.score, "engine": engine.score}[request.param]

    def of(facts: Iterable[Fact], *holders: Holder, rules: Rules = Rules(), epoch: int = EPOCH) -> Epoch:  # noqa: B008  frozen
        return by(list(facts), epoch, holders, rules)

    return of


def fact(table: str, at: int, **columns: Any) -> Fact:
    ref = {} if table == "heartbeats" else {"ref": f"r{next(_refs):05}"}
    return table, {**ref, **columns, "at": at}


def recharge(account: str, usdt: float, at: int = T - 1, kind: str = "paid") -> Fact:
    return fact("recharges", at, account=account, amount=round(usdt * MICRO), kind=kind)


def spend(account: str, usdt: float, at: int = T - 1, kind: str = "paid") -> Fact:
    return fact("spends", at, account=account, amount=round(usdt * MICRO), kind=kind, job="job")


def frame(creator: str, worker: str, outcome: str = "completed", at: int = T - 1) -> Fact:
    return fact("frames", at, job="job", frame=0, creator=creator, worker=worker, outcome=outcome)


def online(worker: str, start: int, stop: int) -> list[Fact]:
    """A heartbeat in every minute of [start, stop)."""
    return [fact("heartbeats", at, worker=worker) for at in range(start, stop, MINUTE)]


def gpu(worker: str, hashpower: int, vram_mib: int, at: int, **ref: str) -> Fact:
    return fact("gpus", at, worker=worker, model="GPU", hashpower=hashpower, vram_mib=vram_mib, **ref)


def link(origin: str, to: str, at: int = T - 1) -> Fact:
    return fact("links", at, **{"from": origin, "to": to})


def creator(account: str, issued_at: int = 0) -> Holder:
    return Holder(account, CREATOR, issued_at)


def worker(account: str, issued_at: int = 0) -> Holder:
    return Holder(account, WORKER, issued_at)


def criteria(epoch: Epoch, account: str) -> dict[str, int]:
    (found,) = (standing for standing in epoch.standings if standing.account == account)
    return {**{name: points for name, points in found.criteria if points}, "score": found.score}


# --- who earns a pass


@pytest.mark.parametrize(
    ("facts", "earns"),
    [
        ([recharge(ALICE, 5_000), spend(ALICE, 5_000)], True),
        ([recharge(ALICE, 4_999.999999), spend(ALICE, 5_000)], False),
        ([recharge(ALICE, 5_000), spend(ALICE, 4_999.999999)], False),
        ([recharge(ALICE, 5_000), recharge(ALICE, -0.000001), spend(ALICE, 5_000)], False),
        ([recharge(ALICE, 6_000, T - 900 * DAY), recharge(ALICE, -1_000), spend(ALICE, 5_000, T - 800 * DAY)], True),
        ([recharge(ALICE, 5_000, kind="bonus"), spend(ALICE, 5_000)], False),
        ([recharge(ALICE, 5_000), spend(ALICE, 5_000, kind="bonus")], False),
        ([recharge(ALICE, 5_000), spend(ALICE, 5_000, T)], False),
        ([recharge(ALICE, 5_000, T), spend(ALICE, 5_000)], False),
        ([recharge(ALICE, 5_000), spend(BOB, 5_000)], False),
    ],
)
def test_a_creator_earns_a_pass_by_5_000_paid_and_5_000_spent(facts: list[Fact], earns: bool, score: Score) -> None:
    assert score(facts).eligible == (((CREATOR, ALICE),) if earns else ())


def every_day(hours: int, days: int = 30, extra: int = 0) -> list[Fact]:
    """Online so many hours at the start of each day of the window; in the last one `extra` minutes more."""
    rows = [beat for day in range(days) for beat in online(BOB, WINDOW + day * DAY, WINDOW + day * DAY + hours * HOUR)]
    return rows + online(BOB, WINDOW + (days - 1) * DAY + hours * HOUR, WINDOW + (days - 1) * DAY + hours * HOUR + extra * MINUTE)


@pytest.mark.parametrize(
    ("facts", "earns"),
    [
        (every_day(16), True),
        (every_day(16)[:-1], False),
        (every_day(16)[1:] + every_day(16)[1:5], False),  # the same minute twice is one
        (every_day(16)[1:] + online(BOB, T, T + MINUTE), False),
        (every_day(16)[1:] + online(BOB, WINDOW - MINUTE, WINDOW), False),
    ],
)
def test_a_worker_earns_a_pass_by_480_hours_in_30_days(facts: list[Fact], earns: bool, score: Score) -> None:
    assert score(facts).eligible == (((WORKER, BOB),) if earns else ())


@pytest.mark.parametrize("minutes", [0, 1])
@pytest.mark.parametrize("where", ["first", "middle", "last"])
def test_72_hours_offline_are_allowed_and_a_minute_more_is_not(where: str, minutes: int, score: Score) -> None:
    begin = {"first": WINDOW, "middle": WINDOW + 10 * DAY, "last": T - 72 * HOUR - minutes * MINUTE}[where]
    stop = begin + 72 * HOUR + minutes * MINUTE
    assert score(online(BOB, WINDOW, begin) + online(BOB, stop, T)).eligible == (() if minutes else ((WORKER, BOB),))


def test_whoever_is_on_the_list_of_non_members_is_neither_eligible_nor_scored(score: Score) -> None:
    epoch = score([recharge(ALICE, 5_000), spend(ALICE, 5_000)], creator(ALICE), rules=Rules(not_members=(ALICE,)))
    assert epoch == Epoch((), ())


# --- points


def test_spending_counts_the_calendar_month_of_the_last_second(score: Score) -> None:
    june = int(datetime(2026, 6, 1, tzinfo=UTC).timestamp())
    facts = [
        recharge(ALICE, 7, june - 1),
        recharge(ALICE, 10.5, june),
        recharge(ALICE, -3, T - 1),
        recharge(ALICE, 50, T),
        recharge(ALICE, 9, kind="bonus"),
    ]
    assert criteria(score(facts, creator(ALICE)), ALICE) == {"spending": 7_500_000, "pass": 100 * MICRO, "score": 107_500_000}
    # An epoch that ends with the month counts all of it: its last second is still May.
    may = score(facts, creator(ALICE), epoch=june // DAY)
    assert criteria(may, ALICE) == {"spending": 7 * MICRO, "pass": 100 * MICRO, "score": 107 * MICRO}


def test_spending_is_never_below_zero(score: Score) -> None:
    facts = [recharge(ALICE, 500, T - 60 * DAY), recharge(ALICE, -800)]
    assert criteria(score(facts, creator(ALICE)), ALICE) == {"pass": 100 * MICRO, "score": 100 * MICRO}


def test_a_completed_frame_counts_for_both_a_failed_one_for_the_worker_a_void_one_for_nobody(score: Score) -> None:
    facts = [frame(ALICE, BOB), frame(ALICE, BOB, at=0), frame(ALICE, BOB, "failed"), frame(ALICE, BOB, "void"), frame(ALICE, BOB, at=T)]
    epoch = score(facts, creator(ALICE), worker(BOB))
    assert criteria(epoch, ALICE) == {"completed_jobs": 2 * MICRO, "pass": 100 * MICRO, "score": 102 * MICRO}
    assert criteria(epoch, BOB) == {"pass": 100 * MICRO, "score": 100 * MICRO}  # 2 × 5 − 1 × 10


def test_frames_rendered_for_oneself_count_for_neither_role_but_failures_do(score: Score) -> None:
    facts = [frame(ALICE, ALICE), frame(ALICE, ALICE, "failed")]
    epoch = score(facts, creator(ALICE), worker(ALICE))
    assert [dict(s.criteria)["completed_jobs"] for s in epoch.standings] == [0, 0]
    assert [dict(s.criteria)["job_completion"] for s in epoch.standings] == [0, -10 * MICRO]


def test_a_score_is_never_below_zero_though_a_criterion_may_be(score: Score) -> None:
    epoch = score([frame(ALICE, BOB, "failed") for _ in range(11)], worker(BOB))
    assert criteria(epoch, BOB) == {"job_completion": -110 * MICRO, "pass": 100 * MICRO, "score": 0}


def test_uptime_is_a_point_for_each_hour_of_mean_daily_uptime(score: Score) -> None:
    assert criteria(score(every_day(16), worker(BOB)), BOB)["average_uptime"] == 16 * MICRO
    assert criteria(score(online(BOB, T - MINUTE, T), worker(BOB)), BOB)["average_uptime"] == 555  # 1 000 000 // 1 800


def test_100_hours_on_the_reference_gpu_are_ten_points(score: Score) -> None:
    facts = [gpu(BOB, 1_000, 24_576, T - 90 * DAY), *online(BOB, T - 60 * DAY, T - 60 * DAY + 100 * HOUR)]
    assert criteria(score(facts, worker(BOB)), BOB)["gpu_performance"] == 10 * MICRO


def test_the_two_terms_of_a_gpu_factor_floor_apart(score: Score) -> None:
    # 500 000 × 1 // 1 000 = 500; 500 000 × 1 // 24 576 = 20: together 520. 60 minutes × 520 × 10 // 6 000 = 52.
    facts = [gpu(BOB, 1, 1, T - 90 * DAY), *online(BOB, T - HOUR, T)]
    assert criteria(score(facts, worker(BOB)), BOB)["gpu_performance"] == 52


def test_a_day_counts_by_the_gpu_in_force_when_it_began_or_else_the_first_of_that_day(score: Score) -> None:
    day = T - 10 * DAY
    hours = [beat for d in range(-1, 3) for beat in online(BOB, day + d * DAY, day + d * DAY + HOUR)]
    weak: dict[str, Any] = {"hashpower": 100, "vram_mib": 0}
    strong: dict[str, Any] = {"hashpower": 1_000, "vram_mib": 0}
    facts = [
        *hours,
        gpu(BOB, **weak, at=day + 5 * HOUR),  # before it: nothing; its own day: already, as the first one; the next: in force
        gpu(BOB, **strong, at=day + 6 * HOUR, ref="b"),
        gpu(BOB, **weak, at=day + 6 * HOUR, ref="a"),  # the same second: the greater ref is in force
        gpu(BOB, **weak, at=day + DAY + 1),
        gpu(BOB, **strong, at=day + 2 * DAY),  # in force as that day begins
    ]
    # Hours by day: none, weak (50 000), strong (500 000), strong.
    assert criteria(score(facts, worker(BOB)), BOB)["gpu_performance"] == 60 * (50_000 + 500_000 + 500_000) * 10 // 6_000


def test_two_gpus_of_the_first_second_count_by_the_greater_ref_in_bytes(score: Score) -> None:
    facts = [gpu(BOB, 1_000, 0, T - HOUR, ref="\U0001f600"), gpu(BOB, 100, 0, T - HOUR, ref="\uffee"), *online(BOB, T - HOUR, T)]
    assert criteria(score(facts, worker(BOB)), BOB)["gpu_performance"] == 60 * 500_000 * 10 // 6_000


# --- moved accounts


def test_after_a_move_all_counts_as_if_the_new_account_had_always_been_the_one(score: Score) -> None:
    facts = [
        recharge(ALICE, 3_000, T - 50 * DAY),
        recharge(CAROL, 2_000),
        spend(ALICE, 5_000, T - 50 * DAY),
        frame(ALICE, BOB),
        frame(CAROL, BOB),
        link(ALICE, CAROL),
    ]
    epoch = score(facts, creator(ALICE), creator(CAROL))
    assert epoch.eligible == ((CREATOR, CAROL),)
    assert [s.account for s in epoch.standings] == [CAROL]
    assert criteria(epoch, CAROL) == {"spending": 2_000 * MICRO, "completed_jobs": 2 * MICRO, "pass": 100 * MICRO, "score": 2_102 * MICRO}


def test_a_link_counts_from_the_first_epoch_that_ends_after_it(score: Score) -> None:
    facts = [recharge(ALICE, 5_000, T - 2), spend(ALICE, 5_000, T - 2), link(ALICE, CAROL, T)]
    assert score(facts, creator(ALICE)).standings[0].account == ALICE
    assert score(facts, creator(ALICE)).eligible == ((CREATOR, ALICE),)
    assert score(facts, creator(ALICE), epoch=EPOCH + 1) == Epoch(((CREATOR, CAROL),), ())


def test_minutes_of_two_wallets_are_united_not_added(score: Score) -> None:
    facts = [*online(BOB, T - HOUR, T), *online(DAVE, T - HOUR - MINUTE, T - MINUTE), link(BOB, DAVE)]
    assert criteria(score(facts, worker(DAVE)), DAVE)["average_uptime"] == 61 * MICRO // 1_800


def test_chains_of_moves_are_followed_and_reveal_self_dealing(score: Score) -> None:
    facts = [frame(ALICE, DAVE), link(ALICE, BOB, T - 3), link(CAROL, DAVE, T - 2), link(BOB, CAROL, T - 1)]
    epoch = score(facts, creator(DAVE), worker(DAVE))
    assert [s.score for s in epoch.standings] == [100 * MICRO, 100 * MICRO]


# --- ranks and priority


def test_ties_go_to_the_earlier_pass_then_to_the_lower_address(score: Score) -> None:
    epoch = score(
        [frame(DAVE, ALICE)], creator(CAROL, 7), creator(BOB, 7), creator(ALICE, 8), creator(DAVE, T - 1), creator("0x" + "e" * 40, T)
    )
    assert [(s.account, s.rank) for s in epoch.standings] == [(DAVE, 1), (BOB, 2), (CAROL, 3), (ALICE, 4)]


@pytest.mark.parametrize(("members", "prioritised"), [(1, 1), (9, 1), (10, 1), (11, 2), (20, 2), (21, 3)])
def test_ten_percent_rounded_up_are_prioritised(members: int, prioritised: int, score: Score) -> None:
    epoch = score([frame(ALICE, BOB)], *(worker(f"0x{i:040x}") for i in range(1, members + 1)))
    assert [s.prioritized for s in epoch.standings] == [True] * prioritised + [False] * (members - prioritised)


def test_creators_and_workers_are_ranked_apart(score: Score) -> None:
    epoch = score([frame(ALICE, BOB)], creator(ALICE), worker(ALICE), worker(BOB))
    assert [(s.account, s.role, s.rank) for s in epoch.standings] == [(ALICE, CREATOR, 1), (BOB, WORKER, 1), (ALICE, WORKER, 2)]


def test_without_holders_there_are_no_standings_and_without_rows_nobody_is_eligible(score: Score) -> None:
    assert score([]) == Epoch((), ())
    assert score([recharge(ALICE, 5_000), spend(ALICE, 5_000)]) == Epoch(((CREATOR, ALICE),), ())
