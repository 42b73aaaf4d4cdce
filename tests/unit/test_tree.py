"""The tree is OpenZeppelin's, to the bit: its root, its nodes, its proofs, for every number of standings."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from pictor.epoch.keccak import hash_pairs
from pictor.epoch.tree import MerkleTree, MultiProof, TreeError, leaf_hash, pass_words, proves

ROOT = Path(__file__).parents[2]
Row = tuple[int, int, int]  # pass id, score, rank


def rows_of(count: int, seed: int = 7) -> list[Row]:
    """Standings of creators and workers that nobody has thought up."""
    random = np.random.default_rng(seed)
    accounts = random.integers(0, 256, (count, 20), dtype=np.uint8)
    scores = random.integers(0, 1 << 40, count)
    return [((1 + i % 2) << 160 | int.from_bytes(accounts[i].tobytes(), "big"), int(scores[i]), i + 1) for i in range(count)]


def arrays_of(rows: Sequence[Row]) -> tuple[Any, Any, Any]:
    passes = np.frombuffer(b"".join(row[0].to_bytes(32, "big") for row in rows), np.uint8).reshape(-1, 32)
    return passes, np.array([row[1] for row in rows], np.uint64), np.array([row[2] for row in rows], np.uint32)


def tree_of(rows: Sequence[Row]) -> MerkleTree:
    return MerkleTree.of(*arrays_of(rows))


def slow_tree(rows: Sequence[Row]) -> list[bytes]:
    """The nodes by the definition, one after the other, by other code."""
    leaves = [keccak(keccak(encode(["uint256", "uint64", "uint32"], row))) for row in rows]
    nodes = [b""] * (len(rows) - 1) + leaves[::-1]
    for i in reversed(range(len(rows) - 1)):
        nodes[i] = keccak(b"".join(sorted(nodes[2 * i + 1 : 2 * i + 3])))
    return nodes


def nodes_of(tree: MerkleTree) -> list[bytes]:
    return [bytes(tree.nodes[i : i + 32]) for i in range(0, len(tree.nodes), 32)]


def processed(leaves: Sequence[bytes], multiproof: MultiProof) -> bytes:
    """`MerkleProof.processMultiProof` of OpenZeppelin's Solidity, line by line."""
    proof, flags = list(multiproof.proof), multiproof.flags
    assert len(leaves) + len(proof) == len(flags) + 1
    hashes: list[bytes] = []
    waiting = list(leaves)
    for flag in flags:
        a = waiting.pop(0) if waiting else hashes.pop(0)
        b = (waiting.pop(0) if waiting else hashes.pop(0)) if flag else proof.pop(0)
        hashes.append(keccak(min(a, b) + max(a, b)))
    if flags:
        assert not proof
        return hashes[-1]
    return waiting[0] if waiting else proof[0]


def openzeppelin(**question: Any) -> Any:
    """The answer of OpenZeppelin's JavaScript."""
    done = subprocess.run(
        ["node", Path(__file__).with_name("openzeppelin.js")],
        input=json.dumps(question),
        env={**os.environ, "NODE_PATH": str(ROOT / "node_modules")},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def hexes(hashes: Sequence[bytes]) -> list[str]:
    return ["0x" + one.hex() for one in hashes]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 8, 100, 1_000, 4_097])
def test_nodes_proofs_and_multiproofs_are_those_of_openzeppelins_javascript(count: int) -> None:
    rows = rows_of(count)
    choices = [[0], [count - 1], list(range(count))[:100], list(range(0, count, 3))[::-1], []]
    theirs = openzeppelin(standings=[list(map(str, row)) for row in rows], choices=choices)
    tree = tree_of(rows)
    assert hexes(nodes_of(tree)) == theirs["tree"]
    assert [hexes(tree.proof(leaf)) for choice in choices for leaf in choice] == theirs["proofs"]
    for choice, their in zip(choices, theirs["multiproofs"], strict=True):
        ours = tree.multiproof(choice)
        assert (hexes(ours.proof), list(ours.flags)) == (their["proof"], their["proofFlags"])
        assert [list(map(str, rows[leaf])) for leaf in ours.leaves] == their["leaves"]


@pytest.mark.parametrize("count", [1, 2, 9, 64])
def test_openzeppelins_javascript_loads_the_dump_and_finds_it_valid(count: int) -> None:
    rows = rows_of(count)
    tree = tree_of(rows)
    dump = json.loads("".join(tree.dump(*arrays_of(rows))))
    theirs = openzeppelin(dump=dump)
    assert theirs["tree"] == hexes(nodes_of(tree))
    assert theirs["treeIndexes"] == [2 * count - 2 - leaf for leaf in range(count)]


WORDS = st.tuples(
    st.integers(0, (1 << 256) - 1), st.one_of(st.integers(0, (1 << 64) - 1), st.just((1 << 64) - 1)), st.integers(0, (1 << 32) - 1)
)


@given(st.lists(WORDS, min_size=1, max_size=40), st.data())
def test_whatever_the_standings_say_the_tree_is_the_one_of_the_definition(rows: list[Row], data: st.DataObject) -> None:
    tree = tree_of(rows)
    nodes = slow_tree(rows)
    assert nodes_of(tree) == nodes
    assert (len(tree), tree.root) == (len(rows), nodes[0])
    for leaf, row in enumerate(rows):
        assert tree.leaf(leaf) == leaf_hash(*row)
        assert proves(tree.root, leaf_hash(*row), tree.proof(leaf))
    choice = data.draw(st.lists(st.integers(0, len(rows) - 1), unique=True))
    multiproof = tree.multiproof(choice)
    assert sorted(choice) == list(multiproof.leaves)
    assert processed([tree.leaf(leaf) for leaf in multiproof.leaves], multiproof) == tree.root


@pytest.mark.parametrize("count", [8_191, 16_385, 1_000_000])
def test_the_largest_trees_are_right_wherever_one_looks(count: int) -> None:
    random = np.random.default_rng(count)
    passes = pass_words(random.integers(1, 3, count), random.integers(0, 256, (count, 20), dtype=np.uint8))
    scores, ranks = random.integers(0, 1 << 62, count), random.integers(0, 1 << 31, count)
    tree = MerkleTree.of(passes, scores, ranks)
    edges = [1 << k for k in range(20)] + [(1 << k) - 1 for k in range(20)]
    for place in {0, count - 2, *random.integers(0, count - 1, 500).tolist(), *(edge for edge in edges if edge < count - 1)}:
        left, right = (bytes(tree.nodes[32 * i : 32 * i + 32]) for i in (2 * place + 1, 2 * place + 2))
        assert bytes(tree.nodes[32 * place :][:32]) == keccak(min(left, right) + max(left, right))
    for leaf in {0, count - 1, count // 2, *random.integers(0, count, 500).tolist()}:
        word = int.from_bytes(passes[leaf].tobytes(), "big")
        assert tree.leaf(leaf) == keccak(keccak(encode(["uint256", "uint64", "uint32"], [word, int(scores[leaf]), int(ranks[leaf])])))


@pytest.mark.parametrize("differs_at", [0, 7, 8, 15, 16, 24, 31])
def test_pairs_are_sorted_by_all_of_their_bytes(differs_at: int) -> None:
    low = bytes([0x80]) * 32
    high = low[:differs_at] + bytes([0x81]) + low[differs_at + 1 :]
    for pair in ((low, high), (high, low), (low, low)):
        nodes = np.frombuffer(bytes(32) + pair[0] + pair[1], np.uint64).reshape(3, 4).copy()
        hash_pairs(nodes, 0, 1)
        assert nodes[0].tobytes() == keccak(b"".join(sorted(pair)))


def test_arrays_of_any_kind_make_the_same_tree() -> None:
    passes, scores, ranks = arrays_of(rows_of(50))
    root = MerkleTree.of(passes, scores, ranks).root
    assert MerkleTree.of(np.asfortranarray(passes), scores.astype(np.int64), ranks.astype(np.int64)).root == root
    assert MerkleTree.of(passes.copy(), scores.astype(">u8"), np.repeat(ranks, 2)[::2]).root == root


def test_a_file_gives_the_same_proofs_without_being_read(tmp_path: Path) -> None:
    tree = tree_of(rows_of(77))
    (tmp_path / "tree.bin").write_bytes(tree.nodes)
    mapped = MerkleTree.open(tmp_path / "tree.bin")
    assert (len(mapped), mapped.root, bytes(mapped.nodes)) == (77, tree.root, bytes(tree.nodes))
    assert [mapped.proof(leaf) for leaf in range(77)] == [tree.proof(leaf) for leaf in range(77)]
    assert mapped.multiproof(range(0, 77, 5)) == tree.multiproof(range(0, 77, 5))


def test_a_proof_proves_its_own_standing_and_no_other() -> None:
    rows = rows_of(6)
    tree = tree_of(rows)
    pass_id, score, rank = rows[2]
    proof = tree.proof(2)
    assert proves(tree.root, leaf_hash(pass_id, score, rank), proof)
    assert not proves(tree.root, leaf_hash(pass_id, score + 1, rank), proof)
    assert not proves(tree.root, leaf_hash(*rows[3]), proof)
    assert not proves(tree.root, leaf_hash(pass_id, score, rank), proof[:-1])


def test_no_standings_are_no_tree() -> None:
    with pytest.raises(TreeError, match="no standings"):
        MerkleTree.of(np.empty((0, 32), np.uint8), np.empty(0, np.int64), np.empty(0, np.int64))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"passes": np.zeros((3, 31), np.uint8)}, r"passes: uint8\[3, 31\]"),
        ({"passes": np.zeros((3, 32), np.int8)}, r"passes: int8\[3, 32\]"),
        ({"scores": np.array([1, -1, 3])}, "scores: -1 is not in 0 to 18446744073709551615"),
        ({"scores": np.zeros(2, np.int64)}, r"scores: int64\[2\] is not integers\[3\]"),
        ({"scores": np.zeros(3)}, r"scores: float64\[3\]"),
        ({"ranks": np.array([1, 2, 1 << 32])}, "ranks: 4294967296 is not in 0 to 4294967295"),
    ],
)
def test_standings_out_of_range_are_refused(change: dict[str, Any], message: str) -> None:
    passes, scores, ranks = arrays_of(rows_of(3))
    with pytest.raises(TreeError, match=message):
        MerkleTree.of(**{"passes": passes, "scores": scores, "ranks": ranks, **change})


@pytest.mark.parametrize("row", [(-1, 0, 0), (1 << 256, 0, 0), (0, 1 << 64, 0), (0, 0, 1 << 32)])
def test_a_leaf_out_of_range_is_refused(row: Row) -> None:
    with pytest.raises(TreeError, match="is not in 0 to"):
        leaf_hash(*row)


@pytest.mark.parametrize("leaf", [-1, 5])
def test_a_leaf_that_is_not_there_is_refused(leaf: int) -> None:
    tree = tree_of(rows_of(5))
    for ask in (tree.leaf, tree.proof, lambda number: tree.multiproof([0, number])):
        with pytest.raises(TreeError, match=f"no leaf {leaf}: there are 5"):
            ask(leaf)
    with pytest.raises(TreeError, match="leaf 3 is named twice"):
        tree.multiproof([3, 1, 3])


@pytest.mark.parametrize("length", [0, 31, 33, 64, 128])
def test_bytes_that_are_no_tree_are_refused(tmp_path: Path, length: int) -> None:
    (tmp_path / "tree.bin").write_bytes(bytes(length))
    with pytest.raises(TreeError, match=r"tree\.bin: (is empty|\d+ bytes are no tree)"):
        MerkleTree.open(tmp_path / "tree.bin")


def test_proofs_are_cut_without_loading_the_compiler(tmp_path: Path) -> None:
    (tmp_path / "tree.bin").write_bytes(tree_of(rows_of(3)).nodes)
    code = "import sys; from pictor.epoch.tree import MerkleTree; MerkleTree.open(sys.argv[1]).proof(1); sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code, tmp_path / "tree.bin"], cwd=ROOT).returncode == 0


def test_the_kernels_do_without_a_folder_for_compiled_code() -> None:
    code = (
        "from numba.core.caching import CacheImpl\n"
        "def refuse(*_): raise OSError\n"
        "for locator in CacheImpl._locator_classes: locator.ensure_cache_path = refuse\n"
        "import pictor.epoch.keccak"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
