"""The chain holds, appends are whole or nothing, and what anyone changes afterwards is found."""

import json
import random
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pictor.activity.audit import audit
from pictor.activity.ledger import BrokenLedgerError, Ledger, LedgerBusyError, LedgerError, Position
from tests.unit.feeds import LATE_LIMIT, NOW, feed, sample


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger.open(tmp_path / "ledger", create=True)


@pytest.fixture
def filled(ledger: Ledger, tmp_path: Path) -> Ledger:
    for i in range(5):
        feed(ledger, tmp_path / "inbox", {"frames": [sample("frames", ref=f"{i}-{j}") for j in range(3)]}, complete_until=NOW + i)
    return ledger


def test_a_new_ledger_is_empty(ledger: Ledger) -> None:
    assert ledger.head() == Position(0, sha256(b'{"format":1}').hexdigest())
    assert ledger.entries() == []


def test_where_nothing_is_no_ledger_is_opened(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="no ledger here"):
        Ledger.open(tmp_path / "nothing")
    (tmp_path / "file").write_text("")
    with pytest.raises(LedgerError):
        Ledger.open(tmp_path / "file", create=True)


def test_a_folder_of_other_things_is_not_made_a_ledger(tmp_path: Path) -> None:
    (tmp_path / "frames-2026-01.csv").write_text("")
    with pytest.raises(LedgerError, match=r"frames-2026-01\.csv"):
        Ledger.open(tmp_path, create=True)


def test_a_ledger_of_another_format_is_refused(ledger: Ledger) -> None:
    Path(ledger.storage.root, "ledger.json").write_text('{"format":2}')
    with pytest.raises(LedgerError, match="format 1"):
        Ledger.open(ledger.storage.root)


def test_anyone_can_follow_the_chain_with_sha256_alone(filled: Ledger) -> None:
    root = Path(filled.storage.root)
    head = sha256((root / "ledger.json").read_bytes()).hexdigest()
    for number in range(1, 6):
        file = root / "entries" / f"{number:012d}.json"
        entry = json.loads(file.read_text())
        assert (entry["number"], entry["previous"]) == (number, head)
        assert sha256((root / "batches" / f"{entry['sha256']}.parquet").read_bytes()).hexdigest() == entry["sha256"]
        head = sha256(file.read_bytes()).hexdigest()
    assert filled.head() == Position(5, head)


def test_an_entry_says_what_its_batch_holds(filled: Ledger) -> None:
    for entry in filled.entries():
        rows = pq.read_table(filled.path(entry)).to_pylist()
        times = [row["at"] for row in rows]
        assert (entry.table, entry.source, entry.rows, entry.first_at, entry.last_at) == (
            "frames",
            "manual",
            len(rows),
            min(times),
            max(times),
        )
        assert (entry.received_at, entry.backfill) == (NOW, False)


def test_entries_are_read_between_positions(filled: Ledger) -> None:
    assert [entry.number for entry in filled.entries()] == [1, 2, 3, 4, 5]
    assert [entry.number for entry in filled.entries(2, 4)] == [3, 4]
    assert filled.entries(5) == []


def test_a_position_is_found_by_its_number_and_proved_by_its_hash(filled: Ledger) -> None:
    third = filled.entries()[2].position
    assert filled.locate("3") == filled.locate(str(third)) == third
    assert filled.locate("0").number == 0
    with pytest.raises(LedgerError, match="not in"):
        filled.locate(f"3:{'0' * 64}")
    with pytest.raises(LedgerError, match="no entry 6"):
        filled.locate("6")
    for text in ("", "x", "-1", "3.5", "٣"):
        with pytest.raises(LedgerError, match="not a position"):
            filled.locate(text)


def test_the_head_is_found_however_many_entries_there_are(ledger: Ledger) -> None:
    reader = Ledger.open(ledger.storage.root)
    for number in range(40):
        fresh = Ledger.open(ledger.storage.root)
        assert fresh.size() == number
        if number % 7 == 0:  # one who looks now and then finds all that came meanwhile
            assert reader.head() == fresh.head() == ledger.head()
        ledger.append("feed", NOW)


def test_of_two_writers_at_once_the_second_is_refused(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    rival = Ledger.open(ledger.storage.root)
    stale = ledger.head()
    rival.append("feed", NOW)
    monkeypatch.setattr(ledger, "head", lambda: stale)  # as read just before the rival wrote
    with pytest.raises(LedgerBusyError, match="entry 1"):
        ledger.append("feed", NOW)
    assert audit(rival).faults == []


def test_of_two_writers_to_an_object_store_the_second_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"memory://{tmp_path.name}/two-writers"
    ledger, rival = Ledger.open(url, create=True), Ledger.open(url, create=True)
    stale = ledger.head()
    rival.append("feed", NOW)
    monkeypatch.setattr(ledger, "head", lambda: stale)
    with pytest.raises(LedgerBusyError):
        ledger.append("feed", NOW)


WRITER = """
import sys, time
from pathlib import Path
from tests.unit.feeds import *
ledger = Ledger.open(sys.argv[1], create=True)
inbox = Path(sys.argv[2])
for i in range(1000):
    print(i, flush=True)
    feed(ledger, inbox, {"frames": [sample("frames", ref=f"{sys.argv[3]}-{i}-{j}") for j in range(50)]})
"""


def test_a_writer_killed_at_any_moment_leaves_a_sound_ledger(tmp_path: Path) -> None:
    chance, seen = random.Random(1), 0
    for run in range(3):
        (tmp_path / f"inbox-{run}").mkdir()
        arguments = [sys.executable, "-c", WRITER, str(tmp_path / "ledger"), str(tmp_path / f"inbox-{run}"), str(run)]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]) as writer:
            assert writer.stdout is not None
            for _ in range(3):
                writer.stdout.readline()
            time.sleep(chance.random() / 5)
            writer.kill()
        ledger = Ledger.open(tmp_path / "ledger")
        assert audit(ledger).faults == []
        assert ledger.size() >= seen + 2
        assert feed(ledger, tmp_path / "inbox", {"frames": [sample("frames", ref=f"after-{run}")]}).tables["frames"].taken == 1
        seen = ledger.size()
    assert not list((ledger.storage.scratch / "partial").glob("*"))


def test_a_batch_without_an_entry_is_no_part_of_the_ledger(filled: Ledger) -> None:
    (Path(filled.storage.root) / "batches" / f"{'0' * 64}.parquet").write_bytes(b"left by a writer that was killed")
    assert audit(filled).faults == []


def test_a_sound_ledger_is_found_sound(filled: Ledger) -> None:
    found = audit(filled)
    assert (found.faults, found.rows, found.reused_refs, found.position) == ([], 15, {}, filled.head())


def rewrite(ledger: Ledger, which: int, /, **changes: object) -> None:
    """Change an entry in place, as somebody with access to the folder could."""
    file = Path(ledger.storage.root) / "entries" / f"{which:012d}.json"
    entry = {**json.loads(file.read_text()), **changes}
    file.write_text(json.dumps(entry, sort_keys=True, separators=(",", ":")))


@pytest.mark.parametrize(
    "changes",
    [
        {"source": "other"},
        {"rows": 2},
        {"received_at": NOW - 1},
        {"first_at": 0},
        {"last_at": NOW + 5, "latest_at": NOW + 5},
        {"latest_at": 7},
        {"complete_until": NOW - 1},
        {"table": "links"},
        {"table": "nothing"},
        {"table": None},
        {"sha256": None},
        {"previous": "0" * 64},
        {"number": 9},
        {"sha256": "0" * 64},
        {"extra": 1},
    ],
    ids=lambda changes: ",".join(changes),
)
@pytest.mark.parametrize("number", [3, 4])
def test_a_changed_entry_is_found(filled: Ledger, changes: dict[str, object], number: int) -> None:
    rewrite(filled, number, **changes)
    assert audit(filled).faults


def test_only_who_remembers_the_head_can_tell_that_the_last_entry_was_changed(filled: Ledger) -> None:
    before = filled.head()
    rewrite(filled, 5, source="other")
    assert audit(filled).faults == []
    with pytest.raises(LedgerError, match="not in"):
        filled.locate(str(before))


def test_a_changed_batch_is_found(filled: Ledger) -> None:
    file = filled.path(filled.entries()[1])
    contents = bytearray(file.read_bytes())
    contents[40] ^= 1
    file.write_bytes(contents)
    assert any("entry 2" in fault for fault in audit(filled).faults)


def test_a_missing_batch_is_found(filled: Ledger) -> None:
    filled.path(filled.entries()[1]).unlink()
    assert audit(filled).faults == ["entry 2: its batch is missing"]


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"rows": 2}, "entry 5: its batch has 3 rows, not 2"),
        ({"first_at": 0}, "entry 5: its first_at and last_at are not those of its batch"),
        ({"latest_at": 7}, "entry 5 latest_at is 7, not the greatest time so far"),
        ({"received_at": NOW - 1}, "entry 5 was received before the entry before it"),
        ({"complete_until": NOW}, "entry 5 source manual takes back how far it is complete"),
        ({"table": "gpus"}, "entry 5: its batch has not the columns of gpus"),
    ],
)
def test_a_last_entry_that_cannot_be_true_is_found(filled: Ledger, changes: dict[str, object], fault: str) -> None:
    rewrite(filled, 5, **changes)
    assert audit(filled).faults == [fault]


def test_an_entry_that_is_none_is_found(filled: Ledger) -> None:
    (Path(filled.storage.root) / "entries" / f"{5:012d}.json").write_text("{}")
    assert "not an entry" in audit(filled).faults[0]


@pytest.mark.parametrize("number", [1, 3, 4])
def test_a_missing_entry_is_found(filled: Ledger, number: int) -> None:
    (Path(filled.storage.root) / "entries" / f"{number:012d}.json").unlink()
    assert audit(Ledger.open(filled.storage.root)).faults


def test_entries_that_do_not_follow_each_other_are_not_read(filled: Ledger) -> None:
    rewrite(filled, 3, source="other")
    with pytest.raises(BrokenLedgerError, match="entry 4"):
        filled.entries()


def test_rows_that_were_never_normalised_are_found(ledger: Ledger, tmp_path: Path) -> None:
    rows = pa.Table.from_pylist([sample("frames", worker=sample("frames")["worker"].upper())])
    batch = tmp_path / "batch"
    schema = pa.schema([one.with_nullable(False) for one in rows.schema])
    pq.write_table(rows.cast(schema), batch, store_schema=False)
    ledger.append("feed", NOW, table="frames", batch=batch, rows=1, first_at=NOW - 60, last_at=NOW - 60)
    assert audit(ledger).faults == ["entry 1: its batch, from row 1 on: worker is not normalised"]


def test_refs_used_again_after_they_were_forgotten_are_reported(ledger: Ledger, tmp_path: Path) -> None:
    feed(ledger, tmp_path / "inbox", {"frames": [sample("frames"), sample("frames", ref="other")]})
    later = NOW + LATE_LIMIT + 1
    feed(ledger, tmp_path / "inbox", {"frames": [sample("frames", at=later)], "gpus": [sample("gpus", ref="other", at=later)]}, now=later)
    found = audit(ledger)
    assert found.faults == []
    assert found.reused_refs == {"frames": 1}
