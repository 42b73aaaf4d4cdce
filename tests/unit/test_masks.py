"""Minute masks: the same as one heartbeat after the other would set them, however the rows lie in the files."""

import random
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pictor.activity import masks
from pictor.activity.masks import minute_masks
from pictor.activity.schemas import TABLES

WORKERS = [f"0x{i:040x}" for i in range(40)]
T = 1_790_000_000

Rows = list[tuple[str, int]]


def dense(chance: random.Random) -> Rows:
    return [(chance.choice(WORKERS), T + chance.randrange(7_200)) for _ in range(3_000)]


def sparse(chance: random.Random) -> Rows:
    return [(chance.choice(WORKERS), chance.randrange(1 << 32)) for _ in range(3_000)]


def bounds(chance: random.Random) -> Rows:
    return [(worker, at) for worker in WORKERS[:2] for at in (0, 59, 60, 3_599, 3_600, (1 << 32) - 1)]


def alone(chance: random.Random) -> Rows:
    return [(WORKERS[0], T)]


@pytest.mark.parametrize("plain", [False, True], ids=["dictionary", "plain"])
@pytest.mark.parametrize("kind", [dense, sparse, bounds, alone])
def test_masks_are_those_of_single_heartbeats(
    kind: Callable[[random.Random], Rows], plain: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(masks, "PIECE_ROWS", 500)
    chance = random.Random(7)
    expected: dict[tuple[str, int, int], int] = {}
    batches = []
    for number in (3, 4):
        rows = kind(chance)
        batches.append((number, tmp_path / f"{number}.parquet"))
        table = pa.Table.from_pylist([{"worker": worker, "at": at} for worker, at in rows], TABLES["heartbeats"].schema)
        pq.write_table(table, batches[-1][1], row_group_size=200, use_dictionary=not plain)
        for worker, at in rows:
            hour = (worker, number, at // 3_600)
            expected[hour] = expected.get(hour, 0) | 1 << at % 3_600 // 60
    workers, found = minute_masks(batches)
    told: dict[tuple[str, int, int], int] = {}
    for row in found.to_pylist():
        hour = (workers[row["worker"]].as_py(), row["batch"], row["hour"])
        told[hour] = told.get(hour, 0) | row["mask"]
    assert told == expected
    assert len(set(workers.to_pylist())) == len(workers)


def test_no_heartbeats_make_no_masks() -> None:
    workers, found = minute_masks([])
    assert (len(workers), found.num_rows, found.column_names) == (0, 0, ["worker", "batch", "hour", "mask"])
