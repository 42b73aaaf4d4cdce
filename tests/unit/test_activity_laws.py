"""Laws over hostile activity: the engine gives what the reference gives, whatever comes, in whatever order and portions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pysail.spark import SparkConnectServer

from pictor.activity.ledger import Ledger
from pictor.activity.rollups import Cut, Rollups
from tests import engine, reference
from tests.engine import FORMS
from tests.reference import DAY, Delivery, Fact, Fate
from tests.strategies import Case, cases, conflict_free

forms = st.permutations(FORMS)


def fewer(times: int) -> settings:
    """For laws that cost more to try."""
    return settings(max_examples=settings().max_examples // times)


def told(fate: Fate, table: str) -> engine.Taken:
    """What the reference says became of the rows of a table."""
    return engine.Taken(
        *(sum(t == table for t, _ in rows) for rows in (fate.taken, fate.known, fate.conflicts, fate.late, fate.quarantined))
    )


@fewer(3)
@given(case=cases(), forms=forms, pieces=st.integers(1, 4))
def test_what_stands_is_what_the_reference_lets_stand(case: Case, forms: list[str], pieces: int) -> None:
    fates = reference.receive(case.deliveries, case.rules)
    with TemporaryDirectory() as folder:
        ledger = Ledger.open(Path(folder, "ledger"), create=True)
        for i, (delivery, fate) in enumerate(zip(case.deliveries, fates, strict=True)):
            said = engine.hand_in(ledger, delivery, case.rules, Path(folder, str(i)), forms, pieces)
            for table, counts in said.items():
                if table != "heartbeats":
                    assert counts == told(fate, table), table
            beats, expected = said["heartbeats"], told(fate, "heartbeats")
            assert (beats.taken + beats.known, beats.late, beats.quarantined) == (expected.taken, expected.late, expected.quarantined)
        found = engine.standing(ledger)
        for table in ("recharges", "spends", "frames", "gpus", "links"):
            assert found[table] == [row for fate in fates for t, row in fate.taken if t == table], table
        # A heartbeat that came twice may stand once or twice: it is the same minute.
        beats_found = {(row["worker"], row["at"]) for row in found["heartbeats"]}
        assert beats_found == {(row["worker"], row["at"]) for fate in fates for t, row in fate.taken if t == "heartbeats"}


def stood(fates: list[Fate]) -> list[Fact]:
    """All rows that stand, in ledger order."""
    return [fact for fate in fates for fact in fate.taken]


@fewer(3)
@given(case=cases(), in_between=st.booleans(), at_head=st.booleans(), days_later=st.sampled_from((-31, -1, 0, 0, 1)))
def test_values_are_the_reference_s_at_any_cut_and_epoch(case: Case, in_between: bool, at_head: bool, days_later: int) -> None:
    """Also when more has come in since the cut, whenever the rollups were brought up to date, and for epochs before and after."""
    fates = reference.receive(case.deliveries, case.rules)
    epoch = max(1, case.epoch + days_later * DAY // case.rules.epoch_length)
    until = len(fates) if at_head else case.cut
    with TemporaryDirectory() as folder:
        ledger = Ledger.open(Path(folder, "ledger"), create=True)
        rollups = Rollups.open(ledger)
        heads = [0]
        for i, delivery in enumerate(case.deliveries):
            engine.hand_in(ledger, delivery, case.rules, Path(folder, str(i)))
            heads.append(ledger.head().number)
            if in_between:
                rollups.update()
        rollups.update()
        expected = reference.score(stood(fates[:until]), epoch, case.holders, case.rules)
        assert engine.values(rollups, epoch, case.holders, case.rules, Cut(heads[until])) == expected


@fewer(6)
@given(pair=conflict_free(), in_between=st.booleans())
def test_neither_order_nor_portions_change_a_value(pair: tuple[Case, tuple[Delivery, ...]], in_between: bool) -> None:
    """The reference takes the rows in one order and portion; the engine in others, and some of them twice."""
    case, portions = pair
    with TemporaryDirectory() as folder:
        ledger = Ledger.open(Path(folder, "ledger"), create=True)
        rollups = Rollups.open(ledger)
        for i, portion in enumerate(portions):
            engine.hand_in(ledger, portion, case.rules, Path(folder, str(i)), pieces=1 + i)
            if in_between:
                rollups.update()
        rollups.update()
        expected = reference.score(stood(reference.receive(case.deliveries, case.rules)), case.epoch, case.holders, case.rules)
        assert engine.values(rollups, case.epoch, case.holders, case.rules) == expected


@pytest.fixture(scope="module")
def sail() -> Iterator[str]:
    """The address of a Sail server."""
    server = SparkConnectServer("127.0.0.1", 0)
    server.start(background=True)
    host, port = server.listening_address
    yield f"sc://{host}:{port}"
    server.stop()


@fewer(27)
@given(case=cases())
def test_sail_gives_what_duckdb_gives(sail: str, case: Case) -> None:
    with TemporaryDirectory() as folder:
        ledger = Ledger.open(Path(folder, "ledger"), create=True)
        for i, delivery in enumerate(case.deliveries):
            engine.hand_in(ledger, delivery, case.rules, Path(folder, str(i)))
        rollups = Rollups.open(ledger)
        rollups.update()
        by = [engine.values(rollups, case.epoch, case.holders, case.rules, name=name) for name in ("duckdb", sail)]
        assert (
            by[0] == by[1] == reference.score(stood(reference.receive(case.deliveries, case.rules)), case.epoch, case.holders, case.rules)
        )
