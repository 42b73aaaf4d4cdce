"""Keccak-256 of a million short messages at a time: the permutation over several lanes, and the two shapes that a Merkle tree hashes.

A state holds `LANES` messages side by side, word `k` of message `i` at `k * LANES + i`, so that each line of a round is one or two
SIMD instructions after LLVM has vectorised the loop over `i`. All messages here fit one block. Machine code is kept by numba beside the
`.pyc` files, or in the user's cache folder where that is read-only, or, where neither can be written, made anew by each process.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

LANES = 4
ROUND_CONSTANTS = np.array(
    (
        0x0000000000000001, 0x0000000000008082, 0x800000000000808A, 0x8000000080008000, 0x000000000000808B, 0x0000000080000001,
        0x8000000080008081, 0x8000000000008009, 0x000000000000008A, 0x0000000000000088, 0x0000000080008009, 0x000000008000000A,
        0x000000008000808B, 0x800000000000008B, 0x8000000000008089, 0x8000000000008003, 0x8000000000008002, 0x8000000000000080,
        0x000000000000800A, 0x800000008000000A, 0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008,
    ),
    np.uint64,
)  # fmt: skip

Words = NDArray[np.uint64]
Function = TypeVar("Function", bound=Callable[..., Any])


def _kernel(function: Function) -> Function:
    try:
        return cast(Function, njit(cache=True, nogil=True)(function))
    except RuntimeError:  # numba finds no folder for its cache that can be written
        return cast(Function, njit(nogil=True)(function))


@njit(inline="always")
def _rotated(word: Any, bits: Any) -> Any:
    return (word << np.uint64(bits)) | (word >> np.uint64(64 - bits))


@njit
def _permute(s: Any) -> None:
    """Keccak-f[1600] of the `LANES` states in `s`. Written out in full: in loops over the words, it takes twenty times as long."""
    for constant in ROUND_CONSTANTS:
        for i in range(LANES):
            a0 = s[i]
            a1 = s[1 * LANES + i]
            a2 = s[2 * LANES + i]
            a3 = s[3 * LANES + i]
            a4 = s[4 * LANES + i]
            a5 = s[5 * LANES + i]
            a6 = s[6 * LANES + i]
            a7 = s[7 * LANES + i]
            a8 = s[8 * LANES + i]
            a9 = s[9 * LANES + i]
            a10 = s[10 * LANES + i]
            a11 = s[11 * LANES + i]
            a12 = s[12 * LANES + i]
            a13 = s[13 * LANES + i]
            a14 = s[14 * LANES + i]
            a15 = s[15 * LANES + i]
            a16 = s[16 * LANES + i]
            a17 = s[17 * LANES + i]
            a18 = s[18 * LANES + i]
            a19 = s[19 * LANES + i]
            a20 = s[20 * LANES + i]
            a21 = s[21 * LANES + i]
            a22 = s[22 * LANES + i]
            a23 = s[23 * LANES + i]
            a24 = s[24 * LANES + i]

            c0 = a0 ^ a5 ^ a10 ^ a15 ^ a20
            c1 = a1 ^ a6 ^ a11 ^ a16 ^ a21
            c2 = a2 ^ a7 ^ a12 ^ a17 ^ a22
            c3 = a3 ^ a8 ^ a13 ^ a18 ^ a23
            c4 = a4 ^ a9 ^ a14 ^ a19 ^ a24
            d0 = c4 ^ _rotated(c1, 1)
            d1 = c0 ^ _rotated(c2, 1)
            d2 = c1 ^ _rotated(c3, 1)
            d3 = c2 ^ _rotated(c4, 1)
            d4 = c3 ^ _rotated(c0, 1)

            b0 = a0 ^ d0
            b1 = _rotated(a6 ^ d1, 44)
            b2 = _rotated(a12 ^ d2, 43)
            b3 = _rotated(a18 ^ d3, 21)
            b4 = _rotated(a24 ^ d4, 14)
            b5 = _rotated(a3 ^ d3, 28)
            b6 = _rotated(a9 ^ d4, 20)
            b7 = _rotated(a10 ^ d0, 3)
            b8 = _rotated(a16 ^ d1, 45)
            b9 = _rotated(a22 ^ d2, 61)
            b10 = _rotated(a1 ^ d1, 1)
            b11 = _rotated(a7 ^ d2, 6)
            b12 = _rotated(a13 ^ d3, 25)
            b13 = _rotated(a19 ^ d4, 8)
            b14 = _rotated(a20 ^ d0, 18)
            b15 = _rotated(a4 ^ d4, 27)
            b16 = _rotated(a5 ^ d0, 36)
            b17 = _rotated(a11 ^ d1, 10)
            b18 = _rotated(a17 ^ d2, 15)
            b19 = _rotated(a23 ^ d3, 56)
            b20 = _rotated(a2 ^ d2, 62)
            b21 = _rotated(a8 ^ d3, 55)
            b22 = _rotated(a14 ^ d4, 39)
            b23 = _rotated(a15 ^ d0, 41)
            b24 = _rotated(a21 ^ d1, 2)

            s[i] = b0 ^ (~b1 & b2) ^ constant
            s[1 * LANES + i] = b1 ^ (~b2 & b3)
            s[2 * LANES + i] = b2 ^ (~b3 & b4)
            s[3 * LANES + i] = b3 ^ (~b4 & b0)
            s[4 * LANES + i] = b4 ^ (~b0 & b1)
            s[5 * LANES + i] = b5 ^ (~b6 & b7)
            s[6 * LANES + i] = b6 ^ (~b7 & b8)
            s[7 * LANES + i] = b7 ^ (~b8 & b9)
            s[8 * LANES + i] = b8 ^ (~b9 & b5)
            s[9 * LANES + i] = b9 ^ (~b5 & b6)
            s[10 * LANES + i] = b10 ^ (~b11 & b12)
            s[11 * LANES + i] = b11 ^ (~b12 & b13)
            s[12 * LANES + i] = b12 ^ (~b13 & b14)
            s[13 * LANES + i] = b13 ^ (~b14 & b10)
            s[14 * LANES + i] = b14 ^ (~b10 & b11)
            s[15 * LANES + i] = b15 ^ (~b16 & b17)
            s[16 * LANES + i] = b16 ^ (~b17 & b18)
            s[17 * LANES + i] = b17 ^ (~b18 & b19)
            s[18 * LANES + i] = b18 ^ (~b19 & b15)
            s[19 * LANES + i] = b19 ^ (~b15 & b16)
            s[20 * LANES + i] = b20 ^ (~b21 & b22)
            s[21 * LANES + i] = b21 ^ (~b22 & b23)
            s[22 * LANES + i] = b22 ^ (~b23 & b24)
            s[23 * LANES + i] = b23 ^ (~b24 & b20)
            s[24 * LANES + i] = b24 ^ (~b20 & b21)


@njit
def _swapped(word: Any) -> Any:
    """The 8 bytes of a word in reverse: between the sponge's little endian and Ethereum's big endian."""
    word = ((word & np.uint64(0x00FF00FF00FF00FF)) << np.uint64(8)) | ((word >> np.uint64(8)) & np.uint64(0x00FF00FF00FF00FF))
    word = ((word & np.uint64(0x0000FFFF0000FFFF)) << np.uint64(16)) | ((word >> np.uint64(16)) & np.uint64(0x0000FFFF0000FFFF))
    return (word << np.uint64(32)) | (word >> np.uint64(32))


@njit
def _pad(s: Any, length: int) -> None:
    """Ends messages of `length` words: zeros, and the padding of Keccak (not of SHA-3) in a block of 17 words."""
    s[length * LANES :] = 0
    for i in range(LANES):
        s[length * LANES + i] = np.uint64(1)
        s[16 * LANES + i] = np.uint64(1) << np.uint64(63)


@_kernel
def hash_leaves(passes: Words, scores: Words, ranks: NDArray[np.uint32], nodes: Words, start: int, stop: int) -> None:
    """Puts the leaves of standings `start` to `stop` where they stand in `nodes`: from its end, in reverse.

    A leaf is `keccak256(bytes.concat(keccak256(abi.encode(uint256 pass id, uint64 score, uint32 rank))))`.
    `passes`: uint64[n, 4], the 32 bytes of each pass id as they are in memory; `scores`: uint64[n]; `ranks`: uint32[n];
    `nodes`: uint64[2n - 1, 4], written.
    """
    s = np.empty(25 * LANES, np.uint64)
    last = len(nodes) - 1
    for first in range(start, stop, LANES):
        s[:] = 0
        for i in range(LANES):
            leaf = min(first + i, stop - 1)  # the lanes beyond the end repeat the last one
            for k in range(4):
                s[k * LANES + i] = passes[leaf, k]
            s[7 * LANES + i] = _swapped(scores[leaf])
            s[11 * LANES + i] = _swapped(np.uint64(ranks[leaf]))
        _pad(s, 12)
        _permute(s)
        _pad(s, 4)
        _permute(s)
        for i in range(LANES):
            leaf = min(first + i, stop - 1)
            for k in range(4):
                nodes[last - leaf, k] = s[k * LANES + i]


@_kernel
def hash_pairs(nodes: Words, start: int, stop: int) -> None:
    """Puts nodes `start` to `stop`, whose children stand in `nodes` (uint64[:, 4]) already: the hash of both, the smaller one first."""
    s = np.empty(25 * LANES, np.uint64)
    for first in range(start, stop, LANES):
        for i in range(LANES):
            left = 2 * min(first + i, stop - 1) + 1
            right = left + 1
            for k in range(4):
                a, b = _swapped(nodes[left, k]), _swapped(nodes[right, k])
                if a != b:
                    if a > b:
                        left, right = right, left
                    break
            for k in range(4):
                s[k * LANES + i] = nodes[left, k]
                s[(4 + k) * LANES + i] = nodes[right, k]
        _pad(s, 8)
        _permute(s)
        for i in range(LANES):
            node = min(first + i, stop - 1)
            for k in range(4):
                nodes[node, k] = s[k * LANES + i]
