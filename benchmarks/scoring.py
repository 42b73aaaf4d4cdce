"""Rollups and scores: from heartbeats to daily counts, and from a million members' counts to their standings."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from pictor.activity import counting
from pictor.activity.ledger import Ledger
from pictor.activity.rollup_files import Index, RollupFiles
from pictor.activity.rollups import Rollups
from pictor.policy import Policy, load_policies
from pictor.scoring import EpochScores, score_epoch

FIRST_DAY = 20_000
MEMBERS, WORKERS = 1_000_000, 3_300


def make_rollups(folder: Path, members: int, days: int) -> None:
    """The rollups of a network after `days` days: half of the members are workers of many habits, one file for each day's work."""
    ledger = Ledger.open(folder / "ledger", create=True)
    files = RollupFiles(ledger.storage.scratch / "rollups")
    con = counting.connect()
    sums = "{recharged}::BIGINT AS recharged, {spent}::BIGINT AS spent, {frames}::BIGINT AS frames, {completed}::BIGINT AS completed,"
    sums += " {failed}::BIGINT AS failed, 0::BIGINT AS self_dealt"
    with files.writing():
        index = files.add(
            con, Index(), "accounts", f"SELECT i::INTEGER AS id, '0x' || left(sha256(i::VARCHAR), 40) AS account FROM range({members}) t(i)"
        )
        for day in range(FIRST_DAY - days, FIRST_DAY):
            key = f"0::INTEGER AS moved, i::INTEGER AS account, {day}::INTEGER AS day, 0::BIGINT AS batch"
            index = files.add(
                con,
                index,
                "worker_days",
                f"""
                SELECT {key}, (250 + hash(i) % 4 * 250)::INTEGER AS hashpower, 24576::INTEGER AS vram_mib,
                    greatest(1, least(1440, 600 + hash(i, 1) % 900 + hash(i, {day}, 3) % 200 - 100))::SMALLINT AS minutes,
                    (hash(i, {day}, 5) % 100)::SMALLINT AS "first", (1439 - hash(i, {day}, 6) % 100)::SMALLINT AS "last",
                    1::SMALLINT AS online_days
                FROM range({members // 2}) t(i) WHERE hash(i, {day}, 2) % 1000 >= hash(i, 7) % 250
            """,
            )
            worked = sums.format(recharged=0, spent=0, frames=0, completed=f"hash(i, {day}, 8) % 50", failed=f"hash(i, {day}, 9) % 3")
            paid = sums.format(
                recharged=f"hash(i, {day}, 8) % 100 * 10000000",
                spent=f"hash(i, {day}, 9) % 900 * 1000000",
                frames=f"hash(i, {day}, 10) % 200",
                completed=0,
                failed=0,
            )
            index = files.add(
                con,
                index,
                "account_days",
                f"""
                SELECT {key}, {worked} FROM range({members // 2}) t(i) WHERE hash(i, {day}, 2) % 1000 >= hash(i, 7) % 250
                UNION ALL SELECT {key}, {paid} FROM range({members // 2}, {members}) t(i) WHERE hash(i, {day}, 11) % 10 < 3
            """,
            )
        files.commit(Index(), index)


def all_hold(members: int) -> pa.Table:
    """A pass for every member, in the role it lives."""
    return (
        counting.connect()
        .execute(f"""
        SELECT '0x' || left(sha256(i::VARCHAR), 40) AS account, CASE WHEN i < {members // 2} THEN 2 ELSE 1 END::TINYINT AS role,
            1000000 + i % 1000 AS issued_at FROM range({members}) t(i)
    """)
        .to_arrow_table()
    )


def policy() -> Policy:
    """The rules that ship."""
    return load_policies().at(FIRST_DAY)


def score(folder: Path, holders: pa.Table, epoch: int = FIRST_DAY) -> EpochScores:
    """The newest epoch of these rollups."""
    return score_epoch(Rollups.open(Ledger.open(folder / "ledger")), policy(), epoch, holders)
