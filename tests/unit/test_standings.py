"""From rows to leaves and back: the tree holds the standings in the order of ranks, creators first, and nothing that cannot be."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pictor.epoch.standings import (
    ISSUED,
    STANDINGS,
    StandingsError,
    arranged,
    check_keys,
    check_standings,
    leaf_number,
    leaves_of,
    standing_of,
)
from pictor.units import Role
from tests.unit.epochs import tables

SHARE = 1_000


def standings_of(creators: int = 12, workers: int = 25) -> pa.Table:
    return arranged(tables(creators, workers)["standings"], STANDINGS)


def with_row(table: pa.Table, number: int, **values: Any) -> pa.Table:
    rows = table.to_pylist()
    rows[number].update(values)
    return pa.Table.from_pylist(rows, table.schema)


@given(st.integers(0, 30), st.integers(0, 30), st.randoms(use_true_random=False))
def test_leaves_stand_by_role_and_rank_however_the_rows_stood(creators: int, workers: int, random: Any) -> None:
    table = tables(creators, workers)["standings"]
    rows = table.to_pylist()
    order = list(range(len(rows)))
    random.shuffle(order)
    leaves = leaves_of(table.take(pa.array(order, pa.int64())))
    assert (len(leaves), leaves.creators) == (creators + workers, creators)
    assert [leaves.standing(number) for number in range(len(leaves))] == [standing_of(row) for row in rows]
    assert [leaf_number(Role(row["role"]), row["rank"], creators) for row in rows] == list(range(len(rows)))


def test_the_hash_of_a_standing_is_its_leaf_in_the_tree() -> None:
    leaves = leaves_of(standings_of())
    tree = leaves.tree()
    assert [leaves.standing(number).leaf() for number in range(len(leaves))] == [tree.leaf(number) for number in range(len(leaves))]


def test_rows_are_arranged_in_the_order_of_pass_ids() -> None:
    rows = standings_of().to_pylist()
    ids = [standing_of(row).pass_id for row in rows]
    assert ids == sorted(ids)
    check_keys(standings_of())


def test_a_table_in_pieces_is_the_same_table() -> None:
    table = standings_of()
    pieces = pa.concat_tables([table.slice(0, 5), table.slice(5, 0), table.slice(5)])
    assert np.array_equal(leaves_of(pieces).passes, leaves_of(table).passes)
    check_keys(pieces)
    check_standings(pieces, SHARE)


def test_a_table_without_rows_has_no_leaves_and_nothing_wrong() -> None:
    assert len(leaves_of(STANDINGS.empty_table())) == 0
    check_keys(ISSUED.empty_table())
    check_standings(STANDINGS.empty_table(), SHARE)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"role": 3}, "has no role"),
        ({"role": 0}, "has no role"),
        ({"account": "0x" + "0" * 40}, "has no account"),
        ({"account": "0x" + "ab" * 19}, "has no account"),
        ({"account": "0x" + "AB" * 20}, "has no account"),
        ({"account": "1x" + "ab" * 20}, "has no account"),
        ({"account": "0x" + "ä" * 20}, "has no account"),
        ({"score": -1}, "has a score below 0"),
        ({"rank": 0}, "has a rank that is not in 1 to the number of its role's members"),
        ({"rank": 13}, "has a rank that is not in 1 to the number of its role's members"),
        ({"rank": -(1 << 31)}, "has a rank that is not in"),
    ],
)
def test_a_row_that_no_epoch_can_have_is_named(values: dict[str, Any], message: str) -> None:
    table = with_row(standings_of(), 3, **values)
    with pytest.raises(StandingsError, match=message) as error:
        leaves_of(table)
    assert str(table.to_pylist()[3]) in str(error.value)


def test_two_of_one_rank_are_refused() -> None:
    table = standings_of()
    rank = table.to_pylist()[5]["rank"]
    with pytest.raises(StandingsError, match="shares its rank with another"):
        leaves_of(with_row(table, 3, rank=rank))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda rows: rows[4].update(account=rows[3]["account"]), "does not come after the row before it"),
        (lambda rows: rows.insert(3, rows.pop(4)), "does not come after the row before it"),
        (lambda rows: rows.insert(0, rows.pop()), "does not come after the row before it"),
        (lambda rows: rows[0].update(role=0), "has no role"),
        (lambda rows: rows[2].update(account="0x12"), "has no account"),
    ],
)
def test_keys_rise_strictly(spoil: Callable[[list[Any]], None], message: str) -> None:
    rows = standings_of().to_pylist()
    spoil(rows)
    with pytest.raises(StandingsError, match=message):
        check_keys(pa.Table.from_pylist(rows, STANDINGS))


def test_one_account_can_have_both_roles() -> None:
    check_keys(pa.Table.from_pylist([{"account": "0x" + "ab" * 20, "role": role} for role in (1, 2)], ISSUED))


def first_of(rows: list[Any], rank: int) -> Any:
    return next(row for row in rows if row["role"] == 2 and row["rank"] == rank)


def swap_ranks(rows: list[Any]) -> None:
    best, last = first_of(rows, 1), first_of(rows, 25)
    for name in ("rank", "prioritized"):
        best[name], last[name] = last[name], best[name]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda rows: rows[0].update(score=rows[0]["score"] + 1), "has a score that is not the sum of its points"),
        (lambda rows: rows[0].update(spending=rows[0]["spending"] + 1_000_000), "has a score that is not the sum of its points"),
        (swap_ranks, "the next rank has a higher score"),
        (lambda rows: first_of(rows, 1).update(prioritized=False), "is prioritised, or not, against its rank"),
        (lambda rows: first_of(rows, 4).update(prioritized=True), "is prioritised, or not, against its rank"),
    ],
)
def test_points_scores_ranks_and_priority_agree(spoil: Callable[[list[Any]], None], message: str) -> None:
    rows = standings_of().to_pylist()
    check_standings(pa.Table.from_pylist(rows, STANDINGS), SHARE)
    spoil(rows)
    with pytest.raises(StandingsError, match=message):
        check_standings(pa.Table.from_pylist(rows, STANDINGS), SHARE)


def test_points_below_zero_make_a_score_of_zero() -> None:
    row = {"account": "0x" + "ab" * 20, "role": 2, "job_completion": -500, "pass": 100, "score": 0, "rank": 1, "prioritized": True}
    zeros = dict.fromkeys(set(STANDINGS.names) - set(row), 0)
    check_standings(pa.Table.from_pylist([{**zeros, **row}], STANDINGS), SHARE)


@pytest.mark.parametrize("missing", ["account", "rank", "pass"])
def test_a_table_that_lacks_a_column_is_refused(missing: str) -> None:
    with pytest.raises(StandingsError, match=missing):
        arranged(standings_of().drop_columns([missing]), STANDINGS)


def test_a_table_with_gaps_or_too_large_numbers_is_refused() -> None:
    rows = standings_of().to_pylist()
    for value in (None, 1 << 40):
        table = pa.Table.from_pylist([{**row, "rank": value} for row in rows])
        with pytest.raises(StandingsError, match="not a table of"):
            arranged(table, STANDINGS)
