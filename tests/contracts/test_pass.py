"""The specification of VIPPass, function by function."""

from collections.abc import Sequence
from typing import Any

import pytest
from ape import chain

from tests.contracts.support import (
    BURNED,
    CREATOR,
    DAY,
    GOVERNOR_DELAY,
    HELD,
    ISSUE_LIMIT,
    NONE,
    WORKER,
    ZERO,
    Issuance,
    KeySigner,
    World,
    art_of,
    digest_of,
    events,
    now,
    pass_id,
    refusal,
    refused,
    refused_deployment,
    revise,
    stranger,
    travel,
    travel_to,
)

ROLES = (CREATOR, WORKER)
BAD_ROLES = (0, 3, 255)
EVERYTHING = (0, 2**256 - 1)  # the ids that ERC-4906 names when all have changed


def bad_ids(account: Any) -> dict[str, int]:
    """Words that are no id of a pass, most of them made from ids that are."""
    return {
        "zero": 0,
        "no role": pass_id(account, 0),
        "role 3": pass_id(account, 3),
        "no owner": CREATOR << 160,
        "a bit above the role": pass_id(account, CREATOR) | 1 << 168,
        "the highest bit": pass_id(account, WORKER) | 1 << 255,
        "all bits": 2**256 - 1,
    }


def minted(account: Any, role: int) -> list[tuple[Any, ...]]:
    return [("Transfer", ZERO, account.address, pass_id(account, role)), ("Locked", pass_id(account, role))]


def gone(account: Any, role: int) -> list[tuple[Any, ...]]:
    return [("Transfer", account.address, ZERO, pass_id(account, role))]


# ------------------------------------------------------------------------------------------ the life of a pass, drawn

#                 an issuance carried by
#  given          somebody   the wallet   burn          revoke            reinstate
LIFE = """
   None           Held       Held         NotHolder     None-revoked      NotRevoked
   Held           -          -            Burned        Held-revoked      NotRevoked
   Burned         -          Held         NotHolder     Burned-revoked    NotRevoked
   None-revoked   -          -            NotHolder     AlreadyRevoked    None
   Held-revoked   -          -            NotHolder     AlreadyRevoked    Held
   Burned-revoked -          -            NotHolder     AlreadyRevoked    Burned
"""
CALLS = ("issue", "claim", "burn", "revoke", "reinstate")
STATES = {"None": NONE, "Held": HELD, "Burned": BURNED}
LINES = [line.split() for line in LIFE.strip().splitlines()]
TRANSITIONS = [(given, call, outcome) for given, *row in LINES for call, outcome in zip(CALLS, row, strict=True)]


def bring_to(world: World, account: Any, role: int, given: str) -> None:
    state, _, revoked = given.partition("-")
    if state != "None":
        world.issue(role, account)
    if state == "Burned":
        world.burn(account, role)
    if revoked:
        world.revoke(account, role)


def is_held(state: str) -> bool:
    return state == "Held"


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(("given", "call", "outcome"), TRANSITIONS)
def test_each_call_in_each_state_leads_where_the_table_says(world: World, role: int, given: str, call: str, outcome: str) -> None:
    alice, bob, other_role = world.alice, world.bob, 3 - role
    world.issue(other_role, alice)
    world.issue(role, bob)
    other_pass = world.status(alice, other_role)
    bring_to(world, alice, role, given)
    ever_before, (_, _, issued_before) = world.vip_pass.everIssued(role), world.status(alice, role)
    travel(60)

    if outcome in ("NotHolder", "AlreadyRevoked", "NotRevoked"):
        error = refusal(outcome, alice, pass_id(alice, role)) if outcome == "NotHolder" else refusal(outcome, pass_id(alice, role))
        args = (pass_id(alice, role), "again") if call == "revoke" else (pass_id(alice, role),)
        assert refused(getattr(world.vip_pass, call), *args, sender=alice if call == "burn" else world.guardian) == error
        after = given
    else:
        receipt = {
            "issue": lambda: world.issue(role, alice),
            "claim": lambda: world.issue(role, alice, sender=alice),
            "burn": lambda: world.burn(alice, role),
            "revoke": lambda: world.revoke(alice, role, "stolen card"),
            "reinstate": lambda: world.reinstate(alice, role),
        }[call]()
        after = given if outcome == "-" else outcome
        moved = minted(alice, role) if is_held(after) > is_held(given) else gone(alice, role) if is_held(given) > is_held(after) else []
        told: dict[str, list[tuple[Any, ...]]] = {
            "revoke": [("Revoked", pass_id(alice, role), "stolen card")],
            "reinstate": [("Reinstated", pass_id(alice, role), issued_before)],
        }
        assert events(receipt) == moved + told.get(call, [])

    is_new = call in ("issue", "claim") and outcome == "Held"
    state, _, revoked = after.partition("-")
    assert world.status(alice, role) == (STATES[state], bool(revoked), now() if is_new else issued_before)
    assert world.vip_pass.isVip(alice, role) == is_held(after)
    assert world.vip_pass.members(role) == 1 + is_held(after)
    assert world.vip_pass.everIssued(role) == ever_before + (is_new and given == "None")
    assert world.status(alice, other_role) == other_pass


# --------------------------------------------------------------------------------------------------------- constructor


def test_when_deployed_it_announces_attestor_and_limit(world: World, project: Any) -> None:
    vip_pass = world.carrier.deploy(project.VIPPass, world.powers, world.committee, 7)
    assert events(vip_pass.creation_metadata.receipt) == [
        ("AuthorityUpdated", world.powers.address),
        ("AttestorSet", world.committee.address),
        ("IssueLimitSet", 7),
    ]
    assert (vip_pass.authority(), vip_pass.attestor(), vip_pass.issueLimit(), vip_pass.art()) == (
        world.powers.address,
        world.committee.address,
        7,
        ZERO,
    )


def test_when_deployed_with_no_attestor_it_refuses(world: World, project: Any) -> None:
    assert refused_deployment(project.VIPPass, world.powers, ZERO, 7) == refusal("InvalidAttestor", ZERO)


def test_it_has_a_name_and_a_symbol(world: World) -> None:
    assert (world.vip_pass.name(), world.vip_pass.symbol()) == ("Pictor VIP Pass", "PVIP")


# --------------------------------------------------------------------------------------------------------------- issue


@pytest.mark.parametrize("role", ROLES)
def test_issue_gives_each_account_its_pass_in_order(world: World, role: int) -> None:
    receipt = world.issue(role, *world.members)
    assert events(receipt) == [event for member in world.members for event in minted(member, role)]
    for member in world.members:
        assert world.status(member, role) == (HELD, False, now())
    assert (world.vip_pass.members(role), world.vip_pass.everIssued(role)) == (5, 5)
    assert (world.vip_pass.members(3 - role), world.vip_pass.everIssued(3 - role)) == (0, 0)


def test_issue_can_be_carried_by_anybody(world: World) -> None:
    for carrier, account in ((world.alice, world.alice), (world.guardian, world.bob), (world.carrier, world.carol)):
        world.issue(CREATOR, account, sender=carrier)
        assert world.vip_pass.isVip(account, CREATOR)


@pytest.mark.parametrize("role", BAD_ROLES)
def test_issue_refuses_a_role_that_is_none(world: World, role: int) -> None:
    issuance = world.issuance(role, world.alice)
    assert refused(world.vip_pass.issue, issuance, world.sign(issuance)) == refusal("InvalidRole", role)


def test_issue_refuses_no_accounts(world: World) -> None:
    issuance = world.issuance(CREATOR)
    assert refused(world.vip_pass.issue, issuance, world.sign(issuance)) == refusal("NoAccounts")


def test_issue_works_up_to_the_last_second_of_its_deadline_and_not_after(world: World) -> None:
    deadline = now() + 100
    issuance = world.issuance(CREATOR, world.alice, deadline=deadline)
    travel_to(deadline + 1)
    assert refused(world.vip_pass.issue, issuance, world.sign(issuance)) == refusal("IssuanceExpired", deadline)
    world.carry(world.issuance(CREATOR, world.alice, deadline=now()))
    assert world.vip_pass.isVip(world.alice, CREATOR)


@pytest.mark.parametrize(
    ("order", "previous", "account"),
    [
        ([stranger(1), stranger(1)], stranger(1), stranger(1)),
        ([stranger(2), stranger(1)], stranger(2), stranger(1)),
        ([stranger(1), stranger(3), stranger(2)], stranger(3), stranger(2)),
        ([ZERO, stranger(1)], ZERO, ZERO),
        ([stranger(1), ZERO], stranger(1), ZERO),
    ],
    ids=["one twice", "descending", "out of order at the end", "zero first", "zero last"],
)
def test_issue_refuses_accounts_that_do_not_ascend(world: World, order: Sequence[str], previous: str, account: str) -> None:
    issuance = Issuance(CREATOR, order, now() + DAY)
    assert refused(world.vip_pass.issue, issuance, world.sign(issuance)) == refusal("AccountsNotAscending", previous, account)


def test_issue_refuses_what_the_attestor_did_not_sign(world: World) -> None:
    issuance = world.issuance(CREATOR, world.alice)
    signature = world.sign(issuance)
    forgeries = {
        "another role": issuance._replace(role=WORKER),
        "another account": issuance._replace(accounts=[world.bob.address]),
        "one account more": world.issuance(CREATOR, world.alice, world.bob),
        "a later deadline": issuance._replace(deadline=issuance.deadline + 1),
    }
    for forgery in forgeries.values():
        digest = digest_of(forgery, world.vip_pass, chain.chain_id)
        assert refused(world.vip_pass.issue, forgery, signature) == refusal("InvalidSignature", world.committee, digest)
    digest = digest_of(issuance, world.vip_pass, chain.chain_id)
    for wrong in (b"", b"\0" * 65, signature[:-96], KeySigner.of("nobody").sign(digest)):
        assert refused(world.vip_pass.issue, issuance, wrong) == refusal("InvalidSignature", world.committee, digest)


@pytest.mark.parametrize("kind", ["key", "wallet"])
def test_issue_takes_the_signature_of_an_attestor_that_is_a_plain_key_or_a_smart_wallet(world: World, project: Any, kind: str) -> None:
    owner = KeySigner.of("sole attestor")
    attestor = owner.address if kind == "key" else world.carrier.deploy(project.SmartWallet, owner.address).address
    world.govern(world.vip_pass.setAttestor, attestor)
    issuance = world.issuance(CREATOR, world.alice)
    digest = digest_of(issuance, world.vip_pass, chain.chain_id)
    assert refused(world.vip_pass.issue, issuance, world.sign(issuance)) == refusal("InvalidSignature", attestor, digest)
    world.vip_pass.issue(issuance, owner.sign(digest), sender=world.carrier)
    assert world.vip_pass.isVip(world.alice, CREATOR)


def test_given_all_hold_one_already_a_replay_changes_nothing(world: World) -> None:
    issuance = world.issuance(CREATOR, *world.members)
    world.carry(issuance)
    issued, left = now(), world.vip_pass.issuesLeft()
    travel(60)
    assert events(world.carry(issuance)) == []
    assert [world.status(member, CREATOR) for member in world.members] == [(HELD, False, issued)] * 5
    assert (world.vip_pass.members(CREATOR), world.vip_pass.everIssued(CREATOR), world.vip_pass.issuesLeft()) == (5, 5, left)


def test_given_some_hold_one_a_replay_serves_the_others_only(world: World) -> None:
    holder, burned, revoked, new, banned = world.members
    world.issue(WORKER, holder, burned, revoked)
    world.burn(burned, WORKER)
    world.revoke(revoked, WORKER)
    world.revoke(banned, WORKER)
    left = world.vip_pass.issuesLeft()
    assert events(world.issue(WORKER, *world.members)) == minted(new, WORKER)
    assert (world.vip_pass.members(WORKER), world.vip_pass.everIssued(WORKER), world.vip_pass.issuesLeft()) == (2, 4, left - 1)


def test_given_a_burned_pass_in_a_batch_only_the_carrying_wallet_gets_its_own_back(world: World) -> None:
    world.issue(CREATOR, world.alice, world.bob)
    world.burn(world.alice, CREATOR)
    world.burn(world.bob, CREATOR)
    travel(60)
    assert events(world.issue(CREATOR, world.alice, world.bob, sender=world.alice)) == minted(world.alice, CREATOR)
    assert world.status(world.alice, CREATOR) == (HELD, False, now())
    assert world.status(world.bob, CREATOR)[0] == BURNED
    assert (world.vip_pass.members(CREATOR), world.vip_pass.everIssued(CREATOR)) == (1, 2)


def test_given_the_attestor_is_replaced_what_it_signed_before_is_void_at_once(world: World) -> None:
    issuance = world.issuance(CREATOR, world.alice, deadline=now() + 30 * DAY)
    heir = KeySigner.of("heir").address
    world.govern(world.vip_pass.setAttestor, heir)
    digest = digest_of(issuance, world.vip_pass, chain.chain_id)
    assert refused(world.vip_pass.issue, issuance, world.sign(issuance)) == refusal("InvalidSignature", heir, digest)


# -------------------------------------------------------------------------------------------------- the limit of a day


def with_limit(world: World, limit: int) -> None:
    world.govern(world.vip_pass.setIssueLimit, limit)


def test_given_a_fresh_day_the_whole_limit_is_left(world: World) -> None:
    assert (world.vip_pass.issueLimit(), world.vip_pass.issuesLeft()) == (ISSUE_LIMIT, ISSUE_LIMIT)


def test_issue_counts_both_roles_against_one_limit_and_refuses_beyond_it(world: World) -> None:
    with_limit(world, 3)
    world.issue(CREATOR, world.alice)
    world.issue(WORKER, world.alice)
    assert world.vip_pass.issuesLeft() == 1
    two = world.issuance(CREATOR, world.bob, world.carol)
    assert refused(world.vip_pass.issue, two, world.sign(two)) == refusal("IssueLimit", 1)
    world.issue(CREATOR, world.bob)
    assert world.vip_pass.issuesLeft() == 0
    one = world.issuance(CREATOR, world.carol)
    assert refused(world.vip_pass.issue, one, world.sign(one)) == refusal("IssueLimit", 0)


def test_given_the_limit_is_reached_an_issuance_that_issues_nothing_is_still_harmless(world: World) -> None:
    with_limit(world, 1)
    world.issue(CREATOR, world.alice)
    assert events(world.issue(CREATOR, world.alice)) == []


def test_a_pass_that_is_claimed_back_counts_against_the_limit(world: World) -> None:
    with_limit(world, 2)
    world.issue(CREATOR, world.alice)
    world.burn(world.alice, CREATOR)
    assert world.vip_pass.issuesLeft() == 1
    world.issue(CREATOR, world.alice, sender=world.alice)
    assert world.vip_pass.issuesLeft() == 0


def test_a_pass_that_is_reinstated_does_not_count(world: World) -> None:
    with_limit(world, 2)
    world.issue(CREATOR, world.alice)
    world.revoke(world.alice, CREATOR)
    world.reinstate(world.alice, CREATOR)
    assert world.vip_pass.issuesLeft() == 1


def test_the_limit_is_of_the_utc_day_to_the_second(world: World) -> None:
    with_limit(world, 1)
    midnight = (now() // DAY + 1) * DAY
    world.issue(CREATOR, world.alice)
    travel_to(midnight - 1)
    last = world.issuance(CREATOR, world.bob)
    assert world.vip_pass.issuesLeft() == 0
    assert refused(world.vip_pass.issue, last, world.sign(last)) == refusal("IssueLimit", 0)
    travel_to(midnight)
    assert world.vip_pass.issuesLeft() == 1
    world.carry(last)
    assert world.vip_pass.issuesLeft() == 0


def test_what_was_issued_just_before_midnight_is_not_counted_after_it(world: World) -> None:
    with_limit(world, 2)
    travel_to((now() // DAY + 1) * DAY - 1)
    world.issue(CREATOR, world.alice, world.bob)
    travel(1)
    world.issue(CREATOR, world.carol)
    assert world.vip_pass.issuesLeft() == 1
    world.issue(CREATOR, world.dave)
    assert world.vip_pass.issuesLeft() == 0


def test_given_the_limit_is_lowered_below_what_was_issued_nothing_is_left_and_raising_it_gives_the_difference(world: World) -> None:
    for limit in (2, 4):
        world.schedule(world.vip_pass.setIssueLimit, limit)
    travel(GOVERNOR_DELAY)
    world.issue(CREATOR, world.alice, world.bob, world.carol)
    world.vip_pass.setIssueLimit(2, sender=world.governor)
    one = world.issuance(CREATOR, world.dave)
    assert world.vip_pass.issuesLeft() == 0
    assert refused(world.vip_pass.issue, one, world.sign(one)) == refusal("IssueLimit", 0)
    world.vip_pass.setIssueLimit(4, sender=world.governor)
    assert world.vip_pass.issuesLeft() == 1
    world.carry(one)


def test_a_limit_of_zero_stops_all_issuing(world: World) -> None:
    with_limit(world, 0)
    one = world.issuance(CREATOR, world.alice)
    assert refused(world.vip_pass.issue, one, world.sign(one)) == refusal("IssueLimit", 0)


# ---------------------------------------------------------------------------------------------------------------- burn


def test_burn_by_anybody_but_the_holder_is_refused(world: World) -> None:
    world.issue(CREATOR, world.alice)
    for caller in (world.bob, world.carrier, world.guardian, world.governor, world.admin):
        assert refused(world.vip_pass.burn, pass_id(world.alice, CREATOR), sender=caller) == refusal(
            "NotHolder", caller, pass_id(world.alice, CREATOR)
        )


def test_burn_of_the_other_role_is_refused(world: World) -> None:
    world.issue(CREATOR, world.alice)
    other = pass_id(world.alice, WORKER)
    assert refused(world.vip_pass.burn, other, sender=world.alice) == refusal("NotHolder", world.alice, other)


def test_given_a_burned_pass_the_time_of_its_issue_is_remembered(world: World) -> None:
    world.issue(CREATOR, world.alice)
    issued = now()
    travel(60)
    world.burn(world.alice, CREATOR)
    assert world.status(world.alice, CREATOR) == (BURNED, False, issued)


# ----------------------------------------------------------------------------------------- wallets that are contracts


def test_a_smart_wallet_without_a_receiver_hook_gets_a_pass_burns_it_and_claims_it_back(world: World, project: Any) -> None:
    wallet = world.carrier.deploy(project.SmartWallet, world.alice)
    assert events(world.issue(CREATOR, wallet)) == minted(wallet, CREATOR)

    burn = world.vip_pass.burn.encode_input(pass_id(wallet, CREATOR))
    assert events(wallet.call(world.vip_pass, burn, sender=world.alice)) == gone(wallet, CREATOR)
    assert world.status(wallet, CREATOR)[0] == BURNED

    issuance = world.issuance(CREATOR, wallet)
    # Its owner is not the wallet.
    assert events(world.carry(issuance, sender=world.alice)) == []
    claim = world.vip_pass.issue.encode_input(issuance, world.sign(issuance))
    assert events(wallet.call(world.vip_pass, claim, sender=world.alice)) == minted(wallet, CREATOR)


# -------------------------------------------------------------------------------------------------- revoke, reinstate


def test_revoke_refuses_to_give_no_reason(world: World) -> None:
    world.issue(CREATOR, world.alice)
    assert refused(world.vip_pass.revoke, pass_id(world.alice, CREATOR), "", sender=world.guardian) == refusal("NoReason")


def test_given_a_revoked_wallet_no_issuance_helps_it_not_even_its_own(world: World) -> None:
    world.revoke(world.alice, CREATOR)
    issuance = world.issuance(CREATOR, world.alice)
    for carrier in (world.carrier, world.alice):
        assert events(world.carry(issuance, sender=carrier)) == []
    assert not world.vip_pass.isVip(world.alice, CREATOR)


def test_given_a_burn_before_the_revocation_reinstating_gives_no_pass_back(world: World) -> None:
    world.issue(CREATOR, world.alice)
    issued = now()
    world.burn(world.alice, CREATOR)
    world.revoke(world.alice, CREATOR)
    travel(60)
    assert events(world.reinstate(world.alice, CREATOR)) == [("Reinstated", pass_id(world.alice, CREATOR), issued)]
    assert world.status(world.alice, CREATOR) == (BURNED, False, issued)


def test_given_a_wallet_that_never_had_one_it_can_be_issued_to_after_it_is_reinstated(world: World) -> None:
    world.revoke(world.alice, CREATOR)
    assert events(world.reinstate(world.alice, CREATOR)) == [("Reinstated", pass_id(world.alice, CREATOR), 0)]
    assert events(world.issue(CREATOR, world.alice)) == minted(world.alice, CREATOR)


# ------------------------------------------------------------------------------------------------------- refresh, art


def test_set_art_tells_that_everything_looks_new(world: World) -> None:
    art = art_of(1)
    assert events(world.govern(world.vip_pass.setArt, art), world.vip_pass) == [
        ("ArtSet", art),
        ("ContractURIUpdated",),
        ("BatchMetadataUpdate", *EVERYTHING),
    ]
    assert world.vip_pass.art() == art


@pytest.mark.parametrize("art", [ZERO, stranger(1)])
def test_set_art_refuses_an_address_without_code(world: World, art: str) -> None:
    world.announce(world.vip_pass.setArt, art)
    assert refused(world.vip_pass.setArt, art, sender=world.governor) == refusal("InvalidArt", art)


def test_refresh_by_anybody_tells_once_that_the_art_has_changed(world: World) -> None:
    world.govern(world.vip_pass.setArt, art_of(21_915))
    assert events(world.vip_pass.refresh(sender=world.carrier)) == [("BatchMetadataUpdate", *EVERYTHING)]
    assert refused(world.vip_pass.refresh, sender=world.alice) == refusal("NothingToRefresh", 21_915)
    # Also backwards: a report that was active can be voided.
    for revision in (21_916, 21_914, 0):
        revise(revision)
        assert events(world.vip_pass.refresh(sender=world.alice)) == [("BatchMetadataUpdate", *EVERYTHING)]
        assert refused(world.vip_pass.refresh, sender=world.carrier) == refusal("NothingToRefresh", revision)


def test_given_no_report_was_ever_active_there_is_nothing_to_refresh(world: World) -> None:
    world.govern(world.vip_pass.setArt, art_of(0))
    assert refused(world.vip_pass.refresh, sender=world.alice) == refusal("NothingToRefresh", 0)


# -------------------------------------------------------------------------------------------------------- other setters


def test_set_attestor_announces_it(world: World) -> None:
    assert events(world.govern(world.vip_pass.setAttestor, stranger(1)), world.vip_pass) == [("AttestorSet", stranger(1))]
    assert world.vip_pass.attestor() == stranger(1)


def test_set_attestor_refuses_nobody(world: World) -> None:
    world.announce(world.vip_pass.setAttestor, ZERO)
    assert refused(world.vip_pass.setAttestor, ZERO, sender=world.governor) == refusal("InvalidAttestor", ZERO)


def test_set_issue_limit_announces_it(world: World) -> None:
    assert events(world.govern(world.vip_pass.setIssueLimit, 2**32 - 1), world.vip_pass) == [("IssueLimitSet", 2**32 - 1)]
    assert (world.vip_pass.issueLimit(), world.vip_pass.issuesLeft()) == (2**32 - 1, 2**32 - 1)


# ------------------------------------------------------------------------------------------------------------- readers


@pytest.mark.parametrize("role", ROLES)
def test_pass_id_of_says_owner_and_role_held_or_not(world: World, role: int) -> None:
    assert world.vip_pass.passIdOf(world.alice, role) == pass_id(world.alice, role)
    world.issue(role, world.alice)
    assert world.vip_pass.passIdOf(world.alice, role) == pass_id(world.alice, role)


def test_pass_id_of_refuses_the_zero_address(world: World) -> None:
    assert refused(world.vip_pass.passIdOf, ZERO, CREATOR) == refusal("InvalidPass", CREATOR << 160)


@pytest.mark.parametrize("role", BAD_ROLES)
def test_every_reader_of_a_role_refuses_one_that_is_none(world: World, role: int) -> None:
    for reader in (world.vip_pass.isVip, world.vip_pass.passIdOf):
        assert refused(reader, world.alice, role) == refusal("InvalidRole", role)
    for reader in (world.vip_pass.members, world.vip_pass.everIssued):
        assert refused(reader, role) == refusal("InvalidRole", role)


@pytest.mark.parametrize("case", bad_ids(ZERO).keys())
def test_an_id_with_stray_bits_is_refused_wherever_one_is_taken(world: World, case: str) -> None:
    world.issue(CREATOR, world.alice)
    world.issue(WORKER, world.alice)
    bad = bad_ids(world.alice)[case]
    assert refused(world.vip_pass.statusOf, bad) == refusal("InvalidPass", bad)
    assert refused(world.vip_pass.burn, bad, sender=world.alice) == refusal("InvalidPass", bad)
    assert refused(world.vip_pass.revoke, bad, "fraud", sender=world.guardian) == refusal("InvalidPass", bad)
    assert refused(world.vip_pass.reinstate, bad, sender=world.guardian) == refusal("InvalidPass", bad)
    for reader in ("issuedAt", "ownerOf", "locked", "getApproved", "tokenURI"):
        assert refused(getattr(world.vip_pass, reader), bad) == refusal("ERC721NonexistentToken", bad)


@pytest.mark.parametrize("given", [given for given, *_ in LINES])
def test_issued_at_is_told_of_a_held_pass_only(world: World, given: str) -> None:
    bring_to(world, world.alice, CREATOR, given)
    issued = now()
    travel(60)
    if is_held(given):
        assert world.vip_pass.issuedAt(pass_id(world.alice, CREATOR)) == issued
    else:
        assert refused(world.vip_pass.issuedAt, pass_id(world.alice, CREATOR)) == refusal(
            "ERC721NonexistentToken", pass_id(world.alice, CREATOR)
        )


@pytest.mark.parametrize("wallets", [[], [stranger(1)], [stranger(number) for number in range(1, 40)]], ids=len)
@pytest.mark.parametrize("role", ROLES)
def test_issuance_digest_is_that_of_eip_712(world: World, role: int, wallets: Sequence[str]) -> None:
    issuance = Issuance(role, wallets, 2**64 - 1)
    assert world.vip_pass.issuanceDigest(issuance) == digest_of(issuance, world.vip_pass, chain.chain_id)


def test_the_domain_of_eip_712_is_told(world: World) -> None:
    _, name, version, chain_id, contract, salt, extensions = world.vip_pass.eip712Domain()
    assert (name, version, chain_id, contract, bytes(salt), list(extensions)) == (
        "Pictor VIP Pass",
        "1",
        chain.chain_id,
        world.vip_pass.address,
        bytes(32),
        [],
    )
