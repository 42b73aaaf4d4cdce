"""The tables of an epoch as its archive holds them, and the way from a row to a leaf of the tree and back.

In the archive the rows stand in the order of pass ids (creators, then workers, each by account), so that one can be found. In the tree
the leaves stand in the order of ranks (creators, then workers), so that the best of a role are neighbours: the creator of rank `r` is
leaf `r − 1`, the worker of rank `r` is leaf `creators + r − 1`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pictor.epoch.tree import MerkleTree, leaf_hash, pass_words
from pictor.units import Address, PassId, Role, pass_id, prioritized_count

POINTS = ("spending", "completed_jobs", "average_uptime", "job_completion", "gpu_performance", "pass")
COUNTS = ("recharged", "frames", "online_minutes", "completed", "failed", "gpu_minutes", "self_dealt")


def _schema(numbers: tuple[str, ...], *more: tuple[str, pa.DataType]) -> pa.Schema:
    columns = [("account", pa.string()), ("role", pa.int8()), *((name, pa.int64()) for name in numbers), *more]
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in columns])


# What the points were made of: one row for each scored holder of a role, 0 where a count is not of the role.
INPUTS = _schema(("issued_at", *COUNTS))
# Micro-points by criterion, 0 where it is not of the role.
STANDINGS = _schema((*POINTS, "score"), ("rank", pa.int32()), ("prioritized", pa.bool_()))
# Who is issued a pass with this epoch without asking for it.
ISSUED = _schema(())


class StandingsError(ValueError):
    """A table that no epoch can have. The message names the row."""


@dataclass(frozen=True)
class Standing:
    """One leaf of a report: the contracts' struct. `score` in micro-points, `rank` from 1 within the role."""

    pass_id: PassId
    score: int
    rank: int

    def leaf(self) -> bytes:
        """Its hash in the tree."""
        return leaf_hash(self.pass_id, self.score, self.rank)

    def values(self) -> dict[str, Any]:
        """The struct for a contract call."""
        return {"passId": self.pass_id, "score": self.score, "rank": self.rank}


@dataclass(frozen=True)
class Leaves:
    """The standings as the tree takes them, in its order: `passes` uint8[n, 32], `scores` int64[n], `ranks` int32[n]."""

    passes: NDArray[np.uint8]
    scores: NDArray[np.int64]
    ranks: NDArray[np.int32]
    creators: int

    def tree(self) -> MerkleTree:
        """Hashes them. Raises TreeError if there are none."""
        return MerkleTree.of(self.passes, self.scores, self.ranks)

    def standing(self, number: int) -> Standing:
        """The standing of a leaf."""
        return Standing(PassId(int.from_bytes(self.passes[number].tobytes(), "big")), int(self.scores[number]), int(self.ranks[number]))

    def number(self, role: Role, rank: int) -> int:
        """The leaf of a rank."""
        return leaf_number(role, rank, self.creators)

    def __len__(self) -> int:
        return len(self.ranks)


def leaf_number(role: Role, rank: int, creators: int) -> int:
    """Which leaf has the standing of `rank` in `role`, where there are so many creators."""
    return rank - 1 if role is Role.CREATOR else creators + rank - 1


def arranged(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """The columns that `schema` wants, in the order of pass ids. Raises StandingsError if one is missing or does not fit."""
    try:
        return rows.select(schema.names).cast(schema).sort_by([("role", "ascending"), ("account", "ascending")]).combine_chunks()
    except (KeyError, ValueError) as error:  # ArrowInvalid is a ValueError
        raise StandingsError(f"not a table of {', '.join(schema.names)}: {error}") from None


def leaves_of(standings: pa.Table) -> Leaves:
    """The leaves of a table of standings, in whatever order its rows are.

    Raises StandingsError unless the ranks of each role are 1 to n, each once, and accounts and scores are what they must be.
    """
    roles = _numbers(standings, "role")
    scores = _numbers(standings, "score")
    ranks = _numbers(standings, "rank")
    accounts = _accounts(standings)
    _refuse(standings, (roles != Role.CREATOR) & (roles != Role.WORKER), "has no role")
    _refuse(standings, scores < 0, "has a score below 0")
    creators = int(np.count_nonzero(roles == Role.CREATOR))
    members = np.where(roles == Role.CREATOR, creators, len(roles) - creators)
    _refuse(standings, (ranks < 1) | (ranks > members), "has a rank that is not in 1 to the number of its role's members")
    place = ranks.astype(np.int64) - 1 + np.where(roles == Role.CREATOR, 0, creators)
    order = np.full(len(place), -1)
    order[place] = np.arange(len(place))
    _refuse(standings, order[place] != np.arange(len(place)), "shares its rank with another")
    return Leaves(pass_words(roles[order], accounts[order]), scores[order], ranks[order], creators)


def check_keys(table: pa.Table) -> None:
    """Raises StandingsError unless the rows stand strictly in the order of pass ids."""
    roles, accounts = _numbers(table, "role"), table.column("account")
    _refuse(table, (roles != Role.CREATOR) & (roles != Role.WORKER), "has no role")
    _accounts(table)
    same = np.diff(roles) == 0
    rising = pc.less(accounts.slice(0, max(len(accounts) - 1, 0)), accounts.slice(1)).to_numpy()
    _refuse(table.slice(1), (np.diff(roles) < 0) | (same & ~rising), "does not come after the row before it")


def check_standings(standings: pa.Table, share: int) -> None:
    """Raises StandingsError unless points, scores, ranks and priority (`share`: basis points) agree with each other."""
    leaves = leaves_of(standings)
    total = sum((_numbers(standings, name) for name in POINTS), np.zeros(len(leaves), np.int64))
    scores, ranks, roles = _numbers(standings, "score"), _numbers(standings, "rank"), _numbers(standings, "role")
    _refuse(standings, scores != np.maximum(total, 0), "has a score that is not the sum of its points")
    for start, stop in ((0, leaves.creators), (leaves.creators, len(leaves))):
        worse = np.flatnonzero(np.diff(leaves.scores[start:stop]) > 0)
        if len(worse):
            raise StandingsError(f"{leaves.standing(start + int(worse[0]))}: the next rank has a higher score")
    best = {role: prioritized_count(int(np.count_nonzero(roles == role)), share) for role in Role}
    prioritized = ranks <= np.where(roles == Role.CREATOR, best[Role.CREATOR], best[Role.WORKER])
    _refuse(standings, standings.column("prioritized").to_numpy() != prioritized, "is prioritised, or not, against its rank")


def standing_of(row: dict[str, Any]) -> Standing:
    """The standing in a row of the table."""
    return Standing(pass_id(Role(row["role"]), Address(row["account"])), row["score"], row["rank"])


def _numbers(table: pa.Table, column: str) -> NDArray[Any]:
    numbers: NDArray[Any] = table.column(column).to_numpy()
    return numbers


_TEXT = 42  # "0x" and two digits for each of 20 bytes
_DIGITS = np.full(256, 0xFF, np.uint8)
_DIGITS[np.frombuffer(b"0123456789abcdef", np.uint8)] = np.arange(16, dtype=np.uint8)


def _accounts(table: pa.Table) -> NDArray[np.uint8]:
    """The accounts as uint8[n, 20]. Raises StandingsError for one that is not lower-case hex, or is zero."""
    column = table.column("account")
    _refuse(table, pc.binary_length(column).to_numpy() != _TEXT, "has no account")
    fixed = column.cast(pa.binary(_TEXT)).combine_chunks()
    text = np.frombuffer(fixed.buffers()[1], np.uint8)[fixed.offset * _TEXT :][: len(fixed) * _TEXT].reshape(-1, _TEXT)
    digits = _DIGITS[text[:, 2:]]
    accounts: NDArray[np.uint8] = (digits[:, 0::2] << 4) | digits[:, 1::2]
    wrong = (text[:, 0] != ord("0")) | (text[:, 1] != ord("x")) | (digits == 0xFF).any(axis=1) | ~accounts.any(axis=1)
    _refuse(table, wrong, "has no account")
    return accounts


def _refuse(table: pa.Table, wrong: NDArray[np.bool_], what: str) -> None:
    """Raises StandingsError with the first row that is wrong."""
    if wrong.any():
        row = table.slice(int(np.argmax(wrong)), 1).to_pylist()[0]
        raise StandingsError(f"{row}: {what}")
