"""The specification of ScoreRegistry, function by function. What `challenge` finds, and the ring, have files of their own."""

from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import Any, NamedTuple

import pytest
from ape import chain

from tests.contracts.support import (
    ACTIVATION_DELAY,
    CREATOR,
    EPOCH_LENGTH,
    PRIORITY_SHARE_BPS,
    WORKER,
    ZERO,
    Batch,
    KeySigner,
    Standing,
    World,
    digest_of,
    events,
    now,
    pass_id,
    ranked,
    refusal,
    refused,
    refused_deployment,
    stranger,
    travel,
    travel_to,
)

MINUTE = 60


class PostedReport(NamedTuple):
    epoch: int = 0
    root: bytes = bytes(32)
    creators: int = 0
    workers: int = 0
    submittedAt: int = 0
    activatesAt: int = 0
    isVoid: bool = False


NO_REPORT = PostedReport()


def posted(batch: Batch, submitted_at: int, is_void: bool = False) -> PostedReport:
    """What the registry shall know of `batch`."""
    _, root, _, _, creators, workers = batch.report
    return PostedReport(batch.epoch, root, creators, workers, submitted_at, submitted_at + ACTIVATION_DELAY, is_void)


def told(report: Any) -> PostedReport:
    return PostedReport(*(getattr(report, part) for part in PostedReport._fields))


def active(world: World) -> PostedReport:
    return told(world.registry.activeReport())


def pending(world: World) -> PostedReport:
    return told(world.registry.pendingReport())


def scores(world: World, first: int = 900, step: int = 100) -> list[Standing]:
    """Standings of all five members as creators, in the order of their addresses."""
    return ranked(CREATOR, {member: first - step * i for i, member in enumerate(world.members)})


# --------------------------------------------------------------------------------------------------------- constructor


def arguments(world: World, **changes: Any) -> list[Any]:
    given = {
        "authority": world.powers,
        "attestor": world.committee,
        "pass": world.vip_pass,
        "epochLength": EPOCH_LENGTH,
        "activationDelay": ACTIVATION_DELAY,
        "priorityShareBps": PRIORITY_SHARE_BPS,
    }
    return list((given | changes).values())


def elsewhere(world: World, registry: Any) -> World:
    """The same world with another registry."""
    return replace(world, registry=registry)


@pytest.mark.parametrize("length", [0, 1, 59, 61, 86_399])
def test_an_epoch_that_is_no_whole_number_of_minutes_is_refused(world: World, project: Any, length: int) -> None:
    args = arguments(world, epochLength=length, activationDelay=0)
    assert refused_deployment(project.ScoreRegistry, *args) == refusal("InvalidEpochLength", length)


@pytest.mark.parametrize("delay", [EPOCH_LENGTH, EPOCH_LENGTH + 1, 2**256 - 1])
def test_a_delay_that_is_not_shorter_than_an_epoch_is_refused(world: World, project: Any, delay: int) -> None:
    args = arguments(world, activationDelay=delay)
    assert refused_deployment(project.ScoreRegistry, *args) == refusal("InvalidActivationDelay", delay)


@pytest.mark.parametrize("share", [0, 10_001])
def test_a_share_of_nothing_or_of_more_than_all_is_refused(world: World, project: Any, share: int) -> None:
    args = arguments(world, priorityShareBps=share)
    assert refused_deployment(project.ScoreRegistry, *args) == refusal("InvalidPriorityShare", share)


def test_no_attestor_is_refused(world: World, project: Any) -> None:
    assert refused_deployment(project.ScoreRegistry, *arguments(world, attestor=ZERO)) == refusal("InvalidAttestor", ZERO)


def test_the_shortest_epoch_the_longest_delay_and_the_whole_share_are_accepted(world: World, project: Any) -> None:
    args = arguments(world, epochLength=MINUTE, activationDelay=MINUTE - 1, priorityShareBps=10_000)
    registry = world.carrier.deploy(project.ScoreRegistry, *args)
    assert events(registry.creation_metadata.receipt) == [
        ("AuthorityUpdated", world.powers.address),
        ("AttestorSet", world.committee.address),
    ]
    assert (registry.EPOCH_LENGTH(), registry.ACTIVATION_DELAY(), registry.PRIORITY_SHARE_BPS()) == (MINUTE, MINUTE - 1, 10_000)
    assert (registry.authority(), registry.attestor(), registry.PASS()) == (
        world.powers.address,
        world.committee.address,
        world.vip_pass.address,
    )


def test_given_no_delay_a_report_is_active_as_soon_as_it_is_submitted(world: World, project: Any) -> None:
    registry = world.carrier.deploy(project.ScoreRegistry, *arguments(world, activationDelay=0))
    batch = elsewhere(world, registry).post(scores(world))
    assert (registry.activeReport().epoch, registry.pendingReport().epoch) == (batch.epoch, 0)


# -------------------------------------------------------------------------------------------------------------- submit


def test_submit_by_anybody_posts_the_report_and_says_when_it_activates(world: World) -> None:
    batch = Batch.of(world.next_epoch(), scores(world), workers=3)
    report = batch.report
    assert events(world.submit(batch, sender=world.alice)) == [
        (
            "Submitted",
            report.epoch,
            report.root,
            report.policyHash,
            report.archiveHash,
            5,
            3,
            now() + ACTIVATION_DELAY,
        )
    ]
    assert (pending(world), active(world)) == (posted(batch, now()), NO_REPORT)
    assert told(world.registry.reportOf(batch.epoch)) == posted(batch, now())
    assert world.registry.lastEpoch() == batch.epoch


@pytest.mark.parametrize("counts", [{"creators": 0, "workers": 1}, {"creators": 2**32 - 1, "workers": 2**32 - 1}], ids=str)
def test_submit_accepts_a_role_without_members_and_as_many_as_fit(world: World, counts: dict[str, int]) -> None:
    batch = world.post(scores(world), **counts)
    assert (pending(world).creators, pending(world).workers) == (batch.report.creators, batch.report.workers)


def test_submit_refuses_an_epoch_until_the_second_it_has_ended(world: World) -> None:
    epoch = now() // EPOCH_LENGTH + 1
    batch = Batch.of(epoch, scores(world))
    travel_to(epoch * EPOCH_LENGTH - 1)
    error = refusal("EpochInFuture", epoch, epoch * EPOCH_LENGTH)
    assert refused(world.registry.submit, batch.report, world.sign(batch.report)) == error
    travel(1)
    world.submit(batch)
    assert pending(world).epoch == epoch


@pytest.mark.parametrize("epoch", [2**32, 2**63, 2**64 - 1])
def test_submit_refuses_an_epoch_of_the_far_future_without_overflow(world: World, epoch: int) -> None:
    batch = Batch.of(epoch, scores(world))
    error = refusal("EpochInFuture", epoch, epoch * EPOCH_LENGTH)
    assert refused(world.registry.submit, batch.report, world.sign(batch.report)) == error


def test_submit_refuses_an_epoch_that_is_not_after_the_last_even_if_the_last_is_void(world: World) -> None:
    last = world.activate(scores(world))
    for state in ("active", "void"):
        for epoch in (0, 1, last.epoch - 1, last.epoch):
            again = Batch.of(epoch, scores(world, 800))
            error = refusal("EpochNotAfterLast", epoch, last.epoch)
            assert refused(world.registry.submit, again.report, world.sign(again.report)) == error, state
        if state == "active":
            world.veto(last)


def test_submit_refuses_epoch_0_as_the_first(world: World) -> None:
    batch = Batch.of(0, scores(world))
    assert refused(world.registry.submit, batch.report, world.sign(batch.report)) == refusal("EpochNotAfterLast", 0, 0)


def test_submit_may_leave_epochs_out(world: World) -> None:
    world.activate(scores(world))
    travel(5 * EPOCH_LENGTH)
    later = Batch.of(now() // EPOCH_LENGTH, scores(world, 800))
    world.submit(later)
    assert pending(world).epoch == later.epoch


def test_submit_refuses_a_second_report_until_the_first_is_active(world: World) -> None:
    travel_to((now() // EPOCH_LENGTH + 1) * EPOCH_LENGTH - 1)
    first = world.post(scores(world))
    travel(ACTIVATION_DELAY - 1)
    second = Batch.of(first.epoch + 1, scores(world))
    assert refused(world.registry.submit, second.report, world.sign(second.report)) == refusal("ReportPending", first.epoch)
    travel(1)
    world.submit(second)
    assert (active(world).epoch, pending(world).epoch) == (first.epoch, second.epoch)


def test_given_the_pending_report_is_void_the_next_may_come_at_once(world: World) -> None:
    travel_to((now() // EPOCH_LENGTH + 1) * EPOCH_LENGTH - 1)
    first = world.post(scores(world))
    travel(1)
    world.veto(first)
    second = Batch.of(first.epoch + 1, scores(world))
    world.submit(second)
    assert (active(world), pending(world)) == (NO_REPORT, posted(second, now()))


def test_submit_refuses_a_root_of_zero(world: World) -> None:
    batch = Batch.of(world.next_epoch(), scores(world), root=bytes(32))
    assert refused(world.registry.submit, batch.report, world.sign(batch.report)) == refusal("ZeroRoot")


def test_submit_refuses_a_report_without_members(world: World) -> None:
    batch = Batch.of(world.next_epoch(), scores(world), creators=0)
    assert refused(world.registry.submit, batch.report, world.sign(batch.report)) == refusal("NoMembers")


def test_submit_refuses_what_the_attestor_did_not_sign(world: World) -> None:
    report = Batch.of(world.next_epoch(), scores(world)).report
    signature = world.sign(report)
    forgeries = [
        report._replace(epoch=report.epoch - 1),
        report._replace(root=b"\1" * 32),
        report._replace(policyHash=b"\1" * 32),
        report._replace(archiveHash=b"\1" * 32),
        report._replace(creators=6),
        report._replace(workers=1),
    ]
    for forgery in forgeries:
        digest = digest_of(forgery, world.registry, chain.chain_id)
        assert refused(world.registry.submit, forgery, signature) == refusal("InvalidSignature", world.committee, digest)
    digest = digest_of(report, world.registry, chain.chain_id)
    for wrong in (b"", bytes(65), KeySigner.of("nobody").sign(digest)):
        assert refused(world.registry.submit, report, wrong) == refusal("InvalidSignature", world.committee, digest)


def test_given_the_attestor_is_replaced_only_the_new_one_is_believed(world: World) -> None:
    heir = KeySigner.of("heir")
    assert events(world.govern(world.registry.setAttestor, heir.address), world.registry) == [("AttestorSet", heir.address)]
    assert world.registry.attestor() == heir.address
    report = Batch.of(world.next_epoch(), scores(world)).report
    digest = digest_of(report, world.registry, chain.chain_id)
    assert refused(world.registry.submit, report, world.sign(report)) == refusal("InvalidSignature", heir.address, digest)
    world.registry.submit(report, heir.sign(digest), sender=world.carrier)
    assert pending(world).epoch == report.epoch


def test_set_attestor_refuses_nobody(world: World) -> None:
    world.announce(world.registry.setAttestor, ZERO)
    assert refused(world.registry.setAttestor, ZERO, sender=world.governor) == refusal("InvalidAttestor", ZERO)


def test_report_digest_is_that_of_eip_712(world: World) -> None:
    report = Batch.of(2**64 - 1, scores(world), creators=2**32 - 1, workers=7).report
    assert world.registry.reportDigest(report) == digest_of(report, world.registry, chain.chain_id)


# ---------------------------------------------------------------------------------------------- the life of a report


def test_before_the_first_report_there_is_none(world: World) -> None:
    assert (active(world), pending(world), world.registry.lastEpoch()) == (NO_REPORT, NO_REPORT, 0)
    for epoch in (0, 1, now() // EPOCH_LENGTH):
        assert refused(world.registry.reportOf, epoch) == refusal("UnknownEpoch", epoch)


def test_a_report_is_pending_until_one_second_before_its_moment_and_active_at_it(world: World) -> None:
    batch = world.post(scores(world))
    submitted = now()
    travel_to(submitted + ACTIVATION_DELAY - 1)
    assert (pending(world), active(world)) == (posted(batch, submitted), NO_REPORT)
    travel(1)
    assert (pending(world), active(world)) == (NO_REPORT, posted(batch, submitted))


def test_a_report_stays_active_until_the_second_the_next_one_is(world: World) -> None:
    first = world.activate(scores(world))
    first_at = now() - ACTIVATION_DELAY
    second = world.post(scores(world, 800))
    second_at = now()
    travel(ACTIVATION_DELAY - 1)
    assert (active(world), pending(world)) == (posted(first, first_at), posted(second, second_at))
    travel(1)
    assert (active(world), pending(world)) == (posted(second, second_at), NO_REPORT)
    assert told(world.registry.reportOf(first.epoch)) == posted(first, first_at)


def test_a_report_that_nothing_follows_stays_active(world: World) -> None:
    batch = world.activate(scores(world))
    travel(400 * EPOCH_LENGTH)
    assert active(world).epoch == batch.epoch


def test_report_of_knows_only_epochs_that_were_reported(world: World) -> None:
    first = world.activate(scores(world))
    travel(3 * EPOCH_LENGTH)
    last = world.activate(scores(world))
    for epoch in (first.epoch, last.epoch):
        assert world.registry.reportOf(epoch).epoch == epoch
    for epoch in (0, first.epoch - 1, first.epoch + 1, last.epoch - 1, last.epoch + 1, 2**64 - 1):
        assert refused(world.registry.reportOf, epoch) == refusal("UnknownEpoch", epoch)


# ---------------------------------------------------------------------------------------------------------------- veto


def test_veto_of_the_pending_report_voids_it_and_leaves_the_active_one(world: World) -> None:
    first = world.activate(scores(world))
    second = world.post(scores(world, 800))
    submitted = now()
    assert events(world.veto(second, "wrong policy")) == [("Voided", second.epoch, world.guardian.address, "wrong policy")]
    assert (active(world).epoch, pending(world)) == (first.epoch, NO_REPORT)
    travel(ACTIVATION_DELAY)
    assert (active(world).epoch, pending(world)) == (first.epoch, NO_REPORT)
    assert told(world.registry.reportOf(second.epoch)) == posted(second, submitted, is_void=True)
    assert (world.registry.isVoid(second.epoch), world.registry.isVoid(first.epoch)) == (True, False)


def test_veto_of_the_active_report_brings_the_one_before_back(world: World) -> None:
    first, second = world.activate(scores(world)), world.activate(scores(world, 800))
    world.veto(second)
    assert active(world).epoch == first.epoch
    world.veto(first)
    assert active(world) == NO_REPORT


def test_veto_of_the_active_report_leaves_the_pending_one_to_its_time(world: World) -> None:
    first, second = world.activate(scores(world)), world.activate(scores(world, 800))
    third = world.post(scores(world, 700))
    world.veto(second)
    assert (active(world).epoch, pending(world).epoch) == (first.epoch, third.epoch)
    travel(ACTIVATION_DELAY)
    assert active(world).epoch == third.epoch


def test_veto_of_a_superseded_report_takes_it_out_of_the_line_of_those_that_can_come_back(world: World) -> None:
    first, second, third = (world.activate(scores(world, score)) for score in (900, 800, 700))
    world.veto(second)
    assert active(world).epoch == third.epoch
    world.veto(third)
    assert active(world).epoch == first.epoch


def test_given_a_void_epoch_only_the_next_repairs_it(world: World) -> None:
    void = world.post(scores(world))
    world.veto(void)
    repaired = world.activate(scores(world, 800))
    assert repaired.epoch == void.epoch + 1
    assert active(world).epoch == repaired.epoch
    assert world.registry.isVoid(void.epoch)


def test_veto_refuses_a_void_report_an_unknown_epoch_and_no_reason(world: World) -> None:
    batch = world.post(scores(world))
    veto = world.registry.veto
    assert refused(veto, batch.epoch, "", sender=world.guardian) == refusal("NoReason")
    for epoch in (0, batch.epoch - 1, batch.epoch + 1):
        assert refused(veto, epoch, "wrong", sender=world.guardian) == refusal("UnknownEpoch", epoch)
    world.veto(batch)
    assert refused(veto, batch.epoch, "wrong", sender=world.guardian) == refusal("AlreadyVoid", batch.epoch)


# -------------------------------------------------------------------------------------------------------------- verify


def test_verify_says_what_was_in_a_report_in_every_phase_of_it_and_no_more(world: World) -> None:
    first = world.post(scores(world))
    second = scores(world, 800)

    def is_in_first() -> bool:
        # None of them holds a pass: that is not asked.
        return all(world.registry.verify(first.epoch, standing, first.proof(standing)) for standing in first.standings)

    assert is_in_first(), "pending"
    travel(ACTIVATION_DELAY)
    assert is_in_first(), "active"
    world.activate(second)
    assert is_in_first(), "superseded"
    world.veto(first)
    assert is_in_first(), "void"


def test_verify_denies_what_was_not_in_it(world: World) -> None:
    first, second = world.activate(scores(world)), world.activate(scores(world, 800))
    standing = first.standings[0]
    proof = first.proof(standing)
    for lie in (
        standing._replace(score=standing.score + 1),
        standing._replace(rank=standing.rank + 1),
        standing._replace(passId=pass_id(world.carrier, CREATOR)),
        standing._replace(passId=standing.passId | 1 << 200),
        first.standings[1],
    ):
        assert not world.registry.verify(first.epoch, lie, proof)
    for wrong in (proof[:-1], proof[::-1], [*proof, bytes(32)], first.proof(first.standings[1])):
        assert not world.registry.verify(first.epoch, standing, wrong)
    assert not world.registry.verify(second.epoch, standing, proof)


def test_verify_refuses_an_epoch_without_a_report(world: World) -> None:
    batch = world.post(scores(world))
    standing = batch.standings[0]
    for epoch in (0, batch.epoch + 1):
        assert refused(world.registry.verify, epoch, standing, batch.proof(standing)) == refusal("UnknownEpoch", epoch)


def test_an_empty_proof_proves_the_only_member_and_is_refused_where_there_are_more(world: World) -> None:
    alone = world.activate(ranked(CREATOR, {world.alice: 5}))
    assert world.registry.verify(alone.epoch, alone.standings[0], [])
    # A root that is a leaf, under a report that claims two members.
    two = world.activate(alone.standings, creators=1, workers=1)
    error = refusal("EmptyProof", two.epoch, 2)
    assert refused(world.registry.verify, two.epoch, two.standings[0], []) == error
    assert refused(world.registry.isPrioritized, two.standings[0], []) == error
    assert refused(world.registry.sync, two.epoch, two.standings, [], []) == error


# ---------------------------------------------------------------------------------------------------------------- sync


def test_sync_by_anybody_stores_standings_of_the_active_report(world: World) -> None:
    world.issue(CREATOR, *world.members)
    batch = world.activate(scores(world))
    chosen = [batch.standings[1], batch.standings[3]]
    assert events(world.sync(batch, chosen, sender=world.alice)) == [("Synced", batch.epoch, 2)]
    for standing, member in zip(batch.standings, world.members, strict=True):
        stored = (batch.epoch, standing.score, standing.rank) if standing in chosen else (0, 0, 0)
        assert tuple(world.registry.standingOf(member, CREATOR)) == stored
        assert world.registry.scoreOf(member, CREATOR) == stored[1]


def test_sync_of_all_members_at_once_needs_no_proof(world: World) -> None:
    world.issue(CREATOR, *world.members)
    batch = world.activate(scores(world))
    _, proof, _ = batch.multiproof()
    assert proof == []
    world.sync(batch)
    assert [world.registry.scoreOf(member, CREATOR) for member in world.members] == [900, 800, 700, 600, 500]


def test_sync_of_the_only_member_needs_no_proof(world: World) -> None:
    world.issue(CREATOR, world.alice)
    batch = world.activate(ranked(CREATOR, {world.alice: 5}))
    world.sync(batch)
    assert world.registry.scoreOf(world.alice, CREATOR) == 5


def test_sync_keeps_the_roles_of_a_wallet_apart(world: World) -> None:
    world.issue(CREATOR, world.alice)
    world.issue(WORKER, world.alice)
    batch = world.activate([*ranked(CREATOR, {world.alice: 7}), *ranked(WORKER, {world.alice: 11})])
    world.sync(batch)
    assert [world.registry.scoreOf(world.alice, role) for role in (CREATOR, WORKER)] == [7, 11]


def test_sync_keeps_the_greatest_values(world: World) -> None:
    world.issue(WORKER, world.alice)
    batch = world.activate([Standing(pass_id(world.alice, WORKER), 2**64 - 1, 2**32 - 1)])
    world.sync(batch)
    assert tuple(world.registry.standingOf(world.alice, WORKER)) == (batch.epoch, 2**64 - 1, 2**32 - 1)


def test_sync_again_changes_nothing(world: World) -> None:
    world.issue(CREATOR, *world.members)
    batch = world.activate(scores(world))
    for _ in range(3):
        world.sync(batch)
    assert tuple(world.registry.standingOf(world.members[0], CREATOR)) == (batch.epoch, 900, 1)


def test_sync_refuses_no_standings(world: World) -> None:
    batch = world.activate(scores(world))
    assert refused(world.registry.sync, batch.epoch, [], [batch.tree.root], []) == refusal("NoStandings")


def test_sync_refuses_every_epoch_but_the_active_and_the_pending(world: World) -> None:
    superseded, current, void = world.activate(scores(world)), world.activate(scores(world, 800)), world.post(scores(world, 700))
    world.veto(void)
    coming = world.post(scores(world, 600))
    for batch in (current, coming):
        world.sync(batch)
    for batch in (superseded, void):
        assert refused(world.registry.sync, batch.epoch, *batch.multiproof()) == refusal("NotCurrent", batch.epoch)
    for epoch in (0, superseded.epoch - 1, coming.epoch + 1):
        assert refused(world.registry.sync, epoch, *coming.multiproof()) == refusal("NotCurrent", epoch)


def test_sync_before_the_first_report_is_refused(world: World) -> None:
    batch = Batch.of(0, scores(world))
    assert refused(world.registry.sync, 0, *batch.multiproof()) == refusal("NotCurrent", 0)


def test_sync_refuses_standings_that_are_not_in_the_report(world: World) -> None:
    other, batch = world.activate(scores(world, 800)), world.activate(scores(world))
    chosen, proof, flags = batch.multiproof(batch.standings[:2])
    error = refusal("InvalidProof", batch.epoch, 0)
    for lie in (
        [chosen[0]._replace(score=901), chosen[1]],
        [chosen[0], chosen[1]._replace(rank=1)],
        [chosen[1], batch.standings[2]],
    ):
        assert refused(world.registry.sync, batch.epoch, lie, proof, flags) == error
    assert refused(world.registry.sync, batch.epoch, *other.multiproof(other.standings[:2])) == error, "of another epoch"


def test_sync_refuses_a_proof_of_the_wrong_form(world: World) -> None:
    batch = world.activate(scores(world))
    chosen, proof, flags = batch.multiproof(batch.standings[:2])
    for wrong_proof, wrong_flags in ((proof, flags[:-1]), (proof[:-1], flags), ([*proof, bytes(32)], flags)):
        error = refusal("MerkleProofInvalidMultiproof")
        assert refused(world.registry.sync, batch.epoch, chosen, wrong_proof, wrong_flags) == error


def test_sync_refuses_an_id_with_stray_bits_though_it_is_in_the_report(world: World) -> None:
    alias = pass_id(world.alice, CREATOR) | 1 << 200
    batch = world.activate([Standing(alias, 5, 1), *ranked(WORKER, {world.bob: 3})], creators=1)
    assert refused(world.registry.sync, batch.epoch, *batch.multiproof()) == refusal("InvalidPass", alias)


def test_sync_stores_the_standing_of_a_wallet_without_a_pass_and_nothing_believes_it_until_it_has_one(world: World) -> None:
    batch = world.activate(ranked(CREATOR, {world.alice: 5}))
    world.sync(batch)
    assert beliefs(world, world.alice) == (0, False, (0, 0, 0))
    world.issue(CREATOR, world.alice)
    assert beliefs(world, world.alice) == (5, True, (batch.epoch, 5, 1))


# -------------------------------------------------------------------------------- two standings of one pass, in one slot


def beliefs(world: World, account: Any, role: int = CREATOR) -> tuple[int, bool, tuple[int, int, int]]:
    """What the readers of storage say: score, priority, and last standing."""
    registry = world.registry
    return (
        registry.scoreOf(account, role),
        registry.isPrioritized(account, role),
        tuple(registry.standingOf(account, role)),
    )


def test_given_the_pending_standing_is_stored_the_active_one_counts_to_the_last_second(world: World) -> None:
    world.issue(CREATOR, world.alice)
    before = world.activate(ranked(CREATOR, {world.alice: 5}))
    world.sync(before)
    coming = world.post(ranked(CREATOR, {world.alice: 6}))
    world.sync(coming)
    travel(ACTIVATION_DELAY - 1)
    assert beliefs(world, world.alice) == (5, True, (before.epoch, 5, 1))
    travel(1)
    assert beliefs(world, world.alice) == (6, True, (coming.epoch, 6, 1))


def test_given_the_first_report_is_pending_nothing_is_believed_before_its_moment(world: World) -> None:
    world.issue(CREATOR, world.alice)
    batch = world.post(ranked(CREATOR, {world.alice: 5}))
    world.sync(batch)
    assert beliefs(world, world.alice) == (0, False, (0, 0, 0))
    travel(ACTIVATION_DELAY)
    assert beliefs(world, world.alice) == (5, True, (batch.epoch, 5, 1))


def test_given_a_newer_report_without_a_sync_the_score_is_gone_and_the_last_standing_is_shown_with_its_epoch(world: World) -> None:
    world.issue(CREATOR, world.alice)
    old = world.activate(ranked(CREATOR, {world.alice: 5}))
    world.sync(old)
    world.activate(ranked(CREATOR, {world.alice: 6}))
    world.activate(ranked(CREATOR, {world.alice: 7}))
    assert beliefs(world, world.alice) == (0, False, (old.epoch, 5, 1))


def test_given_the_active_report_is_voided_the_standing_before_counts_again(world: World) -> None:
    world.issue(CREATOR, world.alice)
    batches = []
    for score in (5, 6):
        batches.append(world.activate(ranked(CREATOR, {world.alice: score})))
        world.sync(batches[-1])
    world.veto(batches[1])
    assert beliefs(world, world.alice) == (5, True, (batches[0].epoch, 5, 1))
    world.veto(batches[0])
    assert beliefs(world, world.alice) == (0, False, (0, 0, 0))


def test_given_a_standing_was_overwritten_and_its_report_came_back_it_can_be_stored_again(world: World) -> None:
    world.issue(CREATOR, world.alice)
    first, second = (world.activate(ranked(CREATOR, {world.alice: score})) for score in (5, 6))
    world.sync(second)
    third = world.post(ranked(CREATOR, {world.alice: 7}))
    world.sync(third)
    world.veto(second)
    assert beliefs(world, world.alice) == (0, False, (0, 0, 0))
    world.sync(first)
    assert beliefs(world, world.alice) == (5, True, (first.epoch, 5, 1))
    travel(ACTIVATION_DELAY)
    assert beliefs(world, world.alice) == (7, True, (third.epoch, 7, 1)), "the pending one was not overwritten"


# The active report A, then B that is voided while it is pending, then C that becomes active: when each is synced, if at all.
MOMENTS_OF_A = ("never", "at first", "B pending", "B synced", "B void", "C pending", "C synced")


@pytest.mark.parametrize(("moment", "b_is_synced", "c_is_synced"), list(product(MOMENTS_OF_A, (False, True), (False, True))))
def test_given_a_void_pending_report_in_between_every_order_of_syncs_ends_in_the_same(
    world: World, moment: str, b_is_synced: bool, c_is_synced: bool
) -> None:
    alice = world.alice
    world.issue(CREATOR, alice)
    a = world.activate(ranked(CREATOR, {alice: 10}))
    is_stored = False

    def reach(now_: str) -> None:
        nonlocal is_stored
        if now_ == moment:
            world.sync(a)
            is_stored = True
        assert beliefs(world, alice) == ((10, True, (a.epoch, 10, 1)) if is_stored else (0, False, (0, 0, 0))), now_

    reach("at first")
    b = world.post(ranked(CREATOR, {alice: 20}))
    reach("B pending")
    if b_is_synced:
        world.sync(b)
    reach("B synced")
    world.veto(b)
    reach("B void")
    c = world.post(ranked(CREATOR, {alice: 30}))
    reach("C pending")
    if c_is_synced:
        world.sync(c)
    reach("C synced")
    travel(ACTIVATION_DELAY)
    if not c_is_synced:
        last = (a.epoch, 10, 1) if is_stored else (0, 0, 0)
        assert beliefs(world, alice) == (0, False, last)
        world.sync(c)
    assert beliefs(world, alice) == (30, True, (c.epoch, 30, 1))


# ------------------------------------------------------------------------------------------------------------ priority


@pytest.mark.parametrize("creators", range(1, 26))
def test_a_tenth_of_the_members_of_a_role_rounded_up_is_prioritised(world: World, creators: int) -> None:
    last, next_one = world.alice, world.bob
    members = {CREATOR: creators, WORKER: 26 - creators}
    standings = []
    for role, count in members.items():
        world.issue(role, last, next_one)
        best = -(-count // 10)
        order: list[Any] = [stranger(number) for number in range(1, count + 1)]
        order[best - 1 : best + 1] = [last, next_one][: count - best + 1]
        standings += ranked(role, [(account, 1_000 - place) for place, account in enumerate(order)])
    batch = world.activate(standings)
    theirs = [standing for standing in standings if standing.passId % 2**160 in (int(last.address, 16), int(next_one.address, 16))]
    world.sync(batch, theirs)
    for standing in theirs:
        account, role = (last if standing.passId % 2**160 == int(last.address, 16) else next_one), standing.passId >> 160
        assert standing.rank == -(-members[role] // 10) + (account == next_one)
        assert world.registry.isPrioritized(account, role) == (account == last)
        assert world.registry.isPrioritized(standing, batch.proof(standing)) == (account == last)


@pytest.mark.parametrize(("share", "members", "best"), [(1, 1, 1), (1, 10_000, 1), (1, 10_001, 2), (10_000, 2**32 - 1, 2**32 - 1)])
def test_the_share_is_of_the_deployment(world: World, project: Any, share: int, members: int, best: int) -> None:
    registry = world.carrier.deploy(project.ScoreRegistry, *arguments(world, activationDelay=0, priorityShareBps=share))
    world.issue(WORKER, world.alice, world.bob)
    standings = [Standing(pass_id(world.alice, WORKER), 9, best), Standing(pass_id(world.bob, WORKER), 8, (best + 1) % 2**32)]
    batch = elsewhere(world, registry).post(standings, workers=members, creators=1)
    proofs = [(standing, batch.proof(standing)) for standing in standings]
    assert [registry.isPrioritized(*proof) for proof in proofs] == [True, False]


def test_by_proof_only_a_standing_of_the_active_report_is_prioritised(world: World) -> None:
    world.issue(CREATOR, world.alice, world.bob)

    def is_prioritized(batch: Batch) -> bool:
        return bool(world.registry.isPrioritized(batch.standings[0], batch.proof(batch.standings[0])))

    first = world.post(ranked(CREATOR, {world.alice: 5, world.bob: 4}))
    assert not is_prioritized(first), "pending, none active"
    travel(ACTIVATION_DELAY)
    assert is_prioritized(first), "active"
    second = world.post(ranked(CREATOR, {world.alice: 6, world.bob: 4}))
    assert (is_prioritized(first), is_prioritized(second)) == (True, False), "active, pending"
    travel(ACTIVATION_DELAY)
    assert (is_prioritized(first), is_prioritized(second)) == (False, True), "superseded, active"
    world.veto(second)
    assert (is_prioritized(first), is_prioritized(second)) == (True, False), "active again, void"
    world.veto(first)
    assert not is_prioritized(first), "void, none active"


def test_by_proof_a_false_standing_is_not_prioritised_and_a_malformed_one_is_refused(world: World) -> None:
    world.issue(CREATOR, *world.members)
    batch = world.activate(scores(world))
    best, second = batch.standings[:2]
    is_prioritized = world.registry.isPrioritized
    assert is_prioritized(best, batch.proof(best))
    assert not is_prioritized(second._replace(rank=1), batch.proof(second))
    assert not is_prioritized(best, batch.proof(second))
    alias = best._replace(passId=best.passId | 1 << 200)
    assert refused(is_prioritized, alias, batch.proof(best)) == refusal("InvalidPass", alias.passId)
    assert refused(is_prioritized, best, []) == refusal("EmptyProof", batch.epoch, 5)


def test_rank_0_is_no_rank(world: World) -> None:
    world.issue(CREATOR, world.alice)
    batch = world.activate([Standing(pass_id(world.alice, CREATOR), 5, 0)])
    world.sync(batch)
    assert not world.registry.isPrioritized(batch.standings[0], [])
    assert not world.registry.isPrioritized(world.alice, CREATOR)


# --------------------------------------------------------------------------------------- no pass now, nothing is believed

ENDS: dict[str, Callable[[World], Any]] = {
    "burned": lambda world: world.burn(world.alice, CREATOR),
    "revoked": lambda world: world.revoke(world.alice, CREATOR),
}
RETURNS: dict[str, Callable[[World], Any]] = {
    "burned": lambda world: world.issue(CREATOR, world.alice, sender=world.alice),
    "revoked": lambda world: world.reinstate(world.alice, CREATOR),
}


@pytest.mark.parametrize("end", ENDS)
def test_given_the_pass_has_ended_score_and_priority_have_too_until_it_returns(world: World, end: str) -> None:
    world.issue(CREATOR, world.alice)
    batch = world.activate(ranked(CREATOR, {world.alice: 5}))
    world.sync(batch)
    standing = batch.standings[0]
    ENDS[end](world)
    assert beliefs(world, world.alice) == (0, False, (0, 0, 0))
    assert not world.registry.isPrioritized(standing, [])
    assert world.registry.verify(batch.epoch, standing, [])
    RETURNS[end](world)
    assert beliefs(world, world.alice) == (5, True, (batch.epoch, 5, 1))
    assert world.registry.isPrioritized(standing, [])


@pytest.mark.parametrize("role", [0, 3, 255])
def test_readers_of_storage_refuse_a_role_that_is_none(world: World, role: int) -> None:
    for reader in (world.registry.scoreOf, world.registry.standingOf):
        assert refused(reader, world.alice, role) == refusal("InvalidRole", role)
    assert refused(world.registry.isPrioritized, world.alice, role) == refusal("InvalidRole", role)


# --------------------------------------------------------------------------------------------- somebody else's contract


def test_a_consumer_gates_on_vip_and_on_priority(world: World, project: Any) -> None:
    lounge = world.carrier.deploy(project.Consumer, world.registry)
    best, other = world.members[:2]
    assert refused(lounge.enterVipLounge, CREATOR, sender=best) == refusal("NotVip", best)
    assert refused(lounge.enterPriorityLounge, CREATOR, sender=best) == refusal("NotPrioritized", best)
    world.issue(CREATOR, *world.members)
    batch = world.activate(scores(world))
    standing = batch.standings[0]

    assert events(lounge.enterVipLounge(CREATOR, sender=other)) == [("Entered", other.address, "vip")]
    assert refused(lounge.enterVipLounge, WORKER, sender=other) == refusal("NotVip", other)
    entered = [("Entered", best.address, "priority")]
    assert events(lounge.enterPriorityLounge(standing, batch.proof(standing), sender=best)) == entered
    assert refused(lounge.enterPriorityLounge, CREATOR, sender=best) == refusal("NotPrioritized", best), "not yet stored"
    world.sync(batch)
    assert events(lounge.enterPriorityLounge(CREATOR, sender=best)) == entered
    assert refused(lounge.enterPriorityLounge, CREATOR, sender=other) == refusal("NotPrioritized", other)
    # With a proof that is right, but somebody else's.
    assert refused(lounge.enterPriorityLounge, standing, batch.proof(standing), sender=other) == refusal("NotPrioritized", other)
    world.revoke(best, CREATOR)
    assert refused(lounge.enterPriorityLounge, CREATOR, sender=best) == refusal("NotPrioritized", best)
    assert refused(lounge.enterPriorityLounge, standing, batch.proof(standing), sender=best) == refusal("NotPrioritized", best)
