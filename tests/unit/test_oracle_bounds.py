"""Sanity bounds: each holds a report back from just beyond its value on, small roles are let be, releases let a bound pass."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pictor.epoch.standings import Leaves
from pictor.oracle.bounds import Breach, Sizes, breaches, sizes, unreleased
from pictor.oracle.proposal import Release
from pictor.policy import load_policies
from pictor.units import Role

RULES = replace(
    load_policies().at(0).oracle,
    max_members_jump=2_000,
    max_score_jump=5_000,
    max_account_share=2_500,
    max_source_silence=100,
    min_members_for_bounds=10,
)
USUAL = Sizes(members=100, total=1_000, greatest=10)


def found(role: Role = Role.WORKER, now: Sizes = USUAL, before: Sizes | None = USUAL, **silence: int) -> list[str]:
    """The names of the bounds that are broken."""
    others = dict.fromkeys(Role, USUAL)
    was = None if before is None else {**others, role: before}
    return [breach.bound for breach in breaches(RULES, {**others, role: now}, was, silence)]


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize(
    ("now", "bound"),
    [
        ({"members": 120}, None),
        ({"members": 121}, "max_members_jump"),
        ({"members": 80}, None),
        ({"members": 79}, "max_members_jump"),
        ({"total": 1_500}, None),
        ({"total": 1_501}, "max_score_jump"),
        ({"total": 500}, None),
        ({"total": 499}, "max_score_jump"),
        ({"greatest": 250}, None),
        ({"greatest": 251}, "max_account_share"),
    ],
)
def test_a_bound_holds_what_is_beyond_it(role: Role, now: dict[str, Any], bound: str | None) -> None:
    assert found(role, replace(USUAL, **now)) == ([f"{bound}.{role.name.lower()}"] if bound else [])


def test_all_members_of_a_role_lost_is_a_jump() -> None:
    assert found(now=Sizes(0, 0, 0)) == ["max_members_jump.worker", "max_score_jump.worker"]


def test_the_first_report_and_small_roles_cannot_jump() -> None:
    assert found(now=replace(USUAL, members=10_000), before=None) == []
    assert found(now=replace(USUAL, members=10_000), before=Sizes(9, 1, 1)) == []
    assert found(now=Sizes(9, 100, 100), before=Sizes(9, 1, 1)) == []


def test_a_source_must_not_be_silent_for_too_long() -> None:
    assert found(cards=100, paypal=101, early=-5) == ["max_source_silence.paypal"]


def test_a_release_needs_a_reason_and_lets_one_bound_pass() -> None:
    broken = [Breach("a", "x"), Breach("b", "y"), Breach("c", "z")]
    assert unreleased(broken, [Release("a", "why not"), Release("b", " ")]) == broken[1:]


def test_totals_do_not_overflow() -> None:
    scores = np.array([2**63 - 1] * 3 + [5], np.int64)
    leaves = Leaves(np.zeros((4, 32), np.uint8), scores, np.array([1, 2, 3, 1], np.int32), 3)
    assert sizes(leaves) == {Role.CREATOR: Sizes(3, 3 * (2**63 - 1), 2**63 - 1), Role.WORKER: Sizes(1, 5, 5)}
