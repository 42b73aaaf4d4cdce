"""Exact gas of what members, oracle and guardian do, beside other people's mints: `python -m benchmarks.gas`.

Everything that gas depends on is fixed: keys, addresses, nonces, time, and so signatures and calldata to the byte. A whole
transaction's gas is that of its receipt. That of a call is counted from the trace of its opcodes: what was left at the first one
less what was left after the last, so neither the intrinsic gas nor the price or the floor price of calldata is in it.

Without options: measure, print, and exit 1 if a figure is not that of `gas.json`. With `--update`: write them there.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, overload

from ape import accounts, networks, project
from ape.logging import logger
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from tests.contracts.support import (
    ACTIVATION_DELAY,
    CREATOR,
    EPOCH_LENGTH,
    START,
    WORKER,
    Batch,
    KeySigner,
    MerkleTree,
    Standing,
    World,
    deploy_world,
    freeze_clock,
    hash_pair,
    leaf_of,
    now,
    pass_id,
    rpc,
    travel,
    travel_to,
)

SNAPSHOT = Path(__file__).with_suffix(".json")
SIGNERS, THRESHOLD = 5, 3
MEMBERS = 1_000_000  # half of each role
RING = 64
HUNDRED = 100


@dataclass(frozen=True)
class Figure:
    """What is measured, for how many things at once, and the most that one of them may cost."""

    name: str
    count: int = 1
    limit: int | None = None


PASS = Figure("pass, in an issue of 100", HUNDRED, 27_800)
OPENZEPPELIN = Figure("mint, in a batch of 100: OpenZeppelin", HUNDRED)
SOLADY = Figure("mint, in a batch of 100: Solady", HUNDRED)
VOUCHER = Figure("voucher for one wallet", limit=105_000)
REPORT = Figure("report, ring in use", limit=93_000)
PROOF = Figure("isPrioritized by proof, 1 M members, one report pending (call)", limit=16_000)
STORED = Figure("isPrioritized from storage, one report pending (call)")
SYNC = Figure("sync, update of the 100 best of 1 M by one multiproof", HUNDRED, 9_000)
BURN = Figure("burn")
REVOKE = Figure("revoke")
REINSTATE = Figure("reinstate")
VETO = Figure("veto of the pending report")
CHALLENGE = Figure("challenge, 1 M members")
FIGURES = (PASS, OPENZEPPELIN, SOLADY, VOUCHER, REPORT, PROOF, STORED, SYNC, BURN, REVOKE, REINSTATE, VETO, CHALLENGE)


class SparseNodes(Sequence[bytes]):
    """The nodes of a tree of `size` leaves of which only the first are real; whatever lies beside their paths is made up."""

    def __init__(self, size: int, leaves: Sequence[bytes]) -> None:
        self._length = 2 * size - 1
        self._known = {self._length - 1 - i: leaf for i, leaf in enumerate(leaves)}
        self._above: set[int] = set()
        for node in self._known:
            while node > 0:
                node = (node - 1) // 2
                self._above.add(node)

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[bytes]: ...
    def __getitem__(self, index: int | slice) -> bytes | Sequence[bytes]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(self._length))]
        if index not in self._known:
            is_real = index in self._above
            self._known[index] = hash_pair(self[2 * index + 1], self[2 * index + 2]) if is_real else keccak(text=f"node {index}")
        return self._known[index]


@dataclass(frozen=True)
class SparseTree(MerkleTree):
    """A tree of a million leaves for the price of those that are named."""

    @cached_property
    def nodes(self) -> Sequence[bytes]:
        return SparseNodes(MEMBERS, self.leaves)


def wallets(count: int, name: str) -> list[str]:
    """Fixed addresses that nobody has seen before."""
    return [to_checksum_address(keccak(text=f"{name} {i}")[:20]) for i in range(count)]


def submit(world: World, standings: Sequence[Standing]) -> tuple[Batch, int]:
    """Submit the next epoch's report, of a million members of whom these are the best; the gas of it."""
    epoch = world.next_epoch()
    travel_to(max(now(), epoch * EPOCH_LENGTH))
    tree = SparseTree([leaf_of(standing) for standing in standings])
    batch = Batch(standings, tree, Batch.of(epoch, standings, root=tree.root, creators=MEMBERS // 2, workers=MEMBERS // 2).report)
    return batch, world.submit(batch).gas_used


def call_gas(method: Any, *args: Any) -> int:
    """What the opcodes of a call cost, cold, with nothing for the transaction around it."""
    call = {"to": method.contract.address, "data": "0x" + bytes(method.encode_input(*args)).hex(), "gas": hex(10_000_000)}
    options = {"disableStorage": True, "disableStack": True, "enableMemory": False}
    steps = rpc("debug_traceCall", call, "latest", options)["structLogs"]
    return int(steps[0]["gas"] - steps[-1]["gas"] + steps[-1]["gasCost"])


def measure() -> dict[str, int]:
    """The gas of each figure, for all of its count together. On a fresh chain, which is left changed."""
    # All at once: taken one by one, Ape forgets to compile the second of two contracts that have changed.
    project.load_contracts()
    freeze_clock()
    travel_to(START)
    signers = [KeySigner.of(f"attestor {number}") for number in range(SIGNERS)]
    world = deploy_world(project, accounts.test_accounts, signers, THRESHOLD)
    gas = {}

    world.issue(CREATOR, *wallets(HUNDRED, "first"))
    members = wallets(HUNDRED, "member")
    gas[PASS] = world.issue(CREATOR, *members).gas_used
    for figure, contract in ((OPENZEPPELIN, project.OpenZeppelinPass), (SOLADY, project.SoladyPass)):
        baseline = world.carrier.deploy(contract)
        baseline.issue(wallets(HUNDRED, "first"), sender=world.carrier)
        gas[figure] = baseline.issue(members, sender=world.carrier).gas_used
    gas[VOUCHER] = world.issue(WORKER, world.alice).gas_used
    gas[REVOKE] = world.revoke(world.alice, WORKER).gas_used
    gas[REINSTATE] = world.reinstate(world.alice, WORKER).gas_used
    gas[BURN] = world.burn(world.alice, WORKER).gas_used

    best = [Standing(pass_id(account, CREATOR), 987_654_321_000 - rank, rank) for rank, account in enumerate(members, 1)]
    for _ in range(RING + 1):
        _, gas[REPORT] = submit(world, best)
        travel(ACTIVATION_DELAY)
    for _ in range(2):
        batch, gas[REPORT] = submit(world, best)
        travel(ACTIVATION_DELAY)
        world.sync(batch)
    active = batch
    batch, _ = submit(world, [best[0]._replace(score=999_999_999_999), *best[1:]])
    gas[SYNC] = world.sync(batch).gas_used
    prioritized = world.registry.isPrioritized
    proof = (active.standings[0], active.proof(active.standings[0]))
    assert prioritized(*proof)
    assert prioritized(members[0], CREATOR)
    gas[PROOF] = call_gas(prioritized, *proof)
    gas[STORED] = call_gas(prioritized, members[0], CREATOR)
    gas[VETO] = world.veto(batch).gas_used
    lie, _ = submit(world, [best[0], best[1]._replace(rank=1)])
    pair = [part for standing in lie.standings for part in (standing, lie.proof(standing))]
    gas[CHALLENGE] = world.registry.challenge(lie.epoch, *pair, sender=world.carrier).gas_used
    return {figure.name: gas[figure] for figure in FIGURES}


def table(measured: dict[str, int]) -> str:
    """The figures as people read them, each beside its limit and beside OpenZeppelin's or Solady's where they compare."""
    lines = [f"{'':66}{'each':>9}{'at most':>9}"]
    for figure in FIGURES:
        limit = "" if figure.limit is None else f"{figure.limit:,}"
        lines.append(f"{figure.name:66}{measured[figure.name] / figure.count:>9,.0f}{limit:>9}")
    for other in (OPENZEPPELIN, SOLADY):
        lines.append(f"{other.name} / ours: {measured[other.name] / measured[PASS.name]:.2f}")
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> int:
    if list(arguments) not in ([], ["--update"]):
        print("usage: python -m benchmarks.gas [--update]", file=sys.stderr)
        return 2
    logger.set_level("ERROR")
    with networks.parse_network_choice("ethereum:local:foundry"):
        measured = measure()
    print(table(measured))
    if arguments:
        SNAPSHOT.write_text(json.dumps(measured, indent=2) + "\n")
        return 0
    expected = json.loads(SNAPSHOT.read_text())
    for name in sorted(measured.keys() | expected.keys()):
        if measured.get(name) != expected.get(name):
            print(f"changed: {name}: {expected.get(name)} in {SNAPSHOT.name}, {measured.get(name)} measured", file=sys.stderr)
    return int(measured != expected)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
