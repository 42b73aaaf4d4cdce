"""The Merkle tree of an epoch's standings: OpenZeppelin's StandardMerkleTree with `sortLeaves: false`, as one flat array.

    nodes    0     1 2     3 4 5 6     …     2n − 2
             root  its children …            leaf 0

Node `i` is the hash of nodes `2i + 1` and `2i + 2`, the smaller one first; leaf `k` stands at `2n − 2 − k`. These are the nodes of
OpenZeppelin's JavaScript in its order, 32 bytes each, and also the bytes of `tree.bin`: a proof is a few slices of the file.
"""

import json
import mmap
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from eth_hash.auto import keccak
from numpy.typing import NDArray

NODE = 32  # bytes
THREADS = min(os.cpu_count() or 1, 8)
SLICE = 4_096  # hashes, some 300 µs: fewer are not worth a thread
LEAF_ENCODING = ("uint256", "uint64", "uint32")


class TreeError(ValueError):
    """Standings that make no tree, bytes that are none, or a leaf that is not in it. The message has the offending value."""


@dataclass(frozen=True)
class MultiProof:
    """Proof of several leaves at once, for OpenZeppelin's `MerkleProof.multiProofVerify`: `leaves` (their numbers) in its order."""

    leaves: tuple[int, ...]
    proof: tuple[bytes, ...]
    flags: tuple[bool, ...]


class MerkleTree:
    """A tree in memory, or in a file that is mapped into it. Leaves are known by their number, from 0, in the order of the standings."""

    def __init__(self, nodes: memoryview | mmap.mmap | bytes) -> None:
        """`nodes`: the bytes of all nodes. Nothing is hashed: whether they belong together is for the archive's checks to say.

        Raises TreeError unless they are an odd number of 32 bytes each.
        """
        if len(nodes) % (2 * NODE) != NODE:
            raise TreeError(f"{len(nodes)} bytes are no tree: it has an odd number of nodes of {NODE} bytes")
        self._nodes = nodes
        self._last = len(nodes) // NODE - 1

    @classmethod
    def of(cls, passes: NDArray[np.uint8], scores: NDArray[Any], ranks: NDArray[Any]) -> "MerkleTree":
        """The tree of `n` standings in their order.

        `passes`: uint8[n, 32], pass ids as big-endian words (see `pass_words`); `scores`: integers[n], 0 to 2^64 − 1 micro-points;
        `ranks`: integers[n], 0 to 2^32 − 1. Whether they can be true is not asked. Raises TreeError for none, or out of range.
        """
        from pictor.epoch.keccak import hash_leaves, hash_pairs  # numba is slow to import, and proofs do without it

        count = len(passes)
        if count == 0:
            raise TreeError("no standings: a tree has at least one leaf")
        if passes.dtype != np.uint8 or passes.shape != (count, NODE):
            raise TreeError(f"passes: {passes.dtype}{list(passes.shape)} is not uint8[n, {NODE}]")
        words = _constant(passes, np.uint8).view(np.uint64)
        scores_ = _whole("scores", scores, count, np.uint64)
        ranks_ = _whole("ranks", ranks, count, np.uint32)
        nodes = np.empty((2 * count - 1, NODE // 8), np.uint64)
        with ThreadPoolExecutor(THREADS) as threads:
            _in_slices(threads, 0, count, lambda start, stop: hash_leaves(words, scores_, ranks_, nodes, start, stop))
            start, stop = (count - 1) // 2, count - 1
            while stop:  # from `stop // 2` on, all children are done
                _in_slices(threads, start, stop, lambda start, stop: hash_pairs(nodes, start, stop))
                start, stop = start // 2, start
        return cls(nodes.data.cast("B"))

    @classmethod
    def open(cls, path: str | Path) -> "MerkleTree":
        """The tree in a `tree.bin`, mapped, not read. Raises TreeError if it is none, OSError if it cannot be opened."""
        with Path(path).open("rb") as file:
            if os.fstat(file.fileno()).st_size == 0:
                raise TreeError(f"{path}: is empty")
            nodes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        try:
            return cls(nodes)
        except TreeError as error:
            raise TreeError(f"{path}: {error}") from None

    def __len__(self) -> int:
        """How many leaves there are."""
        return self._last // 2 + 1

    @property
    def nodes(self) -> memoryview:
        """The bytes of all nodes, root first: what `tree.bin` holds."""
        return memoryview(self._nodes)

    @property
    def root(self) -> bytes:
        """32 bytes."""
        return self._node(0)

    def leaf(self, number: int) -> bytes:
        """The hash that stands for a standing."""
        return self._node(self._place(number))

    def proof(self, number: int) -> list[bytes]:
        """The hashes beside the way from a leaf to the root. Raises TreeError if there is no such leaf."""
        place = self._place(number)
        proof = []
        while place:
            proof.append(self._node(_sibling(place)))
            place = (place - 1) // 2
        return proof

    def multiproof(self, numbers: Sequence[int]) -> MultiProof:
        """One proof for several leaves, in whatever order they are given; of none, the root. Raises TreeError if one is named twice."""
        leaves = sorted(numbers)
        for before, number in pairwise(leaves):
            if before == number:
                raise TreeError(f"leaf {number} is named twice")
        proof = []
        flags = []
        places = deque(self._place(number) for number in leaves)
        while places and places[0]:
            place = places.popleft()
            sibling = _sibling(place)
            paired = bool(places) and places[0] == sibling
            if paired:
                places.popleft()
            else:
                proof.append(self._node(sibling))
            flags.append(paired)
            places.append((place - 1) // 2)
        return MultiProof(tuple(leaves), tuple(proof) if leaves else (self.root,), tuple(flags))

    def dump(self, passes: NDArray[np.uint8], scores: NDArray[Any], ranks: NDArray[Any]) -> Iterator[str]:
        """OpenZeppelin's JSON dump, in pieces, for `StandardMerkleTree.load`; the arguments are those of `of`."""
        yield f'{{"format":"standard-v1","leafEncoding":{json.dumps(LEAF_ENCODING)},"tree":['
        for place in range(self._last + 1):
            yield f'{"," if place else ""}"0x{self._node(place).hex()}"'
        yield '],"values":['
        for k in range(len(self)):
            value = f'["0x{passes[k].tobytes().hex()}","{int(scores[k])}","{int(ranks[k])}"]'
            yield f'{"," if k else ""}{{"value":{value},"treeIndex":{self._last - k}}}'
        yield "]}"

    def _node(self, place: int) -> bytes:
        return bytes(self._nodes[place * NODE : (place + 1) * NODE])

    def _place(self, number: int) -> int:
        if not 0 <= number < len(self):
            raise TreeError(f"no leaf {number}: there are {len(self)}")
        return self._last - number


def leaf_hash(pass_id: int, score: int, rank: int) -> bytes:
    """The leaf of one standing. Raises TreeError out of range."""
    for name, value, bits in (("pass id", pass_id, 256), ("score", score, 64), ("rank", rank, 32)):
        if not 0 <= value < 1 << bits:
            raise TreeError(f"{name}: {value} is not in 0 to 2^{bits} - 1")
    return keccak(keccak(b"".join(value.to_bytes(NODE, "big") for value in (pass_id, score, rank))))


def proves(root: bytes, leaf: bytes, proof: Sequence[bytes]) -> bool:
    """Whether `proof` leads from `leaf` to `root`, as the contracts see it."""
    for beside in proof:
        leaf = keccak(min(leaf, beside) + max(leaf, beside))
    return leaf == root


def pass_words(roles: NDArray[Any], accounts: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pass ids as big-endian words, uint8[n, 32], of roles (integers[n]) and accounts (uint8[n, 20])."""
    words = np.zeros((len(accounts), NODE), np.uint8)
    words[:, 11] = roles
    words[:, 12:] = accounts
    return words


def _sibling(place: int) -> int:
    return place + 1 if place % 2 else place - 1


def _in_slices(threads: ThreadPoolExecutor, start: int, stop: int, work: Callable[[int, int], None]) -> None:
    """Does `work(start, stop)`, divided among the threads if it is much."""
    slices = min(THREADS, (stop - start) // SLICE)
    if slices < 2:
        work(start, stop)
        return
    bounds = [start + (stop - start) * k // slices for k in range(slices + 1)]
    list(threads.map(work, bounds, bounds[1:]))


def _whole(name: str, values: NDArray[Any], count: int, kind: type[np.unsignedinteger[Any]]) -> NDArray[Any]:
    if values.shape != (count,) or not np.issubdtype(values.dtype, np.integer):
        raise TreeError(f"{name}: {values.dtype}{list(values.shape)} is not integers[{count}]")
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > np.iinfo(kind).max:
        raise TreeError(f"{name}: {low if low < 0 else high} is not in 0 to {np.iinfo(kind).max}")
    return _constant(values, kind)


def _constant(values: NDArray[Any], kind: type[np.generic]) -> NDArray[Any]:
    """The values as numba is to see them, whoever they came from: contiguous and not to be written, so that one compilation does."""
    constant = np.ascontiguousarray(values, kind).view()
    constant.flags.writeable = False
    return constant
