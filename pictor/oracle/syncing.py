"""Copying proven standings into the registry's storage, so that contracts read them without a proof."""

from collections.abc import Iterator

from web3.exceptions import TransactionNotFound

from pictor.chain.contracts import PostedReport, ScoreRegistry
from pictor.epoch.archive import Archive
from pictor.epoch.standings import Leaves, Standing, leaf_number
from pictor.epoch.tree import MultiProof
from pictor.oracle.closing import block_at
from pictor.units import PassId, Role, parse_address, prioritized_count

STANDINGS = 100  # in one call: neighbours in the tree, so that their proof is short


def portions(archive: Archive, which: str, synced: set[PassId]) -> Iterator[tuple[list[Standing], MultiProof]]:
    """The standings of `archive` that policy `which` (`none`, `prioritized`, `all`) wants in storage, less those that are there.

    In portions for one call each, with their proof.
    """
    if which == "none":
        return
    leaves = archive.check()
    wanted = [number for number in _wanted(archive, which) if leaves.standing(number).pass_id not in synced]
    for start in range(0, len(wanted), STANDINGS):
        yield _portion(archive, leaves, wanted[start : start + STANDINGS])


def _portion(archive: Archive, leaves: Leaves, numbers: list[int]) -> tuple[list[Standing], MultiProof]:
    proof = archive.tree.multiproof(numbers)
    return [leaves.standing(number) for number in proof.leaves], proof


def _wanted(archive: Archive, which: str) -> Iterator[int]:
    """The leaves that are wanted, the best first."""
    statement = archive.statement
    for role, members in ((Role.CREATOR, statement.creators), (Role.WORKER, statement.workers)):
        best = members if which == "all" else prioritized_count(members, archive.policy.priority_share)
        yield from (leaf_number(role, rank, statement.creators) for rank in range(1, best + 1))


def synced_passes(registry: ScoreRegistry, posted: PostedReport, first_block: int) -> set[PassId]:
    """The passes whose standing of a report was copied already, as far as the transactions tell that did it."""
    chain = registry.chain
    first = block_at(chain, posted.submitted_at, first_block).number
    passes: set[PassId] = set()
    for transaction in {event.transaction for event in registry.events(first, "Synced") if event.arguments["epoch"] == posted.epoch}:
        try:
            sent = chain.web3.eth.get_transaction(transaction)  # type: ignore[arg-type]
        except TransactionNotFound:
            continue
        if "to" not in sent or parse_address(sent["to"]) != registry.address:
            continue  # by way of another contract: copied once more, which does no harm
        data = bytes(sent["input"])
        if data[:4] == registry.interface().selector("sync"):
            epoch, standings, _, _ = registry.interface().arguments("sync", data)
            passes |= {PassId(standing[0]) for standing in standings if epoch == posted.epoch}
    return passes
