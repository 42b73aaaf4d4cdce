"""A mirror copies what is true, once, and notices a past that was rewritten."""

import shutil
from pathlib import Path

import pytest

from pictor.activity.audit import audit
from pictor.activity.ledger import BrokenLedgerError, Ledger, LedgerError
from pictor.activity.mirror import RewrittenPastError, mirror
from tests.unit.feeds import NOW, contents, feed, sample
from tests.unit.test_ledger import rewrite


@pytest.fixture
def source(tmp_path: Path) -> Ledger:
    ledger = Ledger.open(tmp_path / "source", create=True)
    for i in range(4):
        feed(ledger, tmp_path / "inbox", {"frames": [sample("frames", ref=f"{i}-{j}") for j in range(3)]}, complete_until=NOW + i)
    return ledger


@pytest.fixture
def target(tmp_path: Path) -> Ledger:
    return Ledger.open(tmp_path / "target", create=True)


@pytest.mark.parametrize("where", ["{}/target", "memory://{}/target"])
def test_a_mirror_is_the_same_ledger(source: Ledger, tmp_path: Path, where: str) -> None:
    target = Ledger.open(where.format(tmp_path), create=True)
    assert mirror(source, target) == source.head() == target.head()
    assert target.entries() == source.entries()
    assert contents(target, "frames") == contents(source, "frames")
    assert audit(target).faults == []


def test_a_mirror_goes_on_where_it_stopped(source: Ledger, target: Ledger, tmp_path: Path) -> None:
    assert mirror(source, target, source.position(2)).number == 2
    copied: list[int] = []
    feed(source, tmp_path / "inbox", {"gpus": [sample("gpus")]})
    assert mirror(source, target, progress=copied.append) == source.head()
    assert len(copied) == 3
    assert mirror(source, target, progress=copied.append) == source.head()
    assert len(copied) == 3


def test_a_mirror_brought_up_to_an_older_position_stays_as_it_is(source: Ledger, target: Ledger) -> None:
    mirror(source, target)
    assert mirror(source, target, source.position(2)).number == 4


def test_a_mirror_of_an_empty_ledger_is_empty(tmp_path: Path, target: Ledger) -> None:
    assert mirror(Ledger.open(tmp_path / "empty", create=True), target).number == 0


def rebuilt(source: Ledger, tmp_path: Path, number: int) -> Ledger:
    """The same ledger, as somebody would write it anew to have entry `number` say something else."""
    liar = Ledger.open(tmp_path / "rebuilt", create=True)
    for entry in source.entries():
        batch = tmp_path / "batch"
        shutil.copy(source.path(entry), batch)
        named = "somebody" if entry.number == number else entry.source
        liar.append(
            named,
            entry.received_at,
            table=entry.table,
            batch=batch,
            rows=entry.rows,
            first_at=entry.first_at,
            last_at=entry.last_at,
            complete_until=entry.complete_until,
        )
    return liar


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_a_rewritten_past_is_noticed_at_the_first_entry_that_differs(source: Ledger, target: Ledger, tmp_path: Path, number: int) -> None:
    mirror(source, target)
    liar = rebuilt(source, tmp_path, number)
    assert audit(liar).faults == []
    with pytest.raises(RewrittenPastError, match=f"entry {number} was rewritten"):
        mirror(liar, target)
    assert target.entries() == source.entries()


def test_a_past_rewritten_beyond_the_mirror_is_no_past_yet(source: Ledger, target: Ledger, tmp_path: Path) -> None:
    mirror(source, target, source.position(2))
    liar = rebuilt(source, tmp_path, 4)
    assert mirror(liar, target) == liar.head()


def test_a_past_that_was_cut_off_is_noticed(source: Ledger, target: Ledger, tmp_path: Path) -> None:
    mirror(source, target)
    shorter = Ledger.open(tmp_path / "shorter", create=True)
    mirror(source, shorter, source.position(3))
    with pytest.raises(RewrittenPastError, match="ends with entry 3"):
        mirror(shorter, target)


def test_the_ledger_of_somebody_else_is_no_source(source: Ledger, target: Ledger, tmp_path: Path) -> None:
    mirror(source, target, source.position(1))
    other = Ledger.open(tmp_path / "other", create=True)
    feed(other, tmp_path / "inbox", {"gpus": [sample("gpus")]})
    with pytest.raises(RewrittenPastError, match="entry 1"):
        mirror(other, target)


def test_a_damaged_batch_is_not_taken(source: Ledger, target: Ledger) -> None:
    file = source.path(source.entries()[2])
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(BrokenLedgerError, match="entry 3"):
        mirror(source, target)
    assert target.head() == source.position(2)
    assert audit(target).faults == []


@pytest.mark.parametrize("changes", [{"rows": 4}, {"latest_at": 9}, {"received_at": 1}, {"table": "gpus"}, {"previous": "f" * 64}])
def test_an_entry_that_is_not_what_it_says_is_not_taken(source: Ledger, target: Ledger, changes: dict[str, object]) -> None:
    rewrite(source, 4, **changes)
    with pytest.raises(BrokenLedgerError, match="entry 4"):
        mirror(source, target)
    assert target.head().number == 3


def test_a_position_that_the_source_does_not_have_is_refused(source: Ledger, target: Ledger) -> None:
    with pytest.raises(LedgerError, match="no entry 9"):
        mirror(source, target, source.locate("9"))
