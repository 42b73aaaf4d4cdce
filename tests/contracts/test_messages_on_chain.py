"""The library's messages are the contracts': the same digests, and a committee that takes the library's joined signatures."""

from typing import Any

import pytest
from ape import chain
from hypothesis import given, settings
from hypothesis import strategies as st

from pictor.epoch.messages import Domain, Issuance, Message, Report, join_signatures
from pictor.epoch.standings import leaves_of
from pictor.units import Role, parse_address
from tests.contracts.support import World, now
from tests.unit.epochs import tables

ACCOUNTS = st.sets(st.integers(1, (1 << 160) - 1), min_size=1, max_size=4).map(lambda some: tuple(f"0x{n:040x}" for n in sorted(some)))
HASHES = st.binary(min_size=32, max_size=32)
COUNTS = st.integers(0, (1 << 32) - 1)


def domain_of(contract: Any) -> Domain:
    return Domain(chain.chain_id, parse_address(contract.address))


@settings(max_examples=20)
@given(st.builds(Issuance, st.sampled_from(Role), ACCOUNTS, st.integers(0, (1 << 64) - 1)))
def test_the_digest_of_an_issuance_is_the_contracts(world: World, issuance: Issuance) -> None:
    assert issuance.digest(domain_of(world.vip_pass)) == world.vip_pass.issuanceDigest(issuance.values())


@settings(max_examples=20)
@given(st.builds(Report, st.integers(1, (1 << 64) - 1), HASHES.filter(any), HASHES, HASHES, st.integers(1, (1 << 32) - 1), COUNTS))
def test_the_digest_of_a_report_is_the_contracts(world: World, report: Report) -> None:
    assert report.digest(domain_of(world.registry)) == world.registry.reportDigest(report.values())


def signed(world: World, message: Message, contract: Any) -> bytes:
    """By as many members as it takes, whatever their order."""
    digest = message.digest(domain_of(contract))
    return join_signatures({signer.id: signer.sign(digest) for signer in world.signers[-world.threshold :]})


def test_passes_are_issued_with_the_joined_signatures_of_the_committee(world: World) -> None:
    accounts = tuple(sorted(parse_address(member.address) for member in world.members))
    issuance = Issuance(Role.WORKER, accounts, now() + 60)
    world.vip_pass.issue(issuance.values(), signed(world, issuance, world.vip_pass), sender=world.carrier)
    assert world.vip_pass.members(Role.WORKER) == len(accounts)


def test_a_report_is_posted_and_its_standings_are_proven_to_the_contract(world: World) -> None:
    leaves = leaves_of(tables(11, 26)["standings"])
    tree = leaves.tree()
    report = Report(now() // world.registry.EPOCH_LENGTH(), tree.root, bytes(32), bytes(32), 11, 26)
    world.registry.submit(report.values(), signed(world, report, world.registry), sender=world.carrier)
    for number in (0, 10, 11, 36):
        standing = leaves.standing(number)
        assert world.registry.verify(report.epoch, standing.values(), tree.proof(number))
        assert not world.registry.verify(report.epoch, {**standing.values(), "score": standing.score + 1}, tree.proof(number))


@pytest.mark.parametrize("numbers", [[0], [3, 1, 2], [36, 0, 11, 12], list(range(37))])
def test_standings_are_synced_by_multiproof(world: World, numbers: list[int]) -> None:
    leaves = leaves_of(tables(11, 26)["standings"])
    tree = leaves.tree()
    report = Report(now() // world.registry.EPOCH_LENGTH(), tree.root, bytes(32), bytes(32), 11, 26)
    world.registry.submit(report.values(), signed(world, report, world.registry), sender=world.carrier)
    multiproof = tree.multiproof(numbers)
    standings = [leaves.standing(number).values() for number in multiproof.leaves]
    receipt = world.registry.sync(report.epoch, standings, multiproof.proof, multiproof.flags, sender=world.carrier)
    assert [event.standings for event in receipt.events if event.event_name == "Synced"] == [len(numbers)]
