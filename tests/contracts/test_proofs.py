"""Roots, proofs and multiproofs made by OpenZeppelin's JavaScript library: the registry takes them, and none that is spoilt."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.contracts.model import ROLES, Posted, outcome
from tests.contracts.raw import Raw, ask, ask_all, rewound, send, tries
from tests.contracts.support import (
    PRIORITY_SHARE_BPS,
    WORKER,
    Batch,
    Standing,
    World,
    now,
    ranked,
    refusal,
    refused,
    stranger,
)

SIZES = (1, 2, 3, 7, 1_000)
SCRIPT = Path(__file__).with_name("openzeppelin_tree.js")
NODE = Path(sys.executable).with_name("node")


@dataclass(frozen=True)
class Multiproof:
    standings: list[Standing]
    proof: list[bytes]
    flags: list[bool]


@dataclass(frozen=True)
class Tree:
    """The standings of a number of members, with all that JavaScript says of them."""

    standings: list[Standing]
    root: bytes
    proofs: list[list[bytes]]
    multiproofs: list[Multiproof]  # of SETS, in their order

    def best(self, role: int) -> int:
        """The last rank that is prioritised."""
        members = sum(standing.passId >> 160 == role for standing in self.standings)
        return -(-members * PRIORITY_SHARE_BPS // 10_000)

    def is_best(self, standing: Standing) -> bool:
        return standing.rank <= self.best(standing.passId >> 160)

    def is_at_edge(self, standing: Standing) -> bool:
        return abs(standing.rank - self.best(standing.passId >> 160)) < 5


def standings_of(size: int) -> list[Standing]:
    """Two creators for each worker, with scores that are often equal."""
    scores = {role: [(stranger(number), number % 89) for number in range(size) if (number % 3 == 2) == (role == WORKER)] for role in ROLES}
    return [standing for role in ROLES for standing in ranked(role, scores[role])]


def sets_of(size: int) -> list[list[int]]:
    """Leaves for a multiproof: the first, the last, both, the best tenth, some, and of a small tree all."""
    some = random.Random(size).sample(range(size), min(size, 40))
    return [[0], [size - 1], sorted({0, size - 1}), list(range(-(-size // 10))), sorted(some)] + ([list(range(size))] if size < 10 else [])


def hashes(texts: Iterable[str]) -> list[bytes]:
    return [bytes.fromhex(text[2:]) for text in texts]


@pytest.fixture(scope="module")
def trees() -> dict[int, Tree]:
    questions = [{"leaves": [[str(part) for part in standing] for standing in standings_of(size)], "sets": sets_of(size)} for size in SIZES]
    text = "\n".join(json.dumps(question) for question in questions)
    answers = subprocess.run([NODE, SCRIPT], input=text, capture_output=True, text=True, check=True).stdout.splitlines()
    return {size: tree_from(standings_of(size), json.loads(answer)) for size, answer in zip(SIZES, answers, strict=True)}


def tree_from(standings: list[Standing], answer: dict[str, Any]) -> Tree:
    multiproofs = [
        Multiproof([Standing(*map(int, leaf)) for leaf in it["leaves"]], hashes(it["proof"]), it["flags"]) for it in answer["multiproofs"]
    ]
    return Tree(standings, hashes([answer["root"]])[0], [hashes(proof) for proof in answer["proofs"]], multiproofs)


@pytest.fixture
def tree(request: pytest.FixtureRequest, world: World, trees: dict[int, Tree]) -> Tree:
    """A tree whose members all hold their passes and whose report is active."""
    tree = trees[request.param]
    for role in ROLES:
        accounts = [f"0x{standing.passId % 2**160:040x}" for standing in tree.standings if standing.passId >> 160 == role]
        if accounts:
            issuance = world.issuance(role, *accounts)
            send(Raw(world.vip_pass)("issue", issuance, world.sign(issuance)), world.carrier)
    world.activate(tree.standings, root=tree.root)
    return tree


every_size = pytest.mark.parametrize("tree", SIZES, indirect=True)
of_seven = pytest.mark.parametrize("tree", [7], indirect=True)


def epoch_of(world: World) -> int:
    return int(world.registry.activeReport().epoch)


def verify(world: World, cases: Sequence[tuple[Standing, Sequence[bytes]]]) -> list[Any]:
    return ask_all(Raw(world.registry)("verify", epoch_of(world), *case) for case in cases)


def prioritized(world: World, cases: Sequence[tuple[Standing, Sequence[bytes]]]) -> list[Any]:
    return ask_all(Raw(world.registry)("isPrioritized((uint256,uint64,uint32),bytes32[])", *case) for case in cases)


# ------------------------------------------------------------------------------------------------------------------ taken


@pytest.mark.parametrize("size", SIZES)
def test_the_tests_own_trees_are_those_of_the_javascript(trees: dict[int, Tree], size: int) -> None:
    tree, own = trees[size], Batch.of(1, standings_of(size))
    assert own.tree.root == tree.root
    assert [own.tree.proof(leaf) for leaf in range(size)] == tree.proofs
    for leaves, theirs in zip(sets_of(size), tree.multiproofs, strict=True):
        assert own.multiproof(own.standings[leaf] for leaf in leaves) == (theirs.standings, theirs.proof, theirs.flags)


@every_size
def test_proofs_are_taken_and_prioritize_the_best_tenth_of_each_role(world: World, tree: Tree) -> None:
    cases = [
        case for number, case in enumerate(zip(tree.standings, tree.proofs, strict=True)) if number % 17 == 0 or tree.is_at_edge(case[0])
    ]
    assert verify(world, cases) == [True] * len(cases)
    assert prioritized(world, cases) == [tree.is_best(standing) for standing, _ in cases]


@every_size
def test_multiproofs_are_taken_by_sync_and_their_standings_stored(world: World, tree: Tree) -> None:
    registry, epoch = Raw(world.registry), epoch_of(world)
    for multiproof in tree.multiproofs:
        with rewound():
            send(registry("sync", epoch, multiproof.standings, multiproof.proof, multiproof.flags), world.carrier)
            for role in ROLES:
                mine = [standing for standing in multiproof.standings if standing.passId >> 160 == role]
                wallets = [f"0x{standing.passId % 2**160:040x}" for standing in mine]
                stored = ask_all(registry("standingOf", wallet, role) for wallet in wallets)
                assert stored == [(epoch, standing.score, standing.rank) for standing in mine]
                best = ask_all(registry("isPrioritized(address,uint8)", wallet, role) for wallet in wallets)
                assert best == [tree.is_best(standing) for standing in mine]


# ----------------------------------------------------------------------------------------------------------------- refused


def spoilt(standing: Standing, proof: list[bytes], other: tuple[Standing, list[bytes]]) -> list[tuple[Standing, list[bytes]]]:
    """All the ways to be just beside the truth."""
    standings = [
        standing._replace(passId=standing.passId ^ 1),
        standing._replace(passId=standing.passId ^ 3 << 160),
        standing._replace(score=standing.score + 1),
        standing._replace(rank=standing.rank + 1),
    ]
    proofs = [[*proof[:i], bytes([node[0] ^ 1]) + node[1:], *proof[i + 1 :]] for i, node in enumerate(proof)]
    proofs += [[*proof, bytes(32)], [*proof, *proof[-1:], bytes(32)], [bytes(32), *proof]]
    if len(proof) > 1:
        proofs += [proof[1:], proof[:-1], proof[::-1]]
    crossed = [(standing, other[1]), (other[0], proof)] if other[1] != proof else []
    return [(it, proof) for it in standings] + [(standing, it) for it in proofs] + crossed


@every_size
def test_no_spoilt_proof_is_taken(world: World, tree: Tree) -> None:
    best, last = (tree.standings[0], tree.proofs[0]), (tree.standings[-1], tree.proofs[-1])
    cases = spoilt(*best, last) + spoilt(*last, best)
    assert verify(world, cases) == [False] * len(cases)
    assert prioritized(world, cases) == [False] * len(cases)
    registry, epoch = Raw(world.registry), epoch_of(world)
    expected = [refusal("InvalidProof", epoch, standing.passId) for standing, _ in cases]
    assert ask_all(registry("challenge", epoch, *case, *best) for case in cases) == expected
    assert ask_all(registry("challenge", epoch, *best, *case) for case in cases) == expected


@every_size
def test_no_proof_is_none_unless_there_is_one_member(world: World, tree: Tree) -> None:
    size, epoch = len(tree.standings), epoch_of(world)
    cases: list[tuple[Standing, list[bytes]]] = [(standing, []) for standing in tree.standings[:3]]
    expected = [True] if size == 1 else [refusal("EmptyProof", epoch, size)] * len(cases)
    assert verify(world, cases) == expected
    assert prioritized(world, cases) == expected


@pytest.mark.parametrize("tree", [2, 3, 7, 1_000], indirect=True)
def test_no_multiproof_is_none_unless_it_is_of_all_members(world: World, tree: Tree) -> None:
    size, epoch = len(tree.standings), epoch_of(world)
    for standings in (tree.standings[:1], tree.standings[:-1]):
        expected = refusal("EmptyProof", epoch, size)
        assert refused(world.registry.sync, epoch, standings, [], [True] * (len(standings) - 1)) == expected


@of_seven
def test_the_edges_of_multiproofs(world: World, tree: Tree) -> None:
    registry, epoch = Raw(world.registry), epoch_of(world)
    everyone, first = tree.standings, tree.standings[:1]
    proof = tree.proofs[0]

    def sync(standings: Sequence[Standing], proof: Sequence[bytes], flags: Sequence[bool]) -> Any:
        return ask(registry("sync", epoch, standings, proof, flags))

    assert sync(everyone, [], [True] * 6) is None
    assert sync(everyone[::-1], [], [True] * 6) == refusal("InvalidProof", epoch, 0)
    for flags in ([True] * 5, [True] * 7, []):
        assert sync(everyone, [], flags) == refusal("MerkleProofInvalidMultiproof")
    assert sync(first, proof, [False] * 3) is None
    assert sync(first, proof, [False] * 2) == refusal("MerkleProofInvalidMultiproof")
    assert sync(first, proof[:-1], [False] * 3) == refusal("MerkleProofInvalidMultiproof")
    assert sync(first, proof[:-1], [False] * 2) == refusal("InvalidProof", epoch, 0)
    assert sync(first, [tree.root], []) == refusal("MerkleProofInvalidMultiproof")
    assert sync(first * 2, proof, [False, True, False, False]) == refusal("InvalidProof", epoch, 0)
    assert sync([], [tree.root], []) == refusal("NoStandings")
    stray = first[0]._replace(passId=first[0].passId | 1 << 200)
    assert sync([stray], proof, [False] * 3) == refusal("InvalidPass", stray.passId)


PLACES = st.integers(0, 6)
CHANGES = st.lists(
    st.tuples(st.sampled_from(("drop", "double", "swap", "flip")), st.sampled_from(("standings", "proof", "flags")), PLACES), max_size=3
)


@of_seven
@tries(60)
@given(numbers=st.sets(PLACES, min_size=1), changes=CHANGES)
def test_any_multiproof_is_judged_as_openzeppelin_specifies(world: World, tree: Tree, numbers: set[int], changes: Any) -> None:
    """Honest ones are taken; of others the model knows what they lead to."""
    batch = Batch.of(epoch_of(world), tree.standings)
    parts: dict[str, list[Any]] = dict(
        zip(("standings", "proof", "flags"), batch.multiproof(tree.standings[n] for n in numbers), strict=True)
    )
    for how, what, place in changes:
        part = parts[what]
        if part:
            place %= len(part)
            if how == "drop":
                part.pop(place)
            elif how == "double":
                part.insert(place, part[place])
            elif how == "swap":
                part[place], part[place - 1] = part[place - 1], part[place]
            elif what == "flags":
                part[place] = not part[place]
            elif what == "proof":
                part[place] = bytes(32)
            else:
                part[place] = part[place]._replace(score=part[place].score + 1)
    if parts["standings"]:
        expected = outcome(Posted(batch.report, now()).proves_all, *parts.values())
        expected = {True: None, False: refusal("InvalidProof", batch.epoch, 0)}.get(expected, expected)
        assert changes or expected is None
        answer = ask(Raw(world.registry)("sync", batch.epoch, *parts.values()))
        # Of flags that want more than there is, OpenZeppelin's code sometimes says it by an index out of bounds.
        assert (refusal("MerkleProofInvalidMultiproof") if answer == refusal("Panic", 0x32) else answer) == expected
