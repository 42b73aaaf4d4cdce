"""Epochs made up for tests: tables that agree with each other, and an archive's contents around them."""

from typing import Any

import numpy as np
import pyarrow as pa

from pictor.activity.ledger import Position
from pictor.epoch.archive import Contents, compose
from pictor.epoch.messages import Domain
from pictor.epoch.report import Block
from pictor.epoch.standings import COUNTS, INPUTS, ISSUED, POINTS, STANDINGS
from pictor.policy import DEFAULT_PATH
from pictor.units import Address

EPOCH = 20_500
REGISTRY = Domain(31_337, Address("0x" + "ab" * 20))
POLICY = DEFAULT_PATH.read_text(encoding="utf-8")


def tables(creators: int, workers: int, seed: int = 1) -> dict[str, pa.Table]:
    """`inputs`, `standings` and `issued` of an epoch: creators first, by rank; every tenth of a role prioritised."""
    random = np.random.default_rng(seed)
    standings: list[dict[str, Any]] = []
    for role, members, earned in ((1, creators, POINTS[:2]), (2, workers, POINTS[2:5])):
        rows: list[dict[str, Any]] = []
        for account in random.integers(0, 256, (members, 20), dtype=np.uint8):
            points = dict.fromkeys(POINTS, 0) | {name: int(random.integers(-50, 200)) for name in earned} | {"pass": 100}
            rows.append({"account": f"0x{account.tobytes().hex()}", "role": role, **points, "score": max(0, sum(points.values()))})
        rows.sort(key=lambda row: (-row["score"], row["account"]))
        best = -(-members // 10)
        standings += [{**row, "rank": rank, "prioritized": rank <= best} for rank, row in enumerate(rows, 1)]
    inputs = [{"account": row["account"], "role": row["role"], "issued_at": 1_700_000_000, **dict.fromkeys(COUNTS, 7)} for row in standings]
    issued = [{"account": row["account"], "role": row["role"]} for row in standings[::3]]
    return {
        "inputs": pa.Table.from_pylist(inputs, INPUTS),
        "standings": pa.Table.from_pylist(standings, STANDINGS),
        "issued": pa.Table.from_pylist(issued, ISSUED),
    }


def contents(creators: int = 30, workers: int = 70, **change: Any) -> Contents:
    """The contents of an archive of so many members; `change` replaces arguments of `compose`."""
    arguments = {
        "epoch": EPOCH,
        "registry": REGISTRY,
        "policy": POLICY,
        **tables(creators, workers),
        "cut": Position(12, "cd" * 32),
        "holders": Block(31_337, 1_000, b"\x01" * 32),
        "recharges": (Block(1, 20_000_000, b"\x02" * 32), Block(137, 5, b"\x03" * 32)),
    }
    return compose(**{**arguments, **change})
