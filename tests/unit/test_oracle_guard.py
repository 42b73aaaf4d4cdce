"""The guard: one report for each epoch of a contract, epochs only rise, also after a crash; and since when entries are held."""

from pathlib import Path

import pytest

from pictor.epoch.messages import Domain, Report
from pictor.oracle.attest import Held
from pictor.oracle.guard import Guard, GuardError
from pictor.units import Address

HERE, THERE = (Domain(chain, Address("0x" + "ab" * 20)) for chain in (1, 2))


def report(epoch: int, root: bytes = b"\x01") -> Report:
    """A report of an epoch."""
    return Report(epoch, root * 32, bytes(32), bytes(32), 1, 1)


def test_the_same_report_can_be_signed_again_and_no_other_of_its_epoch_or_before(tmp_path: Path) -> None:
    Guard(tmp_path).allow(report(5), HERE)
    Guard(tmp_path).allow(report(5), HERE)  # killed between signing and publishing
    for other in (report(5, b"\x02"), report(4)):
        with pytest.raises(GuardError):
            Guard(tmp_path).allow(other, HERE)
    Guard(tmp_path).allow(report(7), HERE)
    for other in (report(5), report(6)):
        with pytest.raises(GuardError):
            Guard(tmp_path).allow(other, HERE)


def test_each_contract_on_each_chain_is_guarded_by_itself(tmp_path: Path) -> None:
    Guard(tmp_path).allow(report(5), HERE)
    Guard(tmp_path).allow(report(4, b"\x02"), THERE)


@pytest.mark.parametrize("contents", ["", "{}", "[]", '{"epoch": 5}', '{"epoch": "5", "digest": "0x00"}', '{"epoch": 5, "digest": "0x00"}'])
def test_a_damaged_guard_lets_nothing_pass(tmp_path: Path, contents: str) -> None:
    Guard(tmp_path).allow(report(5), HERE)
    next(tmp_path.glob("1-*.json")).write_text(contents)
    with pytest.raises(GuardError):
        Guard(tmp_path).allow(report(6), HERE)


def test_what_is_refused_leaves_no_mark(tmp_path: Path) -> None:
    guard = Guard(tmp_path)
    guard.allow(report(5), HERE)
    before = guard.mark(HERE)
    with pytest.raises(GuardError):
        guard.allow(report(5, b"\x02"), HERE)
    assert guard.mark(HERE) == before


def test_entries_count_as_held_from_the_first_time_they_were_seen(tmp_path: Path) -> None:
    held = Held(tmp_path / "held.json")
    assert held.at(100) == 0
    for size, now in ((3, 10), (3, 20), (5, 30), (4, 40), (9, 50)):
        Held(tmp_path / "held.json").note(size, now)
    assert [held.at(moment) for moment in (9, 10, 29, 30, 49, 50)] == [0, 3, 3, 5, 5, 9]
