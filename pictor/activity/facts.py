"""What is already known: the same fact twice, the same ref with other contents, and links that contradict each other.

Rows are matched by a 64-bit hash of their ref first, against a sorted index of each batch, and by the ref itself only where a hash
is found: so new rows cost a search in memory, whatever the ledger holds.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pictor.activity.ledger import Entry, Ledger
from pictor.activity.schemas import Table

Hashes = npt.NDArray[np.uint64]  # sorted

NEW, KNOWN, CONFLICT, BAD = 0, 1, 2, 3
SAME_TIME = "an earlier row that came with it has other contents under this ref, and stands"


@dataclass(frozen=True)
class Verdict:
    """What becomes of each row of a batch, and why for those that do not stand."""

    status: npt.NDArray[np.int8]  # NEW, KNOWN, CONFLICT or BAD
    reasons: dict[int, str]  # of each CONFLICT and BAD row


class Facts:
    """The remembered facts of one table: rows with `at ≥ since` that stood before, and the batches that are judged here and then stand."""

    def __init__(self, ledger: Ledger, table: Table, since: int) -> None:
        self.ledger, self.table, self.since = ledger, table, since
        self.db = duckdb.connect(":memory:")
        entries = ledger.recent(table.name, since)
        self.batches = {entry.sha256 for entry in entries}
        self.shards = [(self._index(entry), [entry]) for entry in entries] if table.has_refs else []
        self.links: dict[str, str] = {}
        if table.name == "links":  # a link never ends
            for entry in ledger.recent(table.name, 0):
                self.links |= {row["from"]: row["to"] for row in pq.read_table(ledger.checked(entry)).to_pylist()}

    def _index(self, entry: Entry) -> Hashes:
        """The sorted hashes of an entry's refs: made once, kept in the cache."""
        path = self._index_path(entry)
        try:
            index: Hashes = np.load(path, mmap_mode="r")
        except (FileNotFoundError, ValueError, EOFError):  # none yet, or a damaged one
            index = np.sort(self._hashes(self.db.read_parquet(str(self.ledger.checked(entry)))))
            self._keep(path, index)
        return index

    def _index_path(self, entry: Entry) -> Path:
        return self.ledger.storage.scratch / "refs" / duckdb.__version__ / f"{entry.sha256}.npy"

    def _keep(self, path: Path, index: Hashes) -> None:
        partial = self.ledger.storage.partial()
        try:
            with partial.open("wb") as file:
                np.save(file, index)
            path.parent.mkdir(parents=True, exist_ok=True)
            partial.replace(path)
        except OSError:  # a full disk, say: what is only kept to be quick can be made again
            partial.unlink(missing_ok=True)

    def _hashes(self, rows: duckdb.DuckDBPyRelation) -> Hashes:
        hashes: Hashes = rows.project("hash(ref) AS h").to_arrow_table()["h"].to_numpy()
        return hashes

    def judge(self, rows: pa.Table) -> Verdict:
        """What becomes of `rows` (normalised, in ledger order)."""
        status = np.zeros(rows.num_rows, dtype=np.int8)
        reasons: dict[int, str] = {}
        if self.table.has_refs:
            hashes = self._hashes(self.db.from_arrow(rows.select(["ref"])))
            self._against_ledger(rows, hashes, status, reasons)
            if self.table.name == "links":
                self._follow_links(rows, status, reasons)
            else:
                self._against_each_other(rows, hashes, status, reasons)
        return Verdict(status, reasons)

    def holds(self, digest: str) -> bool:
        """Whether the very same batch already stands: how rows without a ref are told to have come before."""
        return digest in self.batches

    def remember(self, entry: Entry, rows: pa.Table) -> None:
        """`rows` now stand in the ledger as `entry`."""
        self.batches.add(entry.sha256)
        if not self.table.has_refs:
            return
        index = np.sort(self._hashes(self.db.from_arrow(rows.select(["ref"]))))
        self._keep(self._index_path(entry), index)
        self.shards.append((index, [entry]))
        # Shards of one size become one of the next: there are never more than a few of this run, however many batches it adds.
        while len(self.shards) > 1 and len(self.shards[-2][0]) <= 2 * len(self.shards[-1][0]):
            (low, before), (high, after) = self.shards[-2:]
            self.shards[-2:] = [(np.sort(np.concatenate([low, high])), before + after)]

    def _against_ledger(self, rows: pa.Table, hashes: Hashes, status: npt.NDArray[np.int8], reasons: dict[int, str]) -> None:
        order = np.argsort(hashes)
        ordered = hashes[order]
        suspects = np.zeros(len(hashes), dtype=bool)
        entries: list[Entry] = []
        for shard, of in self.shards:
            hits = _members(ordered, shard)
            if hits.any():
                suspects[order[hits]] = True
                entries += of
        if not entries:
            return
        numbers = {str(self.ledger.checked(entry)): entry.number for entry in entries}
        theirs = self.db.read_parquet(list(numbers), filename=True).filter(f'"at" >= {self.since}').set_alias("theirs")
        ours = self.db.from_arrow(_numbered(rows, np.flatnonzero(suspects))).set_alias("ours")
        pairs = ours.join(theirs, "ours.ref = theirs.ref")
        same = " AND ".join(f'ours."{name}" = theirs."{name}"' for name in self.table.columns)
        found = pairs.aggregate(f"ours.number AS number, bool_or({same}) AS known, list(filename) AS places", "ours.number")
        for number, places in _settle(found, status):
            stands = min(numbers[place] for place in places)
            reasons[number] = f"entry {stands} has other contents under this ref, and stands"

    def _against_each_other(self, rows: pa.Table, hashes: Hashes, status: npt.NDArray[np.int8], reasons: dict[int, str]) -> None:
        ordered = np.sort(hashes)
        twice = ordered[1:][ordered[1:] == ordered[:-1]]
        if not len(twice):
            return
        suspects = np.flatnonzero(np.isin(hashes, twice) & (status == NEW))
        ours = self.db.from_arrow(_numbered(rows, suspects))
        of_ref = "OVER (PARTITION BY ref ORDER BY number)"
        same = " AND ".join(f'"{name}" = first_value("{name}") {of_ref}' for name in self.table.columns)
        found = ours.project(f"number, {same} AS known, NULL AS places, row_number() {of_ref} AS nth").filter("nth > 1")
        for number, _ in _settle(found, status):
            reasons[number] = SAME_TIME

    def _follow_links(self, rows: pa.Table, status: npt.NDArray[np.int8], reasons: dict[int, str]) -> None:
        """Row by row, as a link that does not stand takes nothing from those after it: neither its ref nor its account."""
        new = np.flatnonzero(status == NEW)
        standing: dict[str, dict[str, Any]] = {}
        for number, row in zip(new.tolist(), rows.take(pa.array(new)).to_pylist(), strict=True):
            start, end = row["from"], row["to"]
            if row["ref"] in standing:
                status[number] = KNOWN if standing[row["ref"]] == row else CONFLICT
                reason = None if status[number] == KNOWN else SAME_TIME
            elif self.links.get(start, end) != end:
                status[number], reason = BAD, f"{start} is already linked to {self.links[start]}"
            elif start in self._chain(end):
                status[number], reason = BAD, f"a circle: {start} would be linked to itself"
            else:
                standing[row["ref"]], self.links[start], reason = row, end, None
            if reason:
                reasons[number] = reason

    def _chain(self, account: str) -> Iterable[str]:
        while account in self.links:
            yield account
            account = self.links[account]
        yield account


def _settle(found: duckdb.DuckDBPyRelation, status: npt.NDArray[np.int8]) -> list[tuple[int, Any]]:
    """Mark the rows of `found` (number, known, places) in `status`; the answer is number and places of the conflicts."""
    settled = found.to_arrow_table()
    known = settled["known"].to_numpy()
    status[settled["number"].to_numpy()] = np.where(known, KNOWN, CONFLICT)
    conflicts = settled.filter(pa.array(~known))
    return list(zip(conflicts["number"].to_pylist(), conflicts["places"].to_pylist(), strict=True))


def _members(values: Hashes, of: Hashes) -> npt.NDArray[np.bool_]:
    """Which of the sorted `values` are among the sorted `of`; the shorter is searched in the longer."""
    if len(of) < len(values):
        begins = np.bincount(np.searchsorted(values, of, "left"), minlength=len(values) + 1)
        ends = np.bincount(np.searchsorted(values, of, "right"), minlength=len(values) + 1)
        return np.asarray(np.cumsum(begins - ends)[:-1] > 0, dtype=np.bool_)
    found = of[np.minimum(np.searchsorted(of, values), len(of) - 1)] == values
    return np.asarray(found, dtype=np.bool_)


def _numbered(rows: pa.Table, numbers: npt.NDArray[np.int64]) -> pa.Table:
    return rows.take(pa.array(numbers)).append_column("number", pa.array(numbers))
