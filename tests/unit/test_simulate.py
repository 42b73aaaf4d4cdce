"""A simulated network is whole, the same for a seed in every format, and made of rows that the schema takes."""

from __future__ import annotations

import csv
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet
import pytest

from pictor.activity.schemas import TABLES
from pictor.activity.simulate import DAY, Network, Simulated, SimulationError, simulate

END = date(2026, 6, 1)
SMALL: dict[str, Any] = {"members": 100, "end": END, "days": 5, "daily": 2}


def build(out: Path, **changes: Any) -> Simulated:
    return simulate(Network(**{**SMALL, **changes}), out)


def rows(folder: Path, table: str, form: str = "parquet") -> pa.Table:
    """All rows of a table but those typed by hand, in one order."""
    paths = [str(p) for p in sorted(folder.rglob(f"{table}-*.{form}")) if "office" not in p.name]
    reader = {"parquet": "read_parquet", "csv": "read_csv", "ndjson": "read_json"}[form]
    columns = ", ".join(f'"{f.name}"::{"BIGINT" if f.type == pa.int64() else "VARCHAR"} AS "{f.name}"' for f in TABLES[table].schema)
    with duckdb.connect() as db:
        found: pa.Table = db.sql(f"SELECT {columns} FROM {reader}({paths}) ORDER BY ALL").to_arrow_table()
    return found


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("network") / "out"
    build(out)
    return out


def test_the_same_seed_gives_the_same_files(network: Path, tmp_path: Path) -> None:
    build(tmp_path / "again")
    files = sorted(p.relative_to(network) for p in network.rglob("*") if p.is_file())
    assert files == sorted(p.relative_to(tmp_path / "again") for p in (tmp_path / "again").rglob("*") if p.is_file())
    assert all((network / f).read_bytes() == (tmp_path / "again" / f).read_bytes() for f in files)


def test_another_seed_gives_another_network(network: Path, tmp_path: Path) -> None:
    build(tmp_path / "other", seed=2)
    ours, others = rows(network, "frames"), rows(tmp_path / "other", "frames")
    assert not set(ours["ref"].to_pylist()) & set(others["ref"].to_pylist())
    assert not set(ours["worker"].to_pylist()) & set(others["worker"].to_pylist())


@pytest.mark.parametrize("form", ["csv", "ndjson"])
def test_every_format_holds_the_same_rows(network: Path, tmp_path: Path, form: str) -> None:
    build(tmp_path / form, format=form)
    for table in TABLES:
        assert rows(network, table).equals(rows(tmp_path / form, table, form)), table


@pytest.mark.parametrize("table", TABLES)
def test_every_table_has_rows_of_its_columns(network: Path, table: str) -> None:
    for path in network.rglob(f"{table}-*.parquet"):
        schema = pa.parquet.read_schema(path)
        assert schema.names == TABLES[table].schema.names, path
        assert schema.types == TABLES[table].schema.types, path
    assert rows(network, table).num_rows


def test_a_ref_comes_back_only_where_a_feed_repeats_itself(network: Path) -> None:
    for table in ("recharges", "spends", "frames", "gpus", "links"):
        refs = [
            r for p in network.rglob(f"{table}-*.parquet") if "again" not in p.name for r in pa.parquet.read_table(p)["ref"].to_pylist()
        ]
        assert len(refs) == len(set(refs)), table


def test_rows_lie_in_the_folder_of_the_day_on_which_they_are_handed_in(network: Path) -> None:
    end = Network(**SMALL).stop
    for folder, first, stop in (("2026-05-30", end - 2 * DAY, end - DAY), ("2026-05-31", end - DAY, end)):
        for path in (network / folder).glob("*-2026-*.parquet"):
            at = pa.parquet.read_table(path)["at"].to_pylist()
            assert first <= min(at), path
            assert max(at) < stop, path
    assert max(rows(network / "history", "frames")["at"].to_pylist()) < end - 2 * DAY


def test_on_chain_recharges_lie_apart_and_nothing_is_lost(network: Path, tmp_path: Path) -> None:
    simulated = build(tmp_path / "apart", on_chain=60)
    with (tmp_path / "apart" / "transfers.csv").open() as file:
        transfers = [(r["account"], int(r["amount"]), int(r["at"])) for r in csv.DictReader(file)]
    assert len(transfers) == simulated.transfers > 0
    assert all(amount > 0 for _, amount, _ in transfers)

    def facts(folder: Path) -> list[tuple[str, int, int]]:
        table = rows(folder, "recharges")
        return list(zip(*(table[c].to_pylist() for c in ("account", "amount", "at")), strict=True))

    assert sorted(facts(network)) == sorted(facts(tmp_path / "apart") + transfers)
    assert not (network / "transfers.csv").exists()


def test_holders_are_members_with_a_role_and_a_time(tmp_path: Path) -> None:
    build(tmp_path / "out", days=32)
    with (tmp_path / "out" / "holders.csv").open() as file:
        holders = list(csv.DictReader(file))
    assert {h["role"] for h in holders} == {"creator", "worker"}
    assert len({(h["account"], h["role"]) for h in holders}) == len(holders)
    assert all(Network(**{**SMALL, "days": 32}).start < int(h["issued_at"]) < Network(**SMALL).stop for h in holders)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"members": 99}, "members must be from 100 to 1,000,000, not 99"),
        ({"days": 0}, "days must be from 1 to 400, not 0"),
        ({"daily": 6}, "daily must be from 0 to 5, not 6"),
        ({"on_chain": 101}, "on_chain must be from 0 to 100, not 101"),
        ({"seed": -1}, "seed must be from 0 to"),
    ],
)
def test_what_cannot_be_simulated_is_refused(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(SimulationError, match=words):
        build(tmp_path / "out", **changes)


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    with pytest.raises(SimulationError, match="not an empty folder"):
        build(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["mine"]


def test_a_failure_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pa.parquet, "write_table", full)
    with pytest.raises(OSError, match="No space left"):
        build(tmp_path / "out")
    assert not list(tmp_path.iterdir())
