"""The same values from both engines, and whole numbers that stay whole on each."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pyarrow as pa
import pytest

from pictor.policy import load_policies
from pictor.scoring import EngineError, points_and_ranks, score_epoch
from pictor.scoring.engine import Engine, engine
from pictor.scoring.exact import floor_div, not_below_zero, total
from pictor.scoring.standings import TOTALS
from pictor.units import Role
from tests.unit.test_rollups import ALICE, BOB, CAROL, DAVE, EPOCH, Network, _fill, network

__all__ = ["network"]
RULES = load_policies().at(EPOCH)


@pytest.fixture(scope="module")
def sail() -> Iterator[str]:
    """The address of a Sail server."""
    from pysail.spark import SparkConnectServer

    server = SparkConnectServer("127.0.0.1", 0)
    server.start(background=True)
    host, port = server.listening_address
    yield f"sc://{host}:{port}"
    server.stop()


@pytest.fixture(params=["duckdb", "sail"])
def run(request: pytest.FixtureRequest, sail: str) -> Iterator[Engine]:
    with engine(sail if request.param == "sail" else "duckdb") as one:
        yield one


def test_division_rounds_down_far_beyond_what_floats_hold(run: Engine) -> None:
    chance = random.Random(3)
    values = [chance.randrange(-(2**62), 2**62) for _ in range(500)] + [-7, -1, 0, 1, 2**53 + 1, -(2**53) - 1, 6_000 * 2**49 - 1]
    rows = run.rows(pa.table({"value": values}))
    for divisor in (1, 3, 7, 1_800, 6_000, 24_576):
        found = run.result(rows.select("value", quotient=floor_div(rows.value, divisor))).to_pylist()
        assert all(row["quotient"] == row["value"] // divisor for row in found), divisor


def test_sums_and_bounds_stay_whole(run: Engine) -> None:
    rows = run.rows(pa.table({"key": [1, 1, 2], "value": [2**53, 1, -5]}))
    sums = rows.group_by("key").agg(value=total(rows.value))
    found = run.result(sums.select("key", above=not_below_zero(sums.value)).order_by("key"))
    assert found.to_pylist() == [{"key": 1, "above": 2**53 + 1}, {"key": 2, "above": 0}]
    assert found.schema.field("above").type == pa.int64()


def test_both_engines_score_alike(network: Network, sail: str) -> None:
    chance = random.Random(11)
    for _ in range(3):
        _fill(network, chance, 8)
        network.rollups.update()
    network.online(ALICE, (EPOCH - 30) * 86_400, 30 * 16 * 60)  # who has enough, but is then away for too long
    network.rollups.update()
    rows = [{"account": one, "role": int(role), "issued_at": 5} for one in (ALICE, BOB, CAROL, DAVE) for role in Role]
    passes = pa.Table.from_pylist(rows)
    ours = score_epoch(network.rollups, RULES, EPOCH, passes)
    theirs = score_epoch(network.rollups, RULES, EPOCH, passes, engine_name=sail)
    assert ours.standings.num_rows == 6
    assert (theirs.eligible, theirs.totals, theirs.standings) == (ours.eligible, ours.totals, ours.standings)


def test_standings_follow_from_the_totals_alone(sail: str) -> None:
    chance = random.Random(5)
    amounts = (2**53 + 1, -(2**53) - 1, 0, 999_999)
    rows = [
        {"account": f"0x{number:040x}", "role": 1 + number % 2, "issued_at": chance.randrange(3)}
        | {name: chance.choice(amounts) if name == "recharged" else chance.randrange(1, 10**6) for name in TOTALS}
        for number in range(1, 300)
    ]
    schema = pa.schema([("account", pa.string()), ("role", pa.int8()), ("issued_at", pa.int64()), *((name, pa.int64()) for name in TOTALS)])
    totals = pa.Table.from_pylist(rows, schema)
    ours = points_and_ranks(totals, RULES)
    assert ours == points_and_ranks(totals, RULES, sail)
    issued = {row["account"]: row["issued_at"] for row in rows}
    for role in Role:
        ranked = [row for row in ours.to_pylist() if row["role"] == role]
        assert [row["rank"] for row in ranked] == list(range(1, len(ranked) + 1))
        assert ranked == sorted(ranked, key=lambda row: (-row["score"], issued[row["account"]], row["account"]))
        assert sum(row["prioritized"] for row in ranked) == -(-len(ranked) // 10)


@pytest.mark.parametrize("name", ["spark", "http://127.0.0.1:1", ""])
def test_an_engine_that_is_not_there_is_named(name: str) -> None:
    with pytest.raises(EngineError, match="no engine"), engine(name):
        pass
