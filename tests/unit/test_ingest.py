"""Files become rows of the ledger; what cannot be taken has a named outcome and costs no other row."""

import errno
import json
import threading
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pictor.activity import ingest as ingest_module
from pictor.activity.ingest import Counts, DiskFullError
from pictor.activity.ledger import Ledger, LedgerBusyError, LedgerError
from pictor.activity.schemas import AMOUNT_LIMIT, TABLES
from tests.unit.feeds import (
    ALICE,
    BOB,
    CAROL,
    CHECKSUMMED,
    DAVE,
    FORMATS,
    LATE_LIMIT,
    NOW,
    SAMPLES,
    aside,
    contents,
    feed,
    sample,
    take,
    write,
)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger.open(tmp_path / "ledger", create=True)


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("table", TABLES)
def test_each_table_is_taken_from_each_format(ledger: Ledger, inbox: Path, table: str, suffix: str) -> None:
    if suffix == "parquet.gz":
        pytest.fail("Parquet is never gzipped")
    summary = take(ledger, write(inbox / f"{table}-today.{suffix}", [SAMPLES[table]]))
    assert summary.tables[table] == Counts(taken=1)
    assert contents(ledger, table) == [SAMPLES[table]]
    [entry] = ledger.entries()
    assert pq.ParquetFile(ledger.path(entry)).schema_arrow == TABLES[table].schema


@pytest.mark.parametrize("suffix", FORMATS)
def test_accounts_in_any_case_are_one_account(ledger: Ledger, inbox: Path, suffix: str) -> None:
    cases = [CHECKSUMMED, CHECKSUMMED.lower(), CHECKSUMMED.upper(), "0x" + CHECKSUMMED[2:].upper()]
    take(ledger, write(inbox / f"heartbeats.{suffix}", [sample("heartbeats", worker=case) for case in cases]))
    assert {row["worker"] for row in contents(ledger, "heartbeats")} == {CHECKSUMMED.lower()}


def test_values_are_kept_to_the_last_unit(ledger: Ledger, inbox: Path) -> None:
    amounts = [AMOUNT_LIMIT, -AMOUNT_LIMIT, 0, AMOUNT_LIMIT - 1]
    rows = [sample("recharges", ref=f"r-{i}", amount=amount) for i, amount in enumerate(amounts)]
    for number, suffix in enumerate(FORMATS):
        take(ledger, write(inbox / f"recharges.{suffix}", [{**row, "ref": f"{number}{row['ref']}"} for row in rows]))
    assert [row["amount"] for row in contents(ledger, "recharges")] == amounts * len(FORMATS)


def test_text_is_kept_to_the_last_byte(ledger: Ledger, inbox: Path) -> None:
    jobs = ['say "hi", twice', "日本語 🎬", "0001", "null", " padded ", "x" * 256]
    rows = [sample("spends", ref=f"s-{i}", job=job) for i, job in enumerate(jobs)]
    for number, suffix in enumerate(FORMATS):
        take(ledger, write(inbox / f"spends.{suffix}", [{**row, "ref": f"{number}{row['ref']}"} for row in rows]))
    assert [row["job"] for row in contents(ledger, "spends")] == jobs * len(FORMATS)


def test_refs_are_told_apart_byte_by_byte(ledger: Ledger, inbox: Path) -> None:
    refs = ["a", "A", "á", "a\u0301", "a "]
    summary = feed(ledger, inbox, {"recharges": [sample("recharges", ref=ref) for ref in refs]})
    assert summary.tables["recharges"] == Counts(taken=5)


BAD_ROWS = [
    ("recharges", {"amount": 10**30}, "amount: '1000000000000000000000000000000' is not in"),
    ("recharges", {"amount": AMOUNT_LIMIT + 1}, "is not in"),
    ("recharges", {"amount": "5.5"}, "amount: '5.5' is not a whole number"),
    ("recharges", {"amount": "1e3"}, "amount: '1e3' is not a whole number"),
    ("recharges", {"amount": ""}, "amount is missing"),
    ("recharges", {"kind": "gift"}, "kind: 'gift' is not one of paid, bonus"),
    ("recharges", {"kind": "Paid"}, "kind: 'Paid' is not one of"),
    ("recharges", {"ref": ""}, "ref is missing"),
    ("recharges", {"ref": "x" * 257}, "is too long"),
    ("recharges", {"ref": "1:0x" + "ab" * 32 + ":7"}, "the form that is kept for what is read from a chain"),
    ("spends", {"ref": "137:" + "AB" * 32 + ":0"}, "the form that is kept for what is read from a chain"),
    ("spends", {"job": "a\tb"}, "control character"),
    ("heartbeats", {"at": NOW * 1000}, "at: 1770000000000 is in milliseconds; seconds are wanted"),
    ("heartbeats", {"at": -1}, "at: '-1' is not in 0 to 4294967295"),
    ("heartbeats", {"at": 1 << 32}, "is not in"),
    ("heartbeats", {"worker": CHECKSUMMED.replace("aA", "Aa")}, "has a wrong checksum"),
    ("heartbeats", {"worker": "0x" + "0" * 40}, "worker is the zero address"),
    ("heartbeats", {"worker": ALICE[2:]}, "is not an address"),
    ("heartbeats", {"worker": ALICE + "0"}, "is not an address"),
    ("gpus", {"hashpower": -1}, "hashpower: '-1' is not in"),
    ("gpus", {"vram_mib": (1 << 24) + 1}, "vram_mib"),
    ("frames", {"outcome": "lost"}, "outcome: 'lost' is not one of completed, failed, void"),
    ("frames", {"frame": 1 << 31}, "frame"),
]


@pytest.mark.parametrize("suffix", ["parquet", "csv", "ndjson"])
@pytest.mark.parametrize(("table", "changes", "reason"), BAD_ROWS)
def test_a_bad_value_is_quarantined_with_its_reason_and_costs_no_other_row(
    ledger: Ledger, inbox: Path, suffix: str, table: str, changes: dict[str, Any], reason: str
) -> None:
    good = [sample(table), sample(table, at=NOW - 7)] if table == "heartbeats" else [sample(table), sample(table, ref="other")]
    bad = sample(table, **({"ref": "bad"} if "ref" in SAMPLES[table] else {}))
    bad.update(changes)
    rows = [good[0], bad, good[1]]
    file = inbox / f"{table}.{suffix}"
    if suffix == "parquet":
        for name, value in changes.items():
            if isinstance(value, str) and isinstance(SAMPLES[table][name], int):  # a column of text that should be numbers
                rows = [{**row, name: str(row[name])} for row in rows]
            elif abs(value if isinstance(value, int) else 0) >= 1 << 63:  # a column of numbers too wide for any integer
                rows = [{**row, name: Decimal(row[name])} for row in rows]
    summary = take(ledger, write(file, rows))
    assert summary.tables[table] == Counts(taken=2, quarantined=1)
    assert contents(ledger, table) == good
    [record] = aside(summary.quarantine)
    assert reason in record["reason"]
    assert record["file"] == str(file)
    assert record["number"] == {"parquet": 2, "csv": 3, "ndjson": 2}[suffix]
    assert summary.left_out == []


@pytest.mark.parametrize("suffix", ["parquet", "csv", "ndjson"])
@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"worker": BOB}, 'column "at" is missing'),
        ({"worker": BOB, "at": NOW, "region": "eu"}, 'column "region" is unknown'),
        ({"Worker": BOB, "at": NOW}, 'column "worker" is missing'),
    ],
)
def test_rows_with_other_columns_are_quarantined(ledger: Ledger, inbox: Path, suffix: str, row: dict[str, Any], reason: str) -> None:
    summary = take(ledger, write(inbox / f"heartbeats-1.{suffix}", [row]), write(inbox / f"heartbeats-2.{suffix}", [sample("heartbeats")]))
    assert summary.tables["heartbeats"] == Counts(taken=1, quarantined=1)
    reasons = {record["reason"] for record in aside(summary.quarantine)}
    assert reason in reasons or (suffix == "ndjson" and reasons <= {'column "Worker" is unknown', "at is missing"})


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        (pa.array([NOW + 0.5]), "at"),
        (pa.array([NOW * 10**6], pa.timestamp("us")), "at"),
        (pa.array([True]), "at"),
        (pa.array([[NOW]]), "at"),
        (pa.array([bytes.fromhex(BOB[2:])]), "worker"),
        (pa.array([7]), "worker"),
        (pa.array([None]), "worker"),
    ],
)
def test_a_parquet_column_of_a_wrong_type_is_quarantined_row_by_row(ledger: Ledger, inbox: Path, column: pa.Array, kind: str) -> None:
    columns = {"worker": pa.array([BOB]), "at": pa.array([NOW]), kind: column}
    pq.write_table(pa.table(columns), inbox / "heartbeats.parquet")
    summary = take(ledger, inbox)
    assert summary.tables["heartbeats"] == Counts(quarantined=1)
    assert aside(summary.quarantine)[0]["reason"].startswith(kind)


@pytest.mark.parametrize("kind", [pa.int8(), pa.uint8(), pa.uint64(), pa.int32(), pa.decimal128(38, 0), pa.string(), pa.large_string()])
def test_whole_numbers_of_any_width_are_numbers(ledger: Ledger, inbox: Path, kind: pa.DataType) -> None:
    row = {name: pa.array([value]) for name, value in SAMPLES["frames"].items()}
    pq.write_table(pa.table({**row, "frame": row["frame"].cast(kind)}), inbox / "frames.parquet")
    take(ledger, inbox)
    assert contents(ledger, "frames") == [SAMPLES["frames"]]


@pytest.mark.parametrize("kind", [pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())])
def test_text_in_any_encoding_is_text(ledger: Ledger, inbox: Path, kind: pa.DataType) -> None:
    row = {name: pa.array([value]) for name, value in SAMPLES["frames"].items()}
    text = {name: column.cast(kind) for name, column in row.items() if pa.types.is_string(column.type)}
    pq.write_table(pa.table({**row, **text}), inbox / "frames.parquet")
    take(ledger, inbox)
    assert contents(ledger, "frames") == [SAMPLES["frames"]]


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        (f"worker,at\n{BOB},1\n{BOB}\n{BOB},2\n", ["1 fields where the first line names 2"]),
        (f'worker,at\n{BOB},1\n"{BOB},5\n{BOB},2\n', ["not CSV"]),
        (f"worker,at\n{BOB},1\n{BOB},2,3\n{BOB},2\n", ["3 fields where the first line names 2"]),
        (f'worker,at\n{BOB},1\n"{BOB}",x\n"{BOB}",2\n', ["at: 'x' is not a whole number"]),
        (f"\ufeffat,worker\r\n1,{BOB}\r\n\r\n2,{BOB}", []),
        (f'"at","worker"\n"1","{BOB}"\n2,{BOB}', []),
    ],
)
def test_a_broken_line_of_csv_costs_that_line(ledger: Ledger, inbox: Path, text: str, broken: list[str]) -> None:
    (inbox / "heartbeats.csv").write_bytes(text.encode())
    summary = take(ledger, inbox, backfill=True)
    assert [row["at"] for row in contents(ledger, "heartbeats")] == [1, 2]
    reasons = [record["reason"] for record in aside(summary.quarantine)]
    assert len(reasons) == len(broken)
    assert all(reason.startswith(wanted) for reason, wanted in zip(reasons, broken, strict=True))


@pytest.mark.parametrize(
    "line", [b"{", b"[]", b"7", b'{"worker":"x","at":{}}', b'{"worker":5,"at":1}', b"\xff\xfe", b'{"at":1}{"at":2}', b"null"]
)
def test_a_broken_line_of_ndjson_costs_that_line(ledger: Ledger, inbox: Path, line: bytes) -> None:
    good = json.dumps(SAMPLES["heartbeats"]).encode()
    (inbox / "heartbeats.ndjson").write_bytes(b"\n".join([good, line, good, b"", good]))
    summary = take(ledger, inbox)
    assert summary.tables["heartbeats"] == Counts(taken=3, quarantined=1)
    assert aside(summary.quarantine)[0]["number"] == 2


def test_a_line_that_is_not_utf8_costs_that_line_of_csv(ledger: Ledger, inbox: Path) -> None:
    (inbox / "heartbeats.csv").write_bytes(f"worker,at\n{BOB},1\n".encode() + b"\xff,2\n" + f"{BOB},3\n".encode())
    assert take(ledger, inbox, backfill=True).tables["heartbeats"] == Counts(taken=2, quarantined=1)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("share", [0.0, 0.4, 0.9])
def test_a_truncated_file_is_named_and_costs_no_row_of_another(ledger: Ledger, inbox: Path, suffix: str, share: float) -> None:
    rows = [sample("heartbeats", at=NOW - i) for i in range(2_000)]
    file = write(inbox / f"heartbeats-1.{suffix}", rows)
    whole = file.read_bytes()
    file.write_bytes(whole[: int(len(whole) * share)])
    write(inbox / "heartbeats-2.parquet", [sample("heartbeats", worker=CAROL)])
    summary = take(ledger, inbox)
    taken = contents(ledger, "heartbeats")
    assert sample("heartbeats", worker=CAROL) in taken
    assert all(row in rows for row in taken[:-1])  # whatever is taken of it is what was sent
    if suffix.endswith(("parquet", "gz")) or (suffix == "csv" and share == 0):
        if not (suffix == "ndjson.gz" and share == 0):
            [(name, reason)] = summary.left_out
            assert name == str(file)
            assert reason
    elif share:
        assert summary.tables["heartbeats"].quarantined <= 1
        assert len(taken) > 1


@pytest.mark.parametrize(
    ("last", "whole"),
    [
        ("kind,amount\npaid,5000", False),  # of 5000000, perhaps
        ("kind,amount\npaid,5000\n", True),
        ("amount,kind\n5000,paid", True),
        ("amount,kind\n5000,pa", False),
    ],
)
def test_a_last_line_of_csv_that_may_be_cut_off_is_not_taken(ledger: Ledger, inbox: Path, last: str, whole: bool) -> None:
    names, values = last.split("\n", 1)
    (inbox / "recharges.csv").write_text(f"ref,account,at,{names}\nr-1,{ALICE},{NOW},{values}")
    assert take(ledger, inbox).tables["recharges"] == (Counts(taken=1) if whole else Counts(quarantined=1))


@pytest.mark.parametrize(("at", "whole"), [(NOW, True), (NOW // 10, False)])
def test_a_last_time_of_all_its_digits_is_whole(ledger: Ledger, inbox: Path, at: int, whole: bool) -> None:
    (inbox / "heartbeats.csv").write_text(f"worker,at\n{BOB},{at}")
    assert take(ledger, inbox, backfill=True).tables["heartbeats"] == (Counts(taken=1) if whole else Counts(quarantined=1))


def test_a_file_that_is_garbage_inside_is_named(ledger: Ledger, inbox: Path) -> None:
    file = write(inbox / "frames.parquet", [sample("frames", ref=f"f-{i}") for i in range(50_000)])
    whole = bytearray(file.read_bytes())
    whole[5_000:15_000] = bytes(10_000)
    file.write_bytes(whole)
    summary = take(ledger, inbox)
    assert [name for name, _ in summary.left_out] == [str(file)]
    assert summary.tables["frames"] == Counts()


def test_an_empty_folder_is_named_and_writes_nothing(ledger: Ledger, inbox: Path) -> None:
    summary = take(ledger, inbox, complete_until=NOW)
    assert summary.left_out == [(str(inbox), "no file of activity in this folder")]
    assert summary.refused_complete
    assert ledger.head().number == 0


@pytest.mark.parametrize(
    ("name", "reason"),
    [("frames.xlsx", "neither Parquet, CSV nor NDJSON"), ("holders.csv", "begins with no table's name"), ("nothing.csv", "no such file")],
)
def test_a_file_that_cannot_be_meant_is_named(ledger: Ledger, inbox: Path, name: str, reason: str) -> None:
    if name != "nothing.csv":
        (inbox / name).write_bytes(b"a,b\n")
    assert reason in take(ledger, inbox / name).left_out[0][1]


def test_in_a_folder_hidden_and_unfinished_files_are_passed_over(ledger: Ledger, inbox: Path) -> None:
    write(inbox / "heartbeats-1.csv", [sample("heartbeats")])
    for name in (".heartbeats-2.csv", "heartbeats-3.csv.tmp", "heartbeats-4.parquet.part", "README.md"):
        (inbox / name).write_bytes(b"half")
    (inbox / "_staging").mkdir()
    (inbox / "_staging" / "heartbeats-5.csv").write_bytes(b"half")
    (inbox / "deeper").mkdir()
    write(inbox / "deeper" / "heartbeats-6.csv", [sample("heartbeats", worker=CAROL)])
    summary = take(ledger, inbox)
    assert summary.tables["heartbeats"] == Counts(taken=2)
    assert summary.left_out == []


def test_a_file_that_is_open_for_writing_is_left_for_the_next_time(ledger: Ledger, inbox: Path) -> None:
    write(inbox / "heartbeats-1.csv", [sample("heartbeats")])
    late = inbox / "heartbeats-2.csv"
    with late.open("w") as opened:
        opened.write(f"worker,at\n{BOB},{NOW - 1}\n{BOB},17")
        opened.flush()
        summary = take(ledger, inbox)
        assert summary.tables["heartbeats"] == Counts(taken=1)
        assert summary.left_out == [(str(late), "is being written; left for the next time")]
        opened.write(f"{NOW}\n"[2:])
    summary = take(ledger, inbox)
    assert summary.tables["heartbeats"].quarantined == 0
    assert summary.left_out == []
    assert {row["at"] for row in contents(ledger, "heartbeats")} == {NOW - 60, NOW - 1, int(f"17{str(NOW)[2:]}")}


def test_a_folder_that_fills_while_it_is_read_loses_nothing(ledger: Ledger, inbox: Path) -> None:
    def produce() -> None:
        for i in range(40):
            path = inbox / f".frames-{i}.csv"
            write(path, [sample("frames", ref=f"{i}-{j}") for j in range(200)])
            path.rename(inbox / path.name[1:])
            time.sleep(0.001)

    producer = threading.Thread(target=produce)
    producer.start()
    while producer.is_alive():
        take(ledger, inbox)
    producer.join()
    take(ledger, inbox)
    assert sorted(row["ref"] for row in contents(ledger, "frames")) == sorted(f"{i}-{j}" for i in range(40) for j in range(200))


@pytest.mark.parametrize("failing", ["batch", "entry", "quarantine"])
def test_a_full_disk_leaves_the_old_ledger_and_says_so(ledger: Ledger, inbox: Path, monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    feed(ledger, inbox, {"heartbeats": [sample("heartbeats")]})
    before = ledger.head()

    def full() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    rows = {"frames": [sample("frames"), sample("frames", ref="bad", outcome="?")]}
    with monkeypatch.context() as patch:
        folder = {"batch": "batches", "entry": "entries", "quarantine": "quarantine"}[failing]
        for method in ("create", "adopt"):
            write = getattr(ledger.storage, method)
            patch.setattr(ledger.storage, method, lambda name, data, write=write: full() if name.startswith(folder) else write(name, data))
        with pytest.raises(DiskFullError, match="no space left"):
            feed(ledger, inbox, rows)
    assert ledger.head() == before
    assert feed(ledger, inbox, rows).tables["frames"] == Counts(taken=1, quarantined=1)


def test_the_same_fact_twice_is_one(ledger: Ledger, inbox: Path) -> None:
    row = sample("frames", creator=CHECKSUMMED)
    again = {**row, "creator": CHECKSUMMED.lower()}
    summary = feed(ledger, inbox, {"frames": [row, again, row]})
    assert summary.tables["frames"] == Counts(taken=1, known=2)
    summary = feed(ledger, inbox, {"frames": [again]})
    assert summary.tables["frames"] == Counts(known=1)
    assert summary.conflicts == summary.quarantine == []
    assert len(contents(ledger, "frames")) == 1


def test_the_same_ref_in_two_tables_is_two_facts(ledger: Ledger, inbox: Path) -> None:
    summary = feed(ledger, inbox, {"recharges": [sample("recharges", ref="x")], "spends": [sample("spends", ref="x")]})
    assert summary.tables["recharges"] == summary.tables["spends"] == Counts(taken=1)


@pytest.mark.parametrize(
    "change", [{"amount": 1}, {"account": BOB}, {"kind": "bonus"}, {"at": NOW - 61}, {"at": NOW + 9}], ids=lambda change: next(iter(change))
)
@pytest.mark.parametrize("together", [True, False])
def test_of_two_rows_with_one_ref_the_first_in_ledger_order_stands(
    ledger: Ledger, inbox: Path, change: dict[str, Any], together: bool
) -> None:
    first, second = sample("recharges"), sample("recharges", **change)
    if together:
        summary = feed(ledger, inbox, {"recharges": [first, second, sample("recharges", ref="other")]})
        assert summary.tables["recharges"] == Counts(taken=2, conflicts=1)
    else:
        feed(ledger, inbox, {"recharges": [first]})
        summary = feed(ledger, inbox, {"recharges": [second, second, sample("recharges", ref="other")]})
        assert summary.tables["recharges"] == Counts(taken=1, conflicts=2)
    assert contents(ledger, "recharges") == [first, sample("recharges", ref="other")]
    record = aside(summary.conflicts)[0]
    assert json.loads(record["row"]) == second
    assert record["table"] == "recharges"
    assert "stands" in record["reason"]


def test_a_row_is_late_when_it_is_older_than_the_late_limit(ledger: Ledger, inbox: Path) -> None:
    edge = NOW - LATE_LIMIT
    summary = feed(ledger, inbox, {"frames": [sample("frames", ref="a", at=edge), sample("frames", ref="b", at=edge - 1)]})
    assert summary.tables["frames"] == Counts(taken=1, late=1)
    assert [row["ref"] for row in contents(ledger, "frames")] == ["a"]
    [record] = aside(summary.quarantine)
    assert record["reason"].startswith("late")
    assert json.loads(record["row"])["ref"] == "b"


def test_a_declared_backfill_is_never_late(ledger: Ledger, inbox: Path) -> None:
    summary = feed(ledger, inbox, {"frames": [sample("frames", at=5)]}, backfill=True)
    assert summary.tables["frames"] == Counts(taken=1)
    assert ledger.entries()[-1].backfill


DAY = 86_400


def test_a_ref_is_remembered_for_the_late_limit_after_its_time(ledger: Ledger, inbox: Path) -> None:
    feed(ledger, inbox, {"frames": [sample("frames", at=NOW)]})
    at_the_edge = feed(ledger, inbox, {"frames": [sample("frames", job="j-2", at=NOW + 9)]}, now=NOW + LATE_LIMIT)
    assert at_the_edge.tables["frames"] == Counts(conflicts=1)
    after = feed(ledger, inbox, {"frames": [sample("frames", job="j-2", at=NOW + 9)]}, now=NOW + LATE_LIMIT + 1)
    assert after.tables["frames"] == Counts(taken=1)


def test_each_ref_is_forgotten_by_its_own_time(ledger: Ledger, inbox: Path) -> None:
    feed(ledger, inbox, {"frames": [sample("frames", ref="old", at=NOW - 1), sample("frames", ref="new", at=NOW)]})
    later = NOW + LATE_LIMIT
    rows = [sample("frames", ref="old", at=later), sample("frames", ref="new", at=later)]
    assert feed(ledger, inbox, {"frames": rows}, now=later).tables["frames"] == Counts(taken=1, conflicts=1)


@pytest.mark.parametrize(("before", "after"), [(3, 100), (100, 3), (50, 50)])
def test_known_rows_are_found_among_few_and_among_many(ledger: Ledger, inbox: Path, before: int, after: int) -> None:
    feed(ledger, inbox, {"frames": [sample("frames", ref=f"f-{i}") for i in range(before)]})
    summary = feed(ledger, inbox, {"frames": [sample("frames", ref=f"f-{i}") for i in range(1, 1 + after)] * 2})
    taken = max(after - before + 1, 0)
    assert summary.tables["frames"] == Counts(taken=taken, known=2 * after - taken)


def test_what_is_remembered_does_not_hang_on_when_it_came(ledger: Ledger, inbox: Path) -> None:
    feed(ledger, inbox, {"frames": [sample("frames", at=NOW + 100 * DAY)]})  # a clock that runs ahead
    for day in (30, 60, 90):
        feed(ledger, inbox, {"frames": [sample("frames", ref=f"d-{day}", at=NOW + day * DAY)]}, now=NOW + day * DAY)
    known = feed(ledger, inbox, {"frames": [sample("frames", at=NOW + 100 * DAY)]}, now=NOW + 110 * DAY)
    assert known.tables["frames"] == Counts(known=1)


def test_a_backfill_searches_everything(ledger: Ledger, inbox: Path) -> None:
    old = sample("frames", at=NOW - 400 * DAY)
    feed(ledger, inbox, {"frames": [old]}, backfill=True)
    feed(ledger, inbox, {"frames": [sample("frames", ref="new")]})
    assert feed(ledger, inbox, {"frames": [old]}, backfill=True).tables["frames"] == Counts(known=1)
    assert feed(ledger, inbox, {"frames": [{**old, "job": "j-2"}]}, backfill=True).tables["frames"] == Counts(conflicts=1)
    assert feed(ledger, inbox, {"frames": [sample("frames")]}).tables["frames"] == Counts(taken=1)  # forgotten, so a new fact


def test_many_batches_know_each_other(ledger: Ledger, inbox: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest_module, "BATCH_ROWS", 10)
    rows = [sample("frames", ref=f"f-{i % 70}") for i in range(100)]
    paths = [write(inbox / f"frames-{i:02}.csv", rows[i * 7 : i * 7 + 7]) for i in range(15) if rows[i * 7 : i * 7 + 7]]
    summary = take(ledger, *paths)
    assert summary.tables["frames"] == Counts(taken=70, known=30)
    assert len(ledger.entries()) == 5
    assert take(ledger, *paths).tables["frames"] == Counts(known=100)


def test_a_lost_cache_changes_nothing(ledger: Ledger, inbox: Path) -> None:
    feed(ledger, inbox, {"frames": [sample("frames")]})
    for file in (ledger.storage.scratch / "refs").rglob("*.npy"):
        file.write_bytes(file.read_bytes()[:20])
    assert feed(ledger, inbox, {"frames": [sample("frames")]}).tables["frames"] == Counts(known=1)


def test_a_cache_that_cannot_be_written_changes_nothing(ledger: Ledger, inbox: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError("Not enough free space to write 16777216 bytes")  # as numpy says it, without a number

    monkeypatch.setattr(np, "save", full)
    assert feed(ledger, inbox, {"frames": [sample("frames")]}).tables["frames"] == Counts(taken=1)
    assert feed(ledger, inbox, {"frames": [sample("frames")]}).tables["frames"] == Counts(known=1)


def test_the_same_file_of_heartbeats_twice_is_known(ledger: Ledger, inbox: Path) -> None:
    file = write(inbox / "heartbeats.csv", [sample("heartbeats"), sample("heartbeats")])
    assert take(ledger, file).tables["heartbeats"] == Counts(taken=2)
    assert take(ledger, file).tables["heartbeats"] == Counts(known=2)


LINKS = {
    "itself": ([(ALICE, ALICE)], [0]),
    "a circle of two": ([(ALICE, BOB), (BOB, ALICE)], [1]),
    "a circle of three": ([(ALICE, BOB), (BOB, CAROL), (CAROL, ALICE)], [2]),
    "closed in the middle": ([(ALICE, BOB), (CAROL, ALICE), (BOB, CAROL)], [2]),
    "a second to": ([(ALICE, BOB), (ALICE, CAROL), (ALICE, BOB)], [1]),
    "a chain": ([(ALICE, BOB), (BOB, CAROL), (CAROL, DAVE)], []),
    "two into one": ([(ALICE, BOB), (CAROL, BOB)], []),
    "a refused link does not count": ([(ALICE, BOB), (ALICE, CAROL), (CAROL, ALICE)], [1]),
}


@pytest.mark.parametrize(("pairs", "bad"), LINKS.values(), ids=LINKS)
@pytest.mark.parametrize("together", [True, False])
def test_links_that_contradict_those_before_are_quarantined(
    ledger: Ledger, inbox: Path, pairs: list[tuple[str, str]], bad: list[int], together: bool
) -> None:
    # Ledger order decides, not time: the later the link, the earlier its `at`.
    rows = [{"ref": f"l-{i}", "from": start, "to": end, "at": NOW - i} for i, (start, end) in enumerate(pairs)]
    summaries = [feed(ledger, inbox, {"links": part}) for part in ([rows] if together else [[row] for row in rows])]
    assert [row["ref"] for row in contents(ledger, "links")] == [f"l-{i}" for i in range(len(rows)) if i not in bad]
    refused = [json.loads(record["row"])["ref"] for summary in summaries for record in aside(summary.quarantine)]
    assert refused == [f"l-{i}" for i in bad]
    assert sum(summary.tables["links"].quarantined for summary in summaries) == len(bad)


def test_a_link_that_is_refused_takes_its_ref_from_nobody(ledger: Ledger, inbox: Path) -> None:
    rows = [sample("links"), sample("links", ref="l-2", **{"to": BOB}), sample("links", ref="l-2", **{"from": DAVE, "to": BOB})]
    assert feed(ledger, inbox, {"links": rows}).tables["links"] == Counts(taken=2, quarantined=1)
    assert [row["from"] for row in contents(ledger, "links")] == [ALICE, DAVE]


def test_links_with_one_ref_are_one_fact_or_a_conflict(ledger: Ledger, inbox: Path) -> None:
    rows = [sample("links"), sample("links"), sample("links", **{"from": DAVE})]
    assert feed(ledger, inbox, {"links": rows}).tables["links"] == Counts(taken=1, known=1, conflicts=1)
    assert feed(ledger, inbox, {"links": rows}).tables["links"] == Counts(known=2, conflicts=1)


def test_links_are_remembered_for_ever(ledger: Ledger, inbox: Path) -> None:
    feed(ledger, inbox, {"links": [sample("links")]})
    later = NOW + 400 * DAY
    row = {"ref": "l-9", "from": SAMPLES["links"]["to"], "to": SAMPLES["links"]["from"], "at": later}
    assert feed(ledger, inbox, {"links": [row]}, now=later).tables["links"] == Counts(quarantined=1)


def test_a_source_is_complete_once_its_rows_are_in(ledger: Ledger, inbox: Path) -> None:
    feed(ledger, inbox, {"heartbeats": [sample("heartbeats")], "frames": [sample("frames")]}, source="feed", complete_until=NOW)
    assert [entry.complete_until for entry in ledger.entries()] == [None, NOW]  # the last of them says it
    assert ledger.complete_until(["feed", "other"]) == {"feed": NOW}


def test_a_source_can_say_that_nothing_happened(ledger: Ledger) -> None:
    summary = take(ledger, source="feed", complete_until=NOW)
    assert ledger.complete_until(["feed"]) == {"feed": NOW}
    assert summary.position == ledger.head()
    assert take(ledger, source="feed", complete_until=NOW).position == summary.position  # said before


def test_a_source_never_takes_back_how_far_it_is_complete(ledger: Ledger, inbox: Path) -> None:
    take(ledger, source="feed", complete_until=NOW)
    feed(ledger, inbox, {"heartbeats": [sample("heartbeats")]}, source="feed", complete_until=NOW - 9)
    assert ledger.complete_until(["feed"]) == {"feed": NOW}


def test_a_file_left_out_keeps_its_source_from_being_complete(ledger: Ledger, inbox: Path) -> None:
    good = write(inbox / "heartbeats.csv", [sample("heartbeats")])
    summary = take(ledger, good, inbox / "frames.csv", source="feed", complete_until=NOW)
    assert summary.tables["heartbeats"] == Counts(taken=1)
    assert summary.refused_complete
    assert ledger.complete_until(["feed"]) == {}


def test_a_bad_row_does_not_keep_its_source_from_being_complete(ledger: Ledger, inbox: Path) -> None:
    feed(ledger, inbox, {"heartbeats": [sample("heartbeats", at=-1)]}, source="feed", complete_until=NOW)
    assert ledger.complete_until(["feed"]) == {"feed": NOW}


@pytest.mark.parametrize("name", ["", "a b", "../x", "x" * 65, "é"])
def test_a_source_has_a_plain_name(ledger: Ledger, name: str) -> None:
    with pytest.raises(LedgerError, match="source"):
        take(ledger, source=name, complete_until=NOW)


def test_received_at_never_goes_back(ledger: Ledger, inbox: Path) -> None:
    feed(ledger, inbox, {"heartbeats": [sample("heartbeats")]}, now=NOW)
    feed(ledger, inbox, {"heartbeats": [sample("heartbeats", at=NOW)]}, now=NOW - 500)
    assert [entry.received_at for entry in ledger.entries()] == [NOW, NOW]


def test_a_second_ingest_waits_its_turn_or_is_refused(ledger: Ledger, inbox: Path) -> None:
    other = Ledger.open(ledger.storage.root)
    with ledger.writing(), pytest.raises(LedgerBusyError, match="another process"):
        feed(other, inbox, {"frames": [sample("frames")]}, wait=0.1)
    assert feed(other, inbox, {"frames": [sample("frames")]}, wait=0.1).tables["frames"] == Counts(taken=1)


def test_ingests_at_the_same_time_take_each_fact_once(ledger: Ledger, inbox: Path) -> None:
    file = write(inbox / "frames.csv", [sample("frames", ref=f"f-{i}") for i in range(500)])
    counts: list[Counts] = []
    runs = [threading.Thread(target=lambda: counts.append(take(Ledger.open(ledger.storage.root), file).tables["frames"])) for _ in range(4)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert sorted((count.taken, count.known) for count in counts) == [(0, 500), (0, 500), (0, 500), (500, 0)]
    assert len(contents(ledger, "frames")) == 500


def test_a_ledger_in_an_object_store_is_the_same(tmp_path: Path) -> None:
    remote = Ledger.open(f"memory://{tmp_path.name}/ledger", create=True)
    rows = {"frames": [sample("frames"), sample("frames", job="j-2"), sample("frames", ref="bad", at=-1)]}
    summary = feed(remote, tmp_path / "inbox", rows)
    assert summary.tables["frames"] == Counts(taken=1, conflicts=1, quarantined=1)
    assert summary.quarantine[0].startswith("memory://")
    again = Ledger.open(f"memory://{tmp_path.name}/ledger")
    assert contents(again, "frames") == [sample("frames")]
    assert feed(again, tmp_path / "inbox", rows).tables["frames"] == Counts(known=1, conflicts=1, quarantined=1)
