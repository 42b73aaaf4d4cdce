"""Who may do what, and after which delay; what the guardian can stop, and what nobody can."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.contracts.support import (
    ACTIVATION_DELAY,
    ADMIN,
    ADMIN_DELAY,
    CREATOR,
    DAY,
    GOVERNOR,
    GOVERNOR_DELAY,
    GUARDIAN,
    RESTRICTED,
    WORKER,
    KeySigner,
    World,
    art_of,
    events,
    now,
    pass_id,
    ranked,
    refusal,
    refused,
    selectors,
    stranger,
    travel,
    travel_to,
)

EXPIRATION = 7 * DAY  # OpenZeppelin's: a scheduled call must be made within a week of its moment

# Whoever may call these, the AccessManager has no say in it. `setAuthority` is for the AccessManager itself.
PUBLIC = {
    "VIPPass": {"issue", "burn", "refresh", "setAuthority"},
    "ScoreRegistry": {"submit", "sync", "challenge", "setAuthority"},
    "AttestorCommittee": {"setAuthority"},
}
# What ERC-721 has, and always reverts; not views, as ERC-721 does not declare them so.
SOULBOUND = {"approve", "setApprovalForAll", "transferFrom", "safeTransferFrom"}


def contracts(world: World) -> dict[str, Any]:
    return {"VIPPass": world.vip_pass, "ScoreRegistry": world.registry, "AttestorCommittee": world.committee}


@dataclass(frozen=True)
class Power:
    """A restricted function, with arguments that it accepts in the world of `ready`."""

    contract: str
    function: str
    args: Callable[[World], tuple[Any, ...]] = lambda _: ()

    def method(self, world: World) -> Any:
        return getattr(contracts(world)[self.contract], self.function)

    def __str__(self) -> str:
        return f"{self.contract}.{self.function}"


GUARDED = [
    Power("VIPPass", "revoke", lambda world: (pass_id(world.alice, CREATOR), "fraud")),
    Power("VIPPass", "reinstate", lambda world: (pass_id(world.bob, CREATOR),)),
    Power("VIPPass", "pause"),
    Power("ScoreRegistry", "veto", lambda world: (world.registry.lastEpoch(), "wrong policy")),
    Power("ScoreRegistry", "pause"),
]
GOVERNED = [
    Power("VIPPass", "setAttestor", lambda world: (world.carrier,)),
    Power("VIPPass", "setArt", lambda world: (world.committee,)),
    Power("VIPPass", "setIssueLimit", lambda _: (7,)),
    Power("VIPPass", "unpause"),
    Power("ScoreRegistry", "setAttestor", lambda world: (world.carrier,)),
    Power("ScoreRegistry", "unpause"),
    Power("AttestorCommittee", "rotate", lambda _: ([KeySigner.of("fourth").id], [], 3)),
]


@pytest.fixture
def ready(world: World) -> World:
    """A world in which every restricted call has something to do; what is unpaused must be paused first by the test."""
    world.issue(CREATOR, world.alice)
    world.revoke(world.bob, CREATOR)
    world.activate(ranked(CREATOR, {world.alice: 5}))
    return world


def pause_what_shall_be_unpaused(world: World, power: Power) -> None:
    if power.function == "unpause":
        world.pause(contracts(world)[power.contract])


# ----------------------------------------------------------------------------------------------- the map is complete


def abi_of(contract: Any) -> Iterator[tuple[str, bool]]:
    for abi in contract.contract_type.methods:
        yield abi.name, abi.stateMutability in ("view", "pure")


@pytest.mark.parametrize("name", RESTRICTED)
def test_every_function_that_can_change_anything_is_public_on_purpose_or_of_a_role(world: World, name: str) -> None:
    restricted = {function for functions in RESTRICTED[name].values() for function in functions}
    changing = {function for function, is_reader in abi_of(contracts(world)[name]) if not is_reader}
    assert changing - SOULBOUND == PUBLIC[name] | restricted
    assert not PUBLIC[name] & restricted


@pytest.mark.parametrize("name", RESTRICTED)
def test_the_powers_on_chain_are_those_of_the_map_and_no_others(world: World, name: str) -> None:
    contract = contracts(world)[name]
    assert contract.authority() == world.powers.address
    assert not world.powers.isTargetClosed(contract)
    assert world.powers.getTargetAdminDelay(contract) == 0
    roles = {function: role for role, functions in RESTRICTED[name].items() for function in functions}
    for function, _ in abi_of(contract):
        for selector in selectors(contract, function):
            assert world.powers.getTargetFunctionRole(contract, selector) == roles.get(function, ADMIN), function


def test_the_table_of_this_file_has_every_restricted_function() -> None:
    named = {(power.contract, power.function): role for role, powers in ((GUARDIAN, GUARDED), (GOVERNOR, GOVERNED)) for power in powers}
    assert named == {
        (contract, function): role for contract, roles in RESTRICTED.items() for role, functions in roles.items() for function in functions
    }


def test_each_role_is_held_with_its_delay_by_one_and_the_deployer_has_none_left(world: World, accounts: Any) -> None:
    everybody = [*accounts, world.committee, world.vip_pass, world.registry, world.powers]
    grants = {ADMIN: (world.admin, ADMIN_DELAY), GOVERNOR: (world.governor, GOVERNOR_DELAY), GUARDIAN: (world.guardian, 0)}
    for role, (holder, delay) in grants.items():
        for account in everybody:
            expected = (True, delay) if account == holder else (False, 0)
            assert tuple(world.powers.hasRole(role, account)) == expected, (role, account)
    assert [world.powers.getRoleAdmin(role) for role in (GOVERNOR, GUARDIAN)] == [ADMIN, ADMIN]
    assert [world.powers.getRoleGuardian(role) for role in (ADMIN, GOVERNOR, GUARDIAN)] == [ADMIN, GUARDIAN, ADMIN]


# ------------------------------------------------------------------------------------------------- function × caller


@pytest.mark.parametrize("power", [*GUARDED, *GOVERNED], ids=str)
def test_a_restricted_function_refuses_everybody_without_its_role(ready: World, power: Power) -> None:
    holder = ready.guardian if power in GUARDED else ready.governor
    for caller in {ready.guardian, ready.governor, ready.admin, ready.carrier, ready.alice} - {holder}:
        error = refusal("AccessManagedUnauthorized", caller)
        assert refused(power.method(ready), *power.args(ready), sender=caller) == error


@pytest.mark.parametrize("power", GUARDED, ids=str)
def test_the_guardian_acts_at_once(ready: World, power: Power) -> None:
    receipt = power.method(ready)(*power.args(ready), sender=ready.guardian)
    assert events(receipt, contracts(ready)[power.contract])


@pytest.mark.parametrize("power", GOVERNED, ids=str)
def test_the_governor_acts_only_after_announcing_it_and_waiting_to_the_second(ready: World, power: Power) -> None:
    pause_what_shall_be_unpaused(ready, power)
    method, args = power.method(ready), power.args(ready)
    data = method.encode_input(*args)
    operation = ready.powers.hashOperation(ready.governor, method.contract, data)
    assert refused(method, *args, sender=ready.governor) == refusal("AccessManagerNotScheduled", operation)

    moment = now() + GOVERNOR_DELAY
    assert events(ready.schedule(method, *args)) == [
        ("OperationScheduled", operation, 1, moment, ready.governor.address, method.contract.address, data)
    ]
    travel_to(moment - 1)
    assert refused(method, *args, sender=ready.governor) == refusal("AccessManagerNotReady", operation)
    travel(1)
    first, *rest = events(method(*args, sender=ready.governor))
    assert first == ("OperationExecuted", operation, 1)
    assert rest
    # Once announced, once done.
    pause_what_shall_be_unpaused(ready, power)
    assert refused(method, *args, sender=ready.governor) == refusal("AccessManagerNotScheduled", operation)


@pytest.mark.parametrize("power", GOVERNED, ids=str)
def test_the_guardian_can_cancel_what_the_governor_announced(ready: World, power: Power) -> None:
    method, args = power.method(ready), power.args(ready)
    data = method.encode_input(*args)
    ready.announce(method, *args)
    operation = ready.powers.hashOperation(ready.governor, method.contract, data)
    receipt = ready.powers.cancel(ready.governor, method.contract, data, sender=ready.guardian)
    assert events(receipt) == [("OperationCanceled", operation, 1)]
    assert refused(method, *args, sender=ready.governor) == refusal("AccessManagerNotScheduled", operation)


# ------------------------------------------------------------------------------------------------------------- delays


def test_what_was_announced_can_also_be_made_through_the_powers(world: World) -> None:
    world.announce(world.vip_pass.setIssueLimit, 7)
    world.powers.execute(world.vip_pass, world.vip_pass.setIssueLimit.encode_input(7), sender=world.governor)
    assert world.vip_pass.issueLimit() == 7


def test_what_was_announced_and_not_made_within_a_week_has_expired(world: World) -> None:
    method = world.vip_pass.setIssueLimit
    world.announce(method, 7)
    travel(EXPIRATION - 1)
    operation = world.powers.hashOperation(world.governor, world.vip_pass, method.encode_input(7))
    assert world.powers.getSchedule(operation) == now() + 1 - EXPIRATION
    travel(1)
    assert refused(method, 7, sender=world.governor) == refusal("AccessManagerExpired", operation)


def test_nothing_can_be_announced_for_earlier_than_the_delay(world: World) -> None:
    data = world.vip_pass.setIssueLimit.encode_input(7)
    error = refusal("AccessManagerUnauthorizedCall", world.governor, world.vip_pass, data[:4])
    early = now() + GOVERNOR_DELAY - 1
    assert refused(world.powers.schedule, world.vip_pass, data, early, sender=world.governor) == error


def test_nobody_but_the_governor_can_announce_for_it(world: World) -> None:
    data = world.vip_pass.setIssueLimit.encode_input(7)
    for caller in (world.guardian, world.admin, world.alice):
        error = refusal("AccessManagerUnauthorizedCall", caller, world.vip_pass, data[:4])
        assert refused(world.powers.schedule, world.vip_pass, data, 0, sender=caller) == error


def test_nobody_but_governor_guardian_and_admin_can_cancel(world: World) -> None:
    data = world.vip_pass.setIssueLimit.encode_input(7)
    world.schedule(world.vip_pass.setIssueLimit, 7)
    for caller in (world.alice, world.carrier):
        error = refusal("AccessManagerUnauthorizedCancel", caller, world.governor, world.vip_pass, data[:4])
        assert refused(world.powers.cancel, world.governor, world.vip_pass, data, sender=caller) == error
    for caller in (world.governor, world.admin):
        world.powers.cancel(world.governor, world.vip_pass, data, sender=caller)
        world.schedule(world.vip_pass.setIssueLimit, 7)


# -------------------------------------------------------------------------------------------------------------- admin

ADMIN_CALLS: dict[str, Callable[[World], tuple[Any, ...]]] = {
    "grantRole": lambda world: (GOVERNOR, world.alice, 0),
    "revokeRole": lambda world: (GUARDIAN, world.guardian),
    "setRoleAdmin": lambda _: (GOVERNOR, GUARDIAN),
    "setRoleGuardian": lambda _: (GOVERNOR, GOVERNOR),
    "setGrantDelay": lambda _: (GOVERNOR, 0),
    "setTargetAdminDelay": lambda world: (world.vip_pass, 0),
    "setTargetFunctionRole": lambda world: (world.vip_pass, selectors(world.vip_pass, "revoke"), GOVERNOR),
    "setTargetClosed": lambda world: (world.vip_pass, True),
    "updateAuthority": lambda world: (world.vip_pass, world.committee),
    "labelRole": lambda _: (GOVERNOR, "GOVERNOR"),
}


@pytest.mark.parametrize("function", ADMIN_CALLS)
def test_only_the_admin_can_change_the_powers_and_it_must_announce_and_wait(world: World, function: str) -> None:
    method, args = getattr(world.powers, function), ADMIN_CALLS[function](world)
    for caller in (world.alice, world.governor, world.guardian):
        assert refused(method, *args, sender=caller) == refusal("AccessManagerUnauthorizedAccount", caller, ADMIN)
    operation = world.powers.hashOperation(world.admin, world.powers, method.encode_input(*args))
    assert refused(method, *args, sender=world.admin) == refusal("AccessManagerNotScheduled", operation)
    world.schedule(method, *args, sender=world.admin)
    travel(ADMIN_DELAY - 1)
    assert refused(method, *args, sender=world.admin) == refusal("AccessManagerNotReady", operation)
    travel(1)
    method(*args, sender=world.admin)


@pytest.mark.parametrize("name", RESTRICTED)
def test_only_the_powers_themselves_can_hand_a_contract_over(world: World, name: str) -> None:
    contract = contracts(world)[name]
    for caller in (world.admin, world.governor, world.guardian, world.alice):
        error = refusal("AccessManagedUnauthorized", caller)
        assert refused(contract.setAuthority, world.powers, sender=caller) == error


def test_the_powers_of_a_guardian_who_is_removed_are_gone(world: World) -> None:
    world.schedule(world.powers.revokeRole, GUARDIAN, world.guardian, sender=world.admin)
    travel(ADMIN_DELAY)
    world.powers.revokeRole(GUARDIAN, world.guardian, sender=world.admin)
    assert refused(world.vip_pass.pause, sender=world.guardian) == refusal("AccessManagedUnauthorized", world.guardian)


# -------------------------------------------------------------------------------------------------------------- pause


@pytest.mark.parametrize("name", ["VIPPass", "ScoreRegistry"])
def test_pause_by_the_guardian_and_unpause_by_the_governor_are_told_and_are_not_repeated(world: World, name: str) -> None:
    contract = contracts(world)[name]
    other = world.registry if name == "VIPPass" else world.vip_pass
    assert not contract.paused()
    assert events(world.pause(contract)) == [("Paused", world.guardian.address)]
    assert (contract.paused(), other.paused()) == (True, False)
    assert refused(contract.pause, sender=world.guardian) == refusal("EnforcedPause")
    assert events(world.govern(contract.unpause), contract) == [("Unpaused", world.governor.address)]
    assert not contract.paused()
    world.announce(contract.unpause)
    assert refused(contract.unpause, sender=world.governor) == refusal("ExpectedPause")


def test_given_a_paused_pass_only_issuing_stops(world: World) -> None:
    world.govern(world.vip_pass.setArt, art_of(1))
    world.schedule(world.vip_pass.setIssueLimit, 7)
    world.issue(CREATOR, world.alice, world.bob)
    issuance = world.issuance(WORKER, world.alice)
    world.pause(world.vip_pass)

    assert refused(world.vip_pass.issue, issuance, world.sign(issuance)) == refusal("EnforcedPause")
    assert refused(world.vip_pass.issue, issuance, world.sign(issuance), sender=world.alice) == refusal("EnforcedPause")
    world.burn(world.alice, CREATOR)
    world.revoke(world.bob, CREATOR)
    world.reinstate(world.bob, CREATOR)
    travel(GOVERNOR_DELAY)
    world.vip_pass.setIssueLimit(7, sender=world.governor)
    world.vip_pass.refresh(sender=world.alice)
    bob = pass_id(world.bob, CREATOR)
    assert (world.vip_pass.isVip(world.bob, CREATOR), world.vip_pass.ownerOf(bob), world.vip_pass.balanceOf(world.bob)) == (
        True,
        world.bob.address,
        1,
    )
    assert (world.vip_pass.members(CREATOR), world.vip_pass.everIssued(CREATOR), world.vip_pass.issuesLeft()) == (1, 2, 7)
    # Scores go on without it.
    world.activate(ranked(CREATOR, {world.bob: 5}))


def test_given_a_paused_registry_submit_and_sync_stop_and_nothing_else(world: World) -> None:
    world.issue(CREATOR, world.alice, world.bob)
    first = world.activate(ranked(CREATOR, {world.alice: 5, world.bob: 4}))
    world.sync(first)
    lie = world.post(ranked(CREATOR, {world.alice: 6, stranger(1): 5}))
    world.pause(world.registry)

    assert refused(world.registry.sync, first.epoch, *first.multiproof()) == refusal("EnforcedPause")
    assert refused(world.registry.submit, lie.report, world.sign(lie.report)) == refusal("EnforcedPause")
    assert (world.registry.scoreOf(world.alice, CREATOR), world.registry.isPrioritized(world.alice, CREATOR)) == (5, True)
    standing = lie.standing(stranger(1), CREATOR)
    pair = [standing, lie.proof(standing)] * 2
    assert events(world.registry.challenge(lie.epoch, *pair, sender=world.alice)) == [
        ("Voided", lie.epoch, world.alice.address, "pass never issued")
    ]
    world.veto(first)
    assert world.registry.activeReport().epoch == 0
    assert world.registry.verify(first.epoch, first.standings[0], first.proof(first.standings[0]))
    # Passes go on without it.
    world.issue(WORKER, world.alice)
    world.burn(world.alice, WORKER)


def test_given_a_paused_registry_the_activation_clock_runs_on(world: World) -> None:
    world.issue(CREATOR, world.alice)
    batch = world.post(ranked(CREATOR, {world.alice: 5}))
    world.sync(batch)
    travel(ACTIVATION_DELAY - 1)
    world.pause(world.registry)
    assert world.registry.pendingReport().epoch == batch.epoch
    travel(1)
    assert (world.registry.activeReport().epoch, world.registry.pendingReport().epoch) == (batch.epoch, 0)
    assert (world.registry.scoreOf(world.alice, CREATOR), world.registry.isPrioritized(world.alice, CREATOR)) == (5, True)
    world.govern(world.registry.unpause)
    assert world.registry.activeReport().epoch == batch.epoch
