"""Challenges: what cannot be true voids its report by anyone's hand, and nothing else does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from eth_utils.address import to_checksum_address
from hypothesis import given
from hypothesis import strategies as st

from tests.contracts.model import ROLES, Pass, PassModel, Posted, Powers, RegistryModel, outcome
from tests.contracts.raw import Raw, ask, ask_all, rewound, tries
from tests.contracts.support import (
    ACTIVATION_DELAY,
    CREATOR,
    EPOCH_LENGTH,
    HELD,
    PRIORITY_SHARE_BPS,
    WORKER,
    ZERO,
    Batch,
    Standing,
    World,
    events,
    now,
    pass_id,
    ranked,
    refusal,
    refused,
    stranger,
    travel,
)

TOP = 2**32 - 1


@pytest.fixture
def honest(world: World) -> list[Standing]:
    """What the reports should say: three creators, and two workers with one score."""
    world.issue(CREATOR, world.alice, world.bob, world.carol)
    world.issue(WORKER, world.alice, world.dave)
    return ranked(CREATOR, {world.alice: 30, world.bob: 20, world.carol: 10}) + ranked(WORKER, {world.alice: 5, world.dave: 5})


def challenge_of(batch: Batch, a: Standing, b: Standing) -> tuple[Any, ...]:
    return batch.epoch, a, batch.proof(a), b, batch.proof(b)


# ------------------------------------------------------------------------------------------------------------------ lies


@dataclass(frozen=True)
class Lie:
    """An honest report but for one leaf, or one claim. The numbers are of leaves: creators 0 to 2, workers 3 and 4."""

    reason: str
    leaf: int = 0
    fields: dict[str, Any] = field(default_factory=dict)  # of that leaf; a function makes a pass id from the honest ones
    added: bool = False  # beside the leaf, not in its place
    claims: dict[str, int] = field(default_factory=dict)
    against: int | None = None  # the leaf that contradicts it; none if it is false by itself

    def told(self, honest: Sequence[Standing]) -> tuple[list[Standing], Standing, Standing]:
        """All standings, and the two to challenge with."""
        fields = {
            name: value([standing.passId for standing in honest]) if callable(value) else value for name, value in self.fields.items()
        }
        false = honest[self.leaf]._replace(**fields)
        standings = [*honest, false] if self.added else [*honest[: self.leaf], false, *honest[self.leaf + 1 :]]
        return standings, false, false if self.against is None else standings[self.against]


def flipped(bit: int) -> Callable[[Sequence[int]], int]:
    """The id of the first pass with one bit changed."""
    return lambda ids: ids[0] ^ 1 << bit


LIES = {
    "one pass, another score": Lie("one pass, two standings", 0, {"score": 29}, added=True, against=0),
    "one pass, another rank": Lie("one pass, two standings", 0, {"rank": 3}, added=True, against=0),
    "one pass, another score and rank": Lie("one pass, two standings", 1, {"score": 5, "rank": 3}, added=True, against=1),
    "one rank, two passes": Lie("one rank, two passes", 1, {"rank": 1}, against=0),
    "one rank and one score, two passes": Lie("one rank, two passes", 1, {"rank": 1, "score": 30}, against=0),
    "one rank, two workers": Lie("one rank, two passes", 4, {"rank": 1}, against=3),
    "the next rank, a higher score": Lie("better rank, lower score", 1, {"score": 31}, against=0),
    "a far rank, the highest score": Lie("better rank, lower score", 2, {"score": 2**64 - 1}, against=0),
    "the best rank, no score": Lie("better rank, lower score", 3, {"score": 0}, against=4),
    "an alias by a bit above the role": Lie("no such pass", 0, {"passId": flipped(168)}),
    "an alias by the highest bit": Lie("no such pass", 0, {"passId": flipped(255)}),
    "an alias beside the true one": Lie("no such pass", 0, {"passId": flipped(200), "rank": 2}, added=True),
    "no role": Lie("no such pass", 0, {"passId": flipped(160)}),
    "role 3": Lie("no such pass", 0, {"passId": flipped(161)}),
    "the zero address": Lie("no such pass", 0, {"passId": CREATOR << 160}),
    "rank 0": Lie("rank 0", 0, {"rank": 0}),
    "a rank beyond the members": Lie("rank above the number of members", 2, {"rank": 4}),
    "a rank beyond the role's members": Lie("rank above the number of members", 4, {"rank": 3}),
    "the greatest rank": Lie("rank above the number of members", 2, {"rank": TOP}),
    "a role without members": Lie("rank above the number of members", 4, claims={"workers": 0}),
    "a creator more than ever": Lie("more members than passes ever issued", claims={"creators": 4}),
    "a worker more than ever": Lie("more members than passes ever issued", 3, claims={"workers": 3}),
    "all the creators there can be": Lie("more members than passes ever issued", claims={"creators": TOP}),
    "a wallet without a pass": Lie("pass never issued", 0, {"passId": pass_id(stranger(1), CREATOR)}),
    "a wallet with a pass of the other role": Lie("pass never issued", 3, {"passId": lambda ids: ids[1] ^ 3 << 160}),
}


@pytest.mark.parametrize("name", LIES)
def test_a_report_that_cannot_be_true_is_void_at_once_by_anyones_hand(world: World, honest: list[Standing], name: str) -> None:
    believed = world.activate(honest)
    standings, a, b = LIES[name].told(honest)
    lying = world.post(standings, **LIES[name].claims)
    for pair in ((a, b), (b, a)):
        assert ask(Raw(world.registry)("challenge", *challenge_of(lying, *pair)), ZERO) is None
    receipt = world.registry.challenge(*challenge_of(lying, a, b), sender=world.erin)
    assert events(receipt) == [("Voided", lying.epoch, world.erin, LIES[name].reason)]
    assert world.registry.isVoid(lying.epoch)
    assert world.registry.reportOf(lying.epoch).isVoid
    assert world.registry.pendingReport().epoch == 0
    assert world.registry.activeReport().epoch == believed.epoch
    assert refused(world.registry.challenge, *challenge_of(lying, a, b)) == refusal("AlreadyVoid", lying.epoch)


@pytest.mark.parametrize("age", ["pending", "active", "superseded"])
def test_a_report_can_be_challenged_for_as_long_as_it_is_remembered(world: World, honest: list[Standing], age: str) -> None:
    first = world.activate(honest)
    standings, a, b = LIES["one rank, two passes"].told(honest)
    lying = world.post(standings)
    if age != "pending":
        travel(ACTIVATION_DELAY)
    last = world.activate(honest) if age == "superseded" else first
    world.registry.challenge(*challenge_of(lying, a, b), sender=world.erin)
    assert world.registry.isVoid(lying.epoch)
    assert world.registry.activeReport().epoch == last.epoch


def test_a_challenge_needs_no_unpaused_registry(world: World, honest: list[Standing]) -> None:
    standings, a, b = LIES["rank 0"].told(honest)
    lying = world.post(standings)
    world.pause(world.registry)
    world.registry.challenge(*challenge_of(lying, a, b), sender=world.erin)
    assert world.registry.isVoid(lying.epoch)


def test_a_report_of_one_is_challenged_without_a_proof(world: World, honest: list[Standing]) -> None:
    lying = world.post([honest[0]._replace(rank=2)])
    world.registry.challenge(lying.epoch, lying.standings[0], [], lying.standings[0], [], sender=world.erin)
    assert world.registry.isVoid(lying.epoch)


# --------------------------------------------------------------------------------------------- what it cannot be used for


def test_what_can_be_true_together_is_no_contradiction(world: World, honest: list[Standing]) -> None:
    standings = [
        *honest[:2],
        honest[2]._replace(rank=0, score=30),
        honest[3]._replace(passId=honest[3].passId ^ 1 << 200),
        honest[4],
        honest[4],
    ]
    batch = world.post(standings)
    for why, a, b in (
        ("an honest pair", 0, 1),
        ("one rank in two roles", 0, 4),
        ("false by itself, but not against another", 2, 0),
        ("an alias, but not against the true one", 3, 4),
        ("the same to the letter, twice in the tree", 4, 5),
    ):
        pair = standings[a], standings[b]
        assert refused(world.registry.challenge, *challenge_of(batch, *pair)) == refusal("NoContradiction", batch.epoch), why


def test_a_challenge_speaks_of_the_report_only(world: World, honest: list[Standing]) -> None:
    other = world.activate([*honest[:2], honest[2]._replace(rank=0)])
    batch = world.post(honest)
    true, false = batch.standings[0], other.standings[2]
    proven = (true, batch.proof(true))
    for foreign in (
        (false, other.proof(false)),  # of another report
        (false, batch.proof(batch.standings[2])),  # with the proof of what stands in its place
        (true, batch.proof(batch.standings[1])),
        (true, batch.proof(true)[:-1]),
        (true, [*batch.proof(true), batch.tree.root]),
        (true._replace(score=29), batch.proof(true)),
    ):
        expected = refusal("InvalidProof", batch.epoch, foreign[0].passId)
        assert refused(world.registry.challenge, batch.epoch, *foreign, *proven) == expected
        assert refused(world.registry.challenge, batch.epoch, *proven, *foreign) == expected
    expected = refusal("EmptyProof", batch.epoch, len(honest))
    assert refused(world.registry.challenge, batch.epoch, true, [], *proven) == expected
    assert refused(world.registry.challenge, batch.epoch, *proven, true, []) == expected


def test_a_challenge_needs_a_report(world: World, honest: list[Standing]) -> None:
    batch = world.post(honest)
    for epoch in (0, batch.epoch - 1, batch.epoch + 1, batch.epoch + 2**32, 2**64 - 1):
        challenge = (epoch, *challenge_of(batch, honest[0], honest[0])[1:])
        assert refused(world.registry.challenge, *challenge) == refusal("UnknownEpoch", epoch)


# ------------------------------------------------------------------------------------------------------------- properties

SCORES = st.one_of(st.integers(0, 3), st.integers(0, 2**64 - 1))
ADDRESSES = st.integers(1, 2**160 - 1).map(lambda number: str(to_checksum_address(f"0x{number:040x}")))
SINCE = st.sampled_from(("", "", "revoked", "reinstated"))  # what became of a holder after the epoch


def all_pairs(standings: Sequence[Standing]) -> list[tuple[Standing, Standing]]:
    return [(a, b) for a in standings for b in standings]


def challenges(world: World, batch: Batch) -> list[Any]:
    """What a challenge by each pair of leaves, each leaf with itself among them, would lead to: None is success."""
    registry = Raw(world.registry)
    return ask_all(registry("challenge", *challenge_of(batch, *pair)) for pair in all_pairs(batch.standings))


@st.composite
def honest_scores(draw: st.DrawFn) -> tuple[list[list[tuple[str, int]]], list[str], bool]:
    """Of each role, who held a pass and with which score; what became of them; whether the members have burned theirs."""
    counts = draw(st.sampled_from(((1, 0), (0, 1), (1, 1), (2, 3), (5, 0), (8, 8))))
    scored = [draw(st.lists(st.tuples(ADDRESSES, SCORES), min_size=n, max_size=n, unique_by=lambda it: it[0])) for n in counts]
    return scored, draw(st.lists(SINCE, min_size=sum(counts), max_size=sum(counts))), draw(st.booleans())


@tries(20)
@given(shape=honest_scores())
def test_an_honest_report_of_any_shape_is_never_voided(world: World, shape: tuple[list[list[tuple[str, int]]], list[str], bool]) -> None:
    scored, since, burned = shape
    with rewound():
        standings = []
        for role, scores in zip(ROLES, scored, strict=True):
            if scores:
                scores = [*scores, (world.alice.address, 2), (world.bob.address, 2)] if burned else scores
                world.issue(role, *(account for account, _ in scores))
                # Equals stand in any order here, as by the time of issue.
                by_score = sorted(scores, key=lambda it: -it[1])
                standings += [Standing(pass_id(account, role), score, rank) for rank, (account, score) in enumerate(by_score, 1)]
                if burned:
                    world.burn(world.alice, role)
        for standing, fate in zip(standings, since, strict=False):
            if fate:
                world.vip_pass.revoke(standing.passId, fate, sender=world.guardian)
            if fate == "reinstated":
                world.vip_pass.reinstate(standing.passId, sender=world.guardian)
        batch = world.post(standings)
        assert set(challenges(world, batch)) == {refusal("NoContradiction", batch.epoch)}


HELD_BY = {CREATOR: ("alice", "bob"), WORKER: ("bob",)}  # in the property below
IDS = st.sampled_from(("alice", "bob", "carol")).flatmap(
    lambda name: st.tuples(st.just(name), st.sampled_from((1, 1, 1, 2, 2, 0, 3, 1 | 1 << 40, 2 | 1 << 95)))
)
CLAIMS = st.dictionaries(st.sampled_from(("creators", "workers")), st.integers(1, 4), max_size=1)
LEAVES = st.lists(st.tuples(IDS, st.integers(0, 3), st.integers(0, 4)), min_size=1, max_size=7)


@tries(40)
@given(leaves=LEAVES, claims=CLAIMS)
def test_any_report_is_voided_by_exactly_the_pairs_that_cannot_be_true(world: World, leaves: Any, claims: dict[str, int]) -> None:
    with rewound():
        passes = PassModel(Powers(ZERO, ZERO))
        for role, names in HELD_BY.items():
            world.issue(role, *(getattr(world, name) for name in names))
            passes.passes |= {pass_id(getattr(world, name), role): Pass(HELD) for name in names}
        registry = RegistryModel(
            passes.powers,
            passes=passes,
            epoch_length=EPOCH_LENGTH,
            activation_delay=ACTIVATION_DELAY,
            priority_share_bps=PRIORITY_SHARE_BPS,
        )
        standings = [Standing(pass_id(getattr(world, name), above), score, rank) for (name, above), score, rank in leaves]
        if not any(standing.passId >> 160 in ROLES for standing in standings):
            claims = {"creators": 1} | claims  # a report without members is not taken
        batch = world.post(standings, **claims)
        posted = Posted(batch.report, now())
        expected = [outcome(registry.verdict, posted, *challenge_of(batch, *pair)[1:]) for pair in all_pairs(standings)]
        assert challenges(world, batch) == [None if isinstance(verdict, str) else verdict for verdict in expected]
