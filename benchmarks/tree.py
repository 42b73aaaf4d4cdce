"""The Merkle tree of a million standings, warm and in a fresh process, and its proofs, beside OpenZeppelin and a plain loop."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import sha3  # type: ignore[import-untyped]  # the C extension pysha3
from numpy.typing import NDArray

from benchmarks.measure import Figure, medians
from pictor.epoch.tree import MerkleTree, pass_words

ROOT = Path(__file__).parents[1]
PROOFS = 2_000
FRESH = """
import sys
import numpy as np
from pictor.epoch.tree import MerkleTree
print(MerkleTree.of(*(np.load(path) for path in sys.argv[1:])).root.hex())
"""


@dataclass(frozen=True)
class Standings:
    """Made-up standings, the first tenth creators."""

    passes: NDArray[np.uint8]
    scores: NDArray[np.int64]
    ranks: NDArray[np.int32]

    @classmethod
    def random(cls, count: int) -> Standings:
        random = np.random.default_rng(1)
        roles = np.where(np.arange(count) < count // 10, 1, 2)
        accounts = random.integers(0, 256, (count, 20), dtype=np.uint8)
        scores = np.sort(random.integers(0, 1 << 40, count))[::-1].copy()
        return cls(pass_words(roles, accounts), scores, np.arange(1, count + 1, dtype=np.int32))

    def first(self, count: int) -> Standings:
        return Standings(self.passes[:count], self.scores[:count], self.ranks[:count])

    def tree(self) -> MerkleTree:
        return MerkleTree.of(self.passes, self.scores, self.ranks)

    def loop_root(self) -> bytes:
        """The same by a loop over a C extension, as well as Python does it: words laid out by numpy, nothing but hashing in the loop."""
        count = len(self.passes)
        words = np.zeros((count, 96), np.uint8)
        words[:, :32] = self.passes
        words[:, 56:64] = self.scores.astype(">u8").view(np.uint8).reshape(-1, 8)
        words[:, 92:96] = self.ranks.astype(">u4").view(np.uint8).reshape(-1, 4)
        message = words.tobytes()
        keccak = sha3.keccak_256
        nodes = [b""] * (2 * count - 1)
        for leaf in range(count):
            nodes[2 * count - 2 - leaf] = keccak(keccak(message[96 * leaf : 96 * leaf + 96]).digest()).digest()
        for i in range(count - 2, -1, -1):
            left, right = nodes[2 * i + 1], nodes[2 * i + 2]
            nodes[i] = keccak(left + right if left < right else right + left).digest()
        return nodes[0]

    def question(self) -> str:
        """What `tree.js` reads."""
        rows = zip(self.passes, self.scores.tolist(), self.ranks.tolist(), strict=True)
        return json.dumps(
            {"standings": [[f"0x{word.tobytes().hex()}", str(score), str(rank)] for word, score, rank in rows], "proofs": 500}
        )


def figures(quick: bool) -> Iterator[Figure]:
    """The rows of the tree; `quick` takes a tenth of the standings."""
    many = Standings.random(100_000 if quick else 1_000_000)
    fewer = many.first(len(many.passes) // 10)
    repeats = 3 if quick else 5

    seconds = medians({"ours": many.tree, "loop": many.loop_root}, repeats)
    assert many.tree().root == many.loop_root()
    what = f"tree of {len(many.passes):,} standings, arrays to root"
    yield Figure(f"{what}, warm", seconds["ours"], "s", at_most=0.3)
    yield Figure(f"{what}, a loop over the C extension pysha3", seconds["loop"], "s")
    yield Figure("  times as long as ours", seconds["loop"] / seconds["ours"], "times", at_least=12)

    question = fewer.question()
    theirs = [_openzeppelin(question) for _ in range(1 if quick else 3)]  # in turns with ours, as in `medians`
    ours = medians({"ours": fewer.tree}, repeats)["ours"]
    assert {their["root"] for their in theirs} == {f"0x{fewer.tree().root.hex()}"}
    their_tree = median(their["tree"] for their in theirs)
    what = f"tree of {len(fewer.passes):,} standings"
    yield Figure(f"{what}, warm", ours, "s")
    yield Figure(f"{what}, OpenZeppelin's JavaScript", their_tree, "s")
    yield Figure("  times as long as ours", their_tree / ours, "times", at_least=500)

    with tempfile.TemporaryDirectory() as folder:
        yield Figure(
            f"tree of {len(many.passes):,} standings, fresh process, compiled before", _fresh(many, Path(folder), repeats), "s", at_most=1.5
        )
        yield Figure("a proof from tree.bin", _proof(many, Path(folder) / "tree.bin") * 1e6, "µs", at_most=50)
    yield Figure("a proof, OpenZeppelin's JavaScript", median(their["proof"] for their in theirs) * 1e6, "µs")


def _openzeppelin(question: str) -> Any:
    """What OpenZeppelin's JavaScript takes, in seconds."""
    environment = {**os.environ, "NODE_PATH": str(ROOT / "node_modules")}
    command = ["node", str(Path(__file__).with_suffix(".js"))]
    return json.loads(subprocess.run(command, input=question, env=environment, capture_output=True, text=True, check=True).stdout)


def _fresh(standings: Standings, folder: Path, repeats: int) -> float:
    """Seconds of a whole process, from the start of Python to the root, the arrays in files. The first run, not counted, may compile."""
    paths = []
    for name in ("passes", "scores", "ranks"):
        np.save(folder / name, getattr(standings, name))
        paths.append(str(folder / f"{name}.npy"))
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    taken = []
    for _ in range(1 + repeats):
        start = perf_counter()
        subprocess.run([sys.executable, "-c", FRESH, *paths], cwd=ROOT, env=environment, check=True, capture_output=True)
        taken.append(perf_counter() - start)
    return median(taken[1:])


def _proof(standings: Standings, path: Path) -> float:
    """Seconds of a proof, cut from the mapped file at places all over it: the median."""
    path.write_bytes(standings.tree().nodes)
    tree = MerkleTree.open(path)
    leaves: Sequence[int] = np.random.default_rng(2).integers(0, len(tree), PROOFS).tolist()
    taken = []
    for leaf in leaves:
        start = perf_counter()
        tree.proof(leaf)
        taken.append(perf_counter() - start)
    return median(taken)
