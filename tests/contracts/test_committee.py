"""The attestor committee: who must sign, what is refused, and how it is rotated."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from ape import chain
from eth_abi.abi import encode
from eth_utils.crypto import keccak

from tests.contracts.support import (
    ACTIVATION_DELAY,
    CREATOR,
    DAY,
    EPOCH_LENGTH,
    P256_ORDER,
    PRIORITY_SHARE_BPS,
    ZERO,
    Batch,
    KeySigner,
    P256Signer,
    Refusal,
    Signer,
    WalletSigner,
    World,
    committee_signature,
    digest_of,
    events,
    join_signatures,
    now,
    ranked,
    refusal,
    refused,
    refused_deployment,
)

SECP256K1_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
MAGIC, REFUSED = bytes.fromhex("1626ba7e"), bytes.fromhex("ffffffff")
DIGEST = keccak(text="a message")
IDENTITY, P256_PRECOMPILE = "0x" + "4".zfill(40), "0x" + "100".zfill(40)

COMMITTEES = [(1, 1), (2, 2), (2, 3), (3, 5)]
KINDS = ["keys", "a smart wallet among them", "a P-256 key among them", "one of each kind"]


def key(number: int) -> KeySigner:
    return KeySigner.of(f"member {number}")


def signers_of(world: World, project: Any, kind: str, count: int) -> list[Signer]:
    """`count` members, the first of them of the kinds that are asked for."""
    special: list[Signer] = []
    if kind in ("a smart wallet among them", "one of each kind"):
        owner = KeySigner.of("owner")
        special.append(WalletSigner(world.carrier.deploy(project.SmartWallet, owner.address).address, owner))
    if kind in ("a P-256 key among them", "one of each kind"):
        special.append(P256Signer.of(world.carrier.deploy(project.P256Verifier).address, "passkey"))
    return [*special, *(key(number) for number in range(count))][:count]


def committee_of(world: World, project: Any, signers: Sequence[Signer], threshold: int) -> Any:
    return world.carrier.deploy(project.AttestorCommittee, world.powers, [signer.id for signer in signers], threshold)


def says_yes(committee: Any, signature: bytes, digest: bytes = DIGEST) -> bool:
    answer = bytes(committee.isValidSignature(digest, signature))
    assert answer in (MAGIC, REFUSED)
    return answer == MAGIC


# ------------------------------------------------------------------------------------------------ m of n, of all kinds


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("threshold", "count"), COMMITTEES, ids=lambda value: str(value))
def test_as_many_as_the_threshold_sign_or_more_and_no_fewer(world: World, project: Any, threshold: int, count: int, kind: str) -> None:
    signers = signers_of(world, project, kind, count)
    committee = committee_of(world, project, signers, threshold)
    for signing in range(count + 1):
        assert says_yes(committee, committee_signature(signers[:signing], DIGEST)) == (signing >= threshold)
    assert says_yes(committee, committee_signature(signers[-threshold:], DIGEST))
    assert (committee.threshold(), committee.getSignerCount()) == (threshold, count)
    assert [bytes(each) for each in committee.getSigners(0, count)] == [signer.id for signer in signers]
    assert all(committee.isSigner(signer.id) for signer in signers)


@pytest.mark.parametrize("kind", KINDS)
def test_passes_and_reports_go_through_under_a_committee_of_every_kind(world: World, project: Any, kind: str) -> None:
    signers = signers_of(world, project, kind, 5)
    committee = committee_of(world, project, signers, 3)
    vip_pass = world.carrier.deploy(project.VIPPass, world.powers, committee, 10)
    parameters = (EPOCH_LENGTH, ACTIVATION_DELAY, PRIORITY_SHARE_BPS)
    registry = world.carrier.deploy(project.ScoreRegistry, world.powers, committee, vip_pass, *parameters)
    elsewhere = replace(world, committee=committee, vip_pass=vip_pass, registry=registry, signers=signers, threshold=3)
    elsewhere.issue(CREATOR, world.alice)
    elsewhere.sync(elsewhere.activate(ranked(CREATOR, {world.alice: 5})))
    assert registry.scoreOf(world.alice, CREATOR) == 5


# ------------------------------------------------------------------------------------------- signatures that do not count

MEMBERS = [key(number) for number in range(5)]


@pytest.fixture
def committee(world: World, project: Any) -> Any:
    """3 of 5 plain keys."""
    return committee_of(world, project, MEMBERS, 3)


def signed(*signers: Signer) -> list[tuple[bytes, bytes]]:
    """Pairs of signer and signature, in the order that the committee wants."""
    return [(signer.id, signer.sign(DIGEST)) for signer in sorted(signers, key=lambda each: keccak(each.id))]


def test_a_member_who_signs_twice_counts_for_nothing(committee: Any) -> None:
    a, b, c = signed(*MEMBERS[:3])
    for pairs in ([a, a, b], [a, b, b], [a, b, a], [a, a, a], [a, b, c, c]):
        assert not says_yes(committee, join_signatures(pairs))


def test_signers_out_of_order_are_refused(committee: Any) -> None:
    a, b, c = signed(*MEMBERS[:3])
    assert says_yes(committee, join_signatures([a, b, c]))
    for pairs in ([a, c, b], [b, a, c], [b, c, a], [c, a, b], [c, b, a]):
        assert not says_yes(committee, join_signatures(pairs))


def test_one_stranger_spoils_it_even_beside_enough_members(committee: Any) -> None:
    stranger = key(99)
    assert not says_yes(committee, committee_signature([*MEMBERS[:2], stranger], DIGEST))
    assert not says_yes(committee, committee_signature([*MEMBERS[:3], stranger], DIGEST))


def test_one_wrong_signature_spoils_it_even_beside_enough_right_ones(committee: Any) -> None:
    pairs = signed(*MEMBERS[:4])
    other = KeySigner.of("thief").sign(DIGEST)
    for wrong in (b"", bytes(65), other, pairs[1][1], pairs[0][1][:-1], MEMBERS[0].sign(keccak(text="another message"))):
        assert not says_yes(committee, join_signatures([(pairs[0][0], wrong), *pairs[1:]]))


def test_more_signers_than_signatures_or_fewer_are_refused(committee: Any) -> None:
    pairs = signed(*MEMBERS[:4])
    ids, signatures = [signer for signer, _ in pairs], [signature for _, signature in pairs]
    for some_ids, some_signatures in ((ids, signatures[:3]), (ids[:3], signatures), (ids, []), ([], signatures)):
        assert not says_yes(committee, encode(["bytes[]", "bytes[]"], [some_ids, some_signatures]))


def test_the_other_form_of_a_signature_with_the_high_s_is_refused(world: World, project: Any) -> None:
    a, b = KeySigner.of("a key"), P256Signer.of(world.carrier.deploy(project.P256Verifier).address, "passkey")
    for signer, order in ((a, SECP256K1_ORDER), (b, P256_ORDER)):
        committee = committee_of(world, project, [signer], 1)
        signature = signer.sign(DIGEST)
        r, s, v = signature[:32], int.from_bytes(signature[32:64]), signature[64:]
        high = r + (order - s).to_bytes(32) + bytes(55 - byte for byte in v)
        assert says_yes(committee, join_signatures([(signer.id, signature)]))
        assert not says_yes(committee, join_signatures([(signer.id, high)]))


GARBAGE = {
    "nothing": b"",
    "a byte": b"\1",
    "less than two words": bytes(63),
    "two words": bytes(64),
    "zeros": bytes(1_000),
    "ones": b"\xff" * 500,
    "offsets beyond the end": bytes(31) + b"\x60" + bytes(31) + b"\x80",
    "lengths without end": bytes(31) + b"\x40" + bytes(31) + b"\x40" + b"\xff" * 32,
    "a head of one offset": bytes(31) + b"\x20" + bytes(32),
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
def test_garbage_is_no_signature(world: World, garbage: bytes) -> None:
    issuance = world.issuance(CREATOR, world.alice)
    digest = digest_of(issuance, world.vip_pass, chain.chain_id)
    assert refused(world.vip_pass.issue, issuance, garbage) == refusal("InvalidSignature", world.committee, digest)


def test_a_smart_wallet_counts_for_as_long_as_it_says_yes(world: World, project: Any) -> None:
    owner, thief = KeySigner.of("owner"), KeySigner.of("thief")
    wallet = world.carrier.deploy(project.SmartWallet, owner.address).address
    committee = committee_of(world, project, [WalletSigner(wallet, owner), key(0)], 2)
    assert says_yes(committee, committee_signature([WalletSigner(wallet, owner), key(0)], DIGEST))
    assert not says_yes(committee, committee_signature([WalletSigner(wallet, thief), key(0)], DIGEST))


# ----------------------------------------------------------------------------------- signed, but not for this purpose


def test_an_issuance_signed_for_another_chain_contract_or_struct_is_refused(world: World) -> None:
    issuance = world.issuance(CREATOR, world.alice)
    digest = digest_of(issuance, world.vip_pass, chain.chain_id)
    others = {
        "another chain": digest_of(issuance, world.vip_pass, chain.chain_id + 1),
        "another contract": digest_of(issuance, world.registry, chain.chain_id),
        "another struct": digest_of(issuance, world.vip_pass, chain.chain_id, struct="Revocation"),
    }
    for other in others.values():
        signature = committee_signature(world.signers[:2], other)
        assert refused(world.vip_pass.issue, issuance, signature) == refusal("InvalidSignature", world.committee, digest)
    world.vip_pass.issue(issuance, committee_signature(world.signers[:2], digest), sender=world.carrier)


def test_a_report_signed_for_another_chain_contract_epoch_or_struct_is_refused(world: World) -> None:
    batch = Batch.of(world.next_epoch(), ranked(CREATOR, {world.alice: 5}))
    report = batch.report
    digest = digest_of(report, world.registry, chain.chain_id)
    others = {
        "another chain": digest_of(report, world.registry, chain.chain_id + 1),
        "another contract": digest_of(report, world.vip_pass, chain.chain_id),
        "another epoch": digest_of(report._replace(epoch=report.epoch - 1), world.registry, chain.chain_id),
        "another struct": digest_of(report, world.registry, chain.chain_id, struct="Draft"),
    }
    for other in others.values():
        signature = committee_signature(world.signers[:2], other)
        assert refused(world.registry.submit, report, signature) == refusal("InvalidSignature", world.committee, digest)
    world.registry.submit(report, committee_signature(world.signers[:2], digest), sender=world.carrier)


# --------------------------------------------------------------------------------------------------------- constructor


@pytest.mark.parametrize(("threshold", "count"), [(1, 2), (1, 3), (2, 4), (2, 5), (3, 6)])
def test_a_threshold_of_half_or_less_is_refused(world: World, project: Any, threshold: int, count: int) -> None:
    ids = [key(number).id for number in range(count)]
    error = refusal("NoMajority", count, threshold)
    assert refused_deployment(project.AttestorCommittee, world.powers, ids, threshold) == error


@pytest.mark.parametrize(
    ("ids", "threshold", "error"),
    [
        ([key(0).id, key(0).id], 2, refusal("MultiSignerERC7913AlreadyExists", key(0).id)),
        ([key(0).id, key(1).id], 0, refusal("MultiSignerERC7913ZeroThreshold")),
        ([], 0, refusal("MultiSignerERC7913ZeroThreshold")),
        ([], 1, refusal("MultiSignerERC7913UnreachableThreshold", 0, 1)),
        ([key(0).id], 2, refusal("MultiSignerERC7913UnreachableThreshold", 1, 2)),
        ([key(0).id[:19]], 1, refusal("MultiSignerERC7913InvalidSigner", key(0).id[:19])),
        ([bytes(20)], 1, refusal("InvalidSigner", bytes(20))),
        ([b""], 1, refusal("InvalidSigner", b"")),
    ],
    ids=["one twice", "nobody need sign", "nobody", "nobody can sign", "too few", "19 bytes", "zero", "empty"],
)
def test_a_committee_that_cannot_be_is_refused(world: World, project: Any, ids: list[bytes], threshold: int, error: Refusal) -> None:
    assert refused_deployment(project.AttestorCommittee, world.powers, ids, threshold) == error


NO_VERIFIERS = {"zero": ZERO, "the identity precompile": IDENTITY, "the P-256 precompile": P256_PRECOMPILE, "a key": key(0).address}


@pytest.mark.parametrize("verifier", NO_VERIFIERS.values(), ids=NO_VERIFIERS)
def test_a_verifier_without_code_is_refused(world: World, project: Any, verifier: str) -> None:
    signer = P256Signer.of(verifier, "passkey").id
    assert refused_deployment(project.AttestorCommittee, world.powers, [signer], 1) == refusal("InvalidSigner", signer)


# -------------------------------------------------------------------------------------------------------------- rotate


def rotate(world: World, added: Sequence[Signer], removed: Sequence[Signer], threshold: int) -> Any:
    return world.govern(world.committee.rotate, *rotation(added, removed, threshold))


def rotation(added: Sequence[Signer], removed: Sequence[Signer], threshold: int) -> tuple[list[bytes], list[bytes], int]:
    return [signer.id for signer in added], [signer.id for signer in removed], threshold


def members(world: World) -> set[bytes]:
    return {bytes(signer) for signer in world.committee.getSigners(0, 2**64 - 1)}


def test_rotate_tells_each_change(world: World) -> None:
    added, removed = MEMBERS[:2], world.signers[:1]
    told = events(rotate(world, added, removed, 3), world.committee)
    assert told == [
        *(("ERC7913SignerAdded", keccak(signer.id)) for signer in added),
        ("ERC7913ThresholdSet", 3),
        *(("ERC7913SignerRemoved", keccak(signer.id)) for signer in removed),
    ]
    assert members(world) == {signer.id for signer in (*world.signers[1:], *added)}
    assert world.committee.threshold() == 3


# From the committee of 2 of 3: how many join, how many leave, and the new threshold.
ROTATIONS = {
    "to 3 of 5": (2, 0, 3),
    "one for another": (1, 1, 2),
    "all for others": (3, 3, 2),
    "to 3 of 5 others": (5, 3, 3),
    "to another alone": (1, 3, 1),
    "to 1 of 1": (0, 2, 1),
    "to 2 of 2": (0, 1, 2),
    "to 3 of 3": (0, 0, 3),
    "as it is": (0, 0, 2),
}


@pytest.mark.parametrize(("added", "removed", "threshold"), ROTATIONS.values(), ids=ROTATIONS)
def test_rotate_leads_in_one_step_from_any_majority_to_any_other(world: World, added: int, removed: int, threshold: int) -> None:
    rotate(world, MEMBERS[:added], world.signers[:removed], threshold)
    now_members = [*world.signers[removed:], *MEMBERS[:added]]
    assert members(world) == {signer.id for signer in now_members}
    assert not says_yes(world.committee, committee_signature(now_members[: threshold - 1], DIGEST))
    assert says_yes(world.committee, committee_signature(now_members[-threshold:], DIGEST))


NO_ROTATIONS = {
    "half of more members": (rotation(MEMBERS[:1], [], 2), refusal("NoMajority", 4, 2)),
    "a lower threshold": (rotation([], [], 1), refusal("NoMajority", 3, 1)),
    "no threshold": (rotation([], [], 0), refusal("MultiSignerERC7913ZeroThreshold")),
    "a threshold out of reach": (rotation([], [], 4), refusal("MultiSignerERC7913UnreachableThreshold", 3, 4)),
    "one new member twice": (rotation(MEMBERS[:1] * 2, [], 3), refusal("MultiSignerERC7913AlreadyExists", MEMBERS[0].id)),
    "without a stranger": (rotation([], MEMBERS[:1], 2), refusal("MultiSignerERC7913NonexistentSigner", MEMBERS[0].id)),
}


@pytest.mark.parametrize(("args", "error"), NO_ROTATIONS.values(), ids=NO_ROTATIONS)
def test_rotate_refuses_to_leave_no_majority_or_to_change_what_is_not_so(
    world: World, args: tuple[list[bytes], list[bytes], int], error: Refusal
) -> None:
    world.announce(world.committee.rotate, *args)
    assert refused(world.committee.rotate, *args, sender=world.governor) == error


def test_rotate_refuses_to_remove_so_many_that_the_rest_cannot_sign(world: World) -> None:
    args = rotation([], world.signers[:2], 2)
    world.announce(world.committee.rotate, *args)
    error = refusal("MultiSignerERC7913UnreachableThreshold", 1, 2)
    assert refused(world.committee.rotate, *args, sender=world.governor) == error


def test_rotate_refuses_a_member_who_is_one_already(world: World) -> None:
    args = rotation(world.signers[:1], [], 2)
    world.announce(world.committee.rotate, *args)
    error = refusal("MultiSignerERC7913AlreadyExists", world.signers[0].id)
    assert refused(world.committee.rotate, *args, sender=world.governor) == error


@pytest.mark.parametrize("who", ["zero", "the committee itself", "nothing", *(f"{name} as verifier" for name in NO_VERIFIERS)])
def test_rotate_refuses_signers_that_anybody_or_nobody_could_sign_for(world: World, who: str) -> None:
    signer = {
        "zero": bytes(20),
        "the committee itself": bytes.fromhex(world.committee.address[2:]),
        "nothing": b"",
        **{f"{name} as verifier": P256Signer.of(verifier, "passkey").id for name, verifier in NO_VERIFIERS.items()},
    }[who]
    world.announce(world.committee.rotate, [signer], [], 3)
    assert refused(world.committee.rotate, [signer], [], 3, sender=world.governor) == refusal("InvalidSigner", signer)


def test_given_a_rotation_what_a_removed_member_signed_is_void_and_what_the_others_signed_stays_good(world: World) -> None:
    issuance = world.issuance(CREATOR, world.alice, deadline=now() + 30 * DAY)
    leaver, *stayers = world.signers
    by_leaver, by_stayers = world.sign(issuance, [leaver, stayers[0]]), world.sign(issuance, stayers)
    rotate(world, MEMBERS[:1], [leaver], 2)
    digest = digest_of(issuance, world.vip_pass, chain.chain_id)
    assert refused(world.vip_pass.issue, issuance, by_leaver) == refusal("InvalidSignature", world.committee, digest)
    world.vip_pass.issue(issuance, by_stayers, sender=world.carrier)
    assert world.vip_pass.isVip(world.alice, CREATOR)


def test_given_a_higher_threshold_what_fewer_signed_before_is_void(world: World) -> None:
    issuance = world.issuance(CREATOR, world.alice, deadline=now() + 30 * DAY)
    by_two = world.sign(issuance)
    rotate(world, [], [], 3)
    digest = digest_of(issuance, world.vip_pass, chain.chain_id)
    assert refused(world.vip_pass.issue, issuance, by_two) == refusal("InvalidSignature", world.committee, digest)
    world.vip_pass.issue(issuance, world.sign(issuance, world.signers), sender=world.carrier)
