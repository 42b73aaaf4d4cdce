"""Laws over hostile activity: the engine gives what the reference gives, whatever comes, in whatever order and portions."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

from pictor.activity.ledger import Ledger
from tests import engine, reference
from tests.engine import FORMS
from tests.reference import Fate
from tests.strategies import Case, cases

forms = st.permutations(FORMS)


def told(fate: Fate, table: str) -> engine.Taken:
    """What the reference says became of the rows of a table."""
    return engine.Taken(
        *(sum(t == table for t, _ in rows) for rows in (fate.taken, fate.known, fate.conflicts, fate.late, fate.quarantined))
    )


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
