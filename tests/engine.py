"""The engine behind the face of the reference: deliveries become files, go through ingest, rollups and scoring, and come back as values."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from pictor.activity.ingest import ingest
from pictor.activity.intake import find
from pictor.activity.ledger import Ledger, Position
from pictor.activity.rollups import Cut, Rollups
from pictor.activity.schemas import TABLES
from pictor.policy import Policy, parse_policies
from pictor.scoring import score_epoch
from pictor.scoring.standings import HOLDERS
from tests.reference import CRITERIA, Delivery, Epoch, Fact, Holder, Row, Rules, Standing
from tests.strategies import policy_toml

FORMS = ("parquet", "csv", "ndjson")


@dataclass(frozen=True)
class Taken:
    """What an ingest says of its rows, over all tables."""

    taken: int
    known: int
    conflicts: int
    late: int
    quarantined: int


def hand_in(
    ledger: Ledger, delivery: Delivery, rules: Rules, folder: Path, forms: Sequence[str] = FORMS, pieces: int = 1
) -> dict[str, Taken]:
    """One ingest of a delivery, each table in `pieces` files, their formats in turns; what became of the rows, by table."""
    folder.mkdir()
    for table in TABLES:
        rows = [columns for name, columns in delivery.rows if name == table]
        share = -(-len(rows) // pieces)
        for piece in range(pieces if rows else 0):
            form = forms[piece % len(forms)]
            write_file(folder / f"{table}-{piece:02}.{form}", table, rows[piece * share : (piece + 1) * share])
    summary = ingest(
        ledger,
        find(folder, None)[0] if any(folder.iterdir()) else [],
        now=delivery.received_at,
        late_limit=rules.late_limit,
        backfill=delivery.backfill,
    )
    assert not summary.left_out
    return {table: Taken(c.taken, c.known, c.conflicts, c.late, c.quarantined) for table, c in summary.tables.items()}


def write_file(path: Path, table: str, rows: Sequence[Row]) -> None:
    """Raw rows as a file, in the format that its name says."""
    schema = TABLES[table].schema
    if path.suffix == ".parquet":
        pa.parquet.write_table(pa.Table.from_pylist([dict(row) for row in rows], pa.schema([(f.name, f.type) for f in schema])), path)
    elif path.suffix == ".csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, schema.names, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def standing(ledger: Ledger, stop: Position | None = None) -> dict[str, list[dict[str, Any]]]:
    """The rows that stand, by table, in ledger order."""
    found: dict[str, list[dict[str, Any]]] = {table: [] for table in TABLES}
    for entry in ledger.entries(0, None if stop is None else stop.number):
        if entry.table:
            found[entry.table] += pa.parquet.read_table(ledger.path(entry)).to_pylist()
    return found


def policy(rules: Rules) -> Policy:
    """The rules as the engine takes them."""
    return parse_policies(policy_toml(rules)).at(0)


def values(rollups: Rollups, epoch: int, holders: Iterable[Holder], rules: Rules, cut: Cut | None = None, name: str = "duckdb") -> Epoch:
    """What an epoch comes to at a cut, in the reference's terms."""
    columns = zip(*((h.account, h.role, h.issued_at) for h in holders), strict=True) if holders else ([], [], [])
    passes = pa.table([pa.array(column, kind.type) for column, kind in zip(columns, HOLDERS, strict=True)], HOLDERS)
    scores = score_epoch(rollups, policy(rules), epoch, passes, cut, name)
    return Epoch(
        tuple((row["role"], row["account"]) for row in scores.eligible.to_pylist()),
        tuple(
            Standing(row["account"], row["role"], tuple((c, row[c]) for c in CRITERIA), row["score"], row["rank"], bool(row["prioritized"]))
            for row in scores.standings.to_pylist()
        ),
    )


def score(facts: Sequence[Fact], epoch: int, holders: Sequence[Holder], rules: Rules) -> Epoch:
    """All facts in one backfill, and the epoch at the head of that ledger."""
    with TemporaryDirectory() as folder:
        ledger = Ledger.open(Path(folder, "ledger"), create=True)
        hand_in(ledger, Delivery(tuple(facts), 2**32 - 1, backfill=True), rules, Path(folder, "files"))
        rollups = Rollups.open(ledger)
        rollups.update()
        return values(rollups, epoch, holders, rules)
