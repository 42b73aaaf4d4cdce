"""The reports in time: pending, active, superseded, forgotten or void, in every order, to 64 of them and beyond."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.contracts.model import REMEMBERED, Pass, PassModel, Powers, RegistryModel, outcome
from tests.contracts.raw import Call, Raw, ask, ask_all, perform, rewound, send, travel_to, tries
from tests.contracts.support import (
    ACTIVATION_DELAY,
    CREATOR,
    DAY,
    EPOCH_LENGTH,
    HELD,
    PRIORITY_SHARE_BPS,
    ZERO,
    Batch,
    Refusal,
    Standing,
    World,
    now,
    pass_id,
    refusal,
)


class History:
    """Reports posted one after the other, with the model that follows them. Its epochs begin at 1: all are long over.

    Alice's score is the epoch; her rank and the number of creators change from report to report, so that her priority does.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.raw = Raw(world.registry)
        self.time = now()
        passes = PassModel(Powers(ZERO, ZERO))
        passes.passes |= {pass_id(each, CREATOR): Pass(HELD, False, self.time) for each in (world.alice, world.bob)}
        self.model = RegistryModel(
            Powers(ZERO, world.guardian.address),
            passes=passes,
            epoch_length=EPOCH_LENGTH,
            activation_delay=ACTIVATION_DELAY,
            priority_share_bps=PRIORITY_SHARE_BPS,
            attestor=world.committee.address,
        )
        self.batches: list[Batch] = []

    # ------------------------------------------------------------------------------------------------------------ doing

    def submit(self, after: int = 1) -> bool:
        """A report of the epoch that is `after` the last. Whether it was taken."""
        epoch = self.model.last_epoch + after
        alice, bob = (pass_id(each, CREATOR) for each in (self.world.alice, self.world.bob))
        standings = [Standing(alice, epoch, 1 + epoch % 3), Standing(bob, 0, 10)]
        batch = Batch.of(epoch, standings, creators=(10, 11, 20, 30)[epoch % 4])
        signature, digest = self.world.sign(batch.report), bytes(32)
        expected = outcome(self.model.submit, self.time, batch.report, digest, self.model.attestor)
        is_taken = perform(self.raw("submit", batch.report, signature), self.world.carrier, expected) is not None
        if is_taken:
            self.batches.append(batch)
        return is_taken

    def veto(self, age: int = 0) -> None:
        """The newest report, or an older one."""
        if age < len(self.batches):
            epoch = self.batches[-1 - age].epoch
            expected = outcome(self.model.veto, self.world.guardian.address, epoch, "wrong")
            perform(self.raw("veto", epoch, "wrong"), self.world.guardian, expected)

    def sync(self, age: int = 0) -> None:
        if age < len(self.batches):
            batch = self.batches[-1 - age]
            arguments = (batch.epoch, *batch.multiproof(batch.standings[:1]))
            perform(self.raw("sync", *arguments), self.world.carrier, outcome(self.model.sync, self.time, *arguments))

    def wait(self, seconds: int = ACTIVATION_DELAY) -> None:
        self.time += seconds
        travel_to(self.time)

    def good(self, times: int = 1) -> None:
        """Reports that become active, each in its turn."""
        for _ in range(times):
            self.submit()
            self.wait()

    def void(self, times: int = 1) -> None:
        """Reports that are vetoed while they are pending."""
        for _ in range(times):
            if self.submit():
                self.veto()

    # ---------------------------------------------------------------------------------------------------------- reading

    def check(self, epochs: Sequence[int] = ()) -> None:
        """All readers say what the model says, those of single reports for these epochs."""
        model, alice = self.model, self.world.alice.address
        questions: list[tuple[Call, Any]] = [
            (self.raw("lastEpoch"), model.last_epoch),
            (self.raw("activeReport"), model.told(model.active(self.time))),
            (self.raw("pendingReport"), model.told(model.pending(self.time))),
            (self.raw("scoreOf", alice, CREATOR), model.score_of(self.time, alice, CREATOR)),
            (self.raw("standingOf", alice, CREATOR), model.standing_of(self.time, alice, CREATOR)),
            (self.raw("isPrioritized(address,uint8)", alice, CREATOR), model.is_prioritized(self.time, alice, CREATOR)),
        ]
        believed = model.active(self.time)
        for batch in self.batches[-2:] + [each for each in self.batches if believed and each.epoch == believed.epoch]:
            proven = (batch.standings[0], batch.proof(batch.standings[0]))
            by_proof = self.raw("isPrioritized((uint256,uint64,uint32),bytes32[])", *proven)
            questions.append((by_proof, model.is_prioritized_by_proof(self.time, *proven)))
        for epoch in epochs:
            posted = outcome(model.report_of, epoch)
            questions.append((self.raw("reportOf", epoch), posted if isinstance(posted, Refusal) else model.told(posted)))
            questions.append((self.raw("isVoid", epoch), model.is_void(epoch)))
        assert ask_all(call for call, _ in questions) == [answer for _, answer in questions]

    @property
    def active(self) -> int:
        """The epoch of the active report, 0 if there is none."""
        return int(ask(self.raw("activeReport"))[0])


@pytest.fixture
def history(world: World) -> History:
    world.issue(CREATOR, world.alice, world.bob)
    return History(world)


# -------------------------------------------------------------------------------------------------------------- activation


def test_a_report_is_active_from_the_second_that_its_delay_is_over(history: History) -> None:
    history.good()
    history.submit()
    for seconds, active, pending in ((0, 1, 2), (ACTIVATION_DELAY - 1, 1, 2), (1, 2, 0)):
        history.wait(seconds)
        assert (history.active, ask(history.raw("pendingReport"))[0]) == (active, pending)
        history.check()


def test_the_first_report_leaves_none_active_while_it_is_pending(history: History) -> None:
    history.submit()
    history.sync()
    history.check([0, 1, 2])
    assert history.active == 0
    history.wait()
    history.check([0, 1, 2])
    assert history.active == 1


def test_what_is_stored_of_the_pending_report_counts_from_its_first_second(history: History) -> None:
    history.good()
    history.sync()
    history.submit()
    history.sync()
    history.wait(ACTIVATION_DELAY - 1)
    history.check()
    assert ask(history.raw("scoreOf", history.world.alice.address, CREATOR)) == 1
    history.wait(1)
    history.check()
    assert ask(history.raw("scoreOf", history.world.alice.address, CREATOR)) == 2


def test_reports_that_are_stored_and_then_void_cost_the_active_one_nothing(history: History) -> None:
    history.good()
    history.sync()
    for _ in range(3):
        history.submit()
        history.sync()
        history.veto()
        history.check()
        assert ask(history.raw("scoreOf", history.world.alice.address, CREATOR)) == 1


def test_what_was_stored_before_counts_again_when_the_newer_report_is_void(history: History) -> None:
    for _ in range(2):
        history.good()
        history.sync()
    history.veto()
    history.check()
    assert history.active == 1
    assert ask(history.raw("scoreOf", history.world.alice.address, CREATOR)) == 1


# -------------------------------------------------------------------------------------------------------------------- void


def test_a_chain_of_void_reports_leads_back_to_none(history: History) -> None:
    history.good(5)
    for left in (4, 3, 2, 1, 0):
        history.veto(age=4 - left)
        assert history.active == left
        history.check(range(7))


def test_reports_void_in_the_order_of_their_age_change_nothing_before_the_last(history: History) -> None:
    history.good(5)
    for age in (4, 3, 2, 1):
        history.veto(age)
        assert history.active == 5
    history.veto()
    assert history.active == 0
    history.check(range(7))


def test_a_void_epoch_is_repaired_by_the_next_only(history: History) -> None:
    history.good()
    history.void()
    assert not history.submit(after=0)
    history.good()
    assert history.active == 3
    history.check(range(5))


def test_a_void_pending_report_makes_room_at_once(history: History) -> None:
    history.submit()
    assert not history.submit()
    history.veto()
    assert history.submit()
    history.check(range(4))


# ------------------------------------------------------------------------------------------------------------ 64 and more


def test_the_last_64_reports_are_remembered_and_none_before(history: History) -> None:
    history.good(REMEMBERED + 6)
    epochs = range(1, REMEMBERED + 8)
    history.check(epochs)
    remembered = [epoch for epoch in epochs if not isinstance(ask(history.raw("reportOf", epoch)), Refusal)]
    assert remembered == list(range(7, REMEMBERED + 7))


def test_a_forgotten_report_is_out_of_reach(history: History) -> None:
    history.good()
    history.void()
    history.good(REMEMBERED)
    for forgotten in history.batches[:2]:
        epoch, standing = forgotten.epoch, forgotten.standings[0]
        proven = (standing, forgotten.proof(standing))
        for call in (
            history.raw("reportOf", epoch),
            history.raw("verify", epoch, *proven),
            history.raw("challenge", epoch, *proven, *proven),
            history.raw("veto", epoch, "late"),
        ):
            assert ask(call, history.world.guardian) == refusal("UnknownEpoch", epoch)
        assert ask(history.raw("sync", epoch, *forgotten.multiproof())) == refusal("NotCurrent", epoch)
    assert ask(history.raw("isVoid", 1)) is False
    assert ask(history.raw("isVoid", 2)) is True


def test_epochs_without_a_report_are_caught_up_over_any_gap(history: History) -> None:
    history.good()
    history.sync()
    assert history.submit(after=1_000)
    history.sync()
    history.check([1, 2, 1_000, 1_001, 1_002])
    history.wait()
    history.check([1, 2, 1_000, 1_001, 1_002])
    assert history.active == 1_001
    history.veto()
    assert history.active == 1
    history.check([1, 2, 1_000, 1_001, 1_002])


def test_the_active_report_outlives_any_time_without_another(history: History) -> None:
    history.good()
    history.sync()
    history.wait(100 * EPOCH_LENGTH)
    assert history.active == 1
    history.check([1, 2])


def test_64_reports_after_it_displace_a_report_even_if_all_are_void(history: History) -> None:
    history.good()
    history.sync()
    history.void(REMEMBERED - 1)
    assert history.active == 1
    history.submit()
    assert history.active == 0
    history.check(range(1, REMEMBERED + 3))
    history.veto()
    assert history.active == 0
    history.check(range(1, REMEMBERED + 3))
    history.good()
    assert history.active == REMEMBERED + 2
    history.check(range(1, REMEMBERED + 5))


def test_no_veto_costs_more_than_a_walk_through_the_ring(history: History) -> None:
    """The worst case: all that a report leads back to is void. Bounded, whoever fills the ring."""
    history.good(REMEMBERED)
    for age in range(2, REMEMBERED):
        history.veto(age)
    receipt = send(history.raw("veto", history.model.last_epoch, "wrong"), history.world.guardian)
    assert int(receipt["gasUsed"], 16) < 500_000


# ---------------------------------------------------------------------------------------------------------------- property

STEPS = st.one_of(
    st.tuples(st.just("submit"), st.sampled_from((1, 1, 1, 2, 100, 0))),
    st.tuples(st.just("veto"), st.sampled_from((0, 0, 0, 1, 1, 2, 3, 62, 63, 64))),
    st.tuples(st.just("sync"), st.sampled_from((0, 0, 0, 1, 1, 2))),
    st.tuples(st.just("wait"), st.sampled_from((ACTIVATION_DELAY, ACTIVATION_DELAY, ACTIVATION_DELAY - 1, 1, DAY))),
    st.tuples(st.just("good"), st.sampled_from((1, 1, 1, 2, 3))),
    st.tuples(st.just("void"), st.sampled_from((1, 1, 1, 2, 3))),
)
PAST = st.lists(st.tuples(st.sampled_from(("good", "void")), st.integers(1, 64)), max_size=3)


@tries(25)
@given(past=PAST, steps=st.lists(STEPS, min_size=10, max_size=25))
def test_any_history_reads_as_the_model_says(history: History, past: list[tuple[str, int]], steps: list[tuple[str, int]]) -> None:
    with rewound():
        told = History(history.world)
        for act, how in past:
            getattr(told, act)(how)
        for act, how in steps:
            getattr(told, act)(how)
            told.check([batch.epoch for batch in told.batches[-3:]])
        told.check([batch.epoch for batch in told.batches])
