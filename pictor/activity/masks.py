"""Minute masks from batches of heartbeats: the one count with so many rows that grouping them in SQL takes longest of all.

A piece of a batch is spread out over a bit map of its workers and its minutes, if that is dense, as a network's heartbeats are; else its
minutes are sorted. Either takes one pass over the rows as they lie in the file, where a worker is a number already.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pictor.units import HOUR, MINUTE

PIECE_ROWS = 1_000_000  # of a batch that are looked at together: what a thread holds is a few dozen bytes a row
THREADS = min(pa.cpu_count(), 4)
SPARSE = 16  # with so many minutes of the map for each heartbeat, sorting is cheaper
_HOUR = HOUR // MINUTE


def minute_masks(batches: Sequence[tuple[int, Path]]) -> tuple[pa.Array, pa.Table]:
    """The workers of `batches` (number, file), and `worker, batch, hour, mask`: the worker's place among these, the batch, the hour since
    the Unix epoch, and bit m for minute m of it.

    A worker's hour may have several rows of one batch, whose masks are yet to be OR-ed.
    """
    with ThreadPoolExecutor(THREADS) as threads:
        found = pa.concat_tables([_NONE, *threads.map(_masks, _pieces(batches))])
    workers = found["worker"].unify_dictionaries()
    places = pa.chunked_array([chunk.indices for chunk in workers.chunks], pa.int32())
    return workers.chunk(0).dictionary, found.set_column(0, "worker", places)


_NONE = pa.table(
    {"worker": pa.array([], pa.dictionary(pa.int32(), pa.string())), "batch": pa.array([], pa.int64())}
    | {"hour": pa.array([], pa.int32()), "mask": pa.array([], pa.int64())}
)


def _pieces(batches: Sequence[tuple[int, Path]]) -> Iterator[tuple[int, Path, list[int]]]:
    """Each batch with some of its row groups at a time."""
    for number, file in batches:
        meta = pq.read_metadata(file)
        groups: list[int] = []
        rows = 0
        for group in range(meta.num_row_groups):
            groups.append(group)
            rows += meta.row_group(group).num_rows
            if rows >= PIECE_ROWS or group == meta.num_row_groups - 1:
                yield number, file, groups
                groups, rows = [], 0


def _masks(piece: tuple[int, Path, list[int]]) -> pa.Table:
    batch, file, groups = piece
    with pq.ParquetFile(file, read_dictionary=["worker"]) as opened:
        rows = opened.read_row_groups(groups, columns=["worker", "at"], use_threads=False)
    workers = rows["worker"].unify_dictionaries().combine_chunks()
    minute = rows["at"].to_numpy() // MINUTE
    first = int(minute.min()) // _HOUR
    hours = int(minute.max()) // _HOUR - first + 1
    minute -= first * _HOUR
    minute += workers.indices.to_numpy().astype(np.int64) * (hours * _HOUR)
    size = len(workers.dictionary) * hours  # of worker hours, whose number is worker × hours + hour
    at, mask = _spread(minute, size) if size * _HOUR <= SPARSE * len(minute) else _sorted(minute)
    columns = {
        "worker": pa.DictionaryArray.from_arrays(pa.array((at // hours).astype(np.int32)), workers.dictionary),
        "batch": np.full(len(at), batch),
        "hour": (at % hours + first).astype(np.int32),
        "mask": mask,
    }
    return pa.table(columns, _NONE.schema)


def _spread(minutes: npt.NDArray[np.int64], size: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Which of `size` hours have any of `minutes`, numbered from the first hour on, and their masks."""
    seen = np.zeros(size * _HOUR, np.bool_)
    seen[minutes] = True
    masks = np.packbits(seen.reshape(size, _HOUR), axis=1, bitorder="little").view("<i8")[:, 0]
    at = np.flatnonzero(masks)
    return at, masks[at]


def _sorted(minutes: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The same, however far they lie apart."""
    minutes = np.unique(minutes)
    at, starts = np.unique(minutes // _HOUR, return_index=True)
    return at, np.bitwise_or.reduceat(np.int64(1) << minutes % _HOUR, starts)
