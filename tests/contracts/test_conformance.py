"""What wallets and marketplaces rely on: ERC-165, 721, 5192, 6454, 4906 and 7572, to the letter."""

from collections.abc import Callable, Sequence
from functools import reduce
from operator import xor
from typing import Any

import pytest
from ape import chain
from eth_utils.crypto import keccak

from tests.contracts.support import CREATOR, WORKER, ZERO, World, events, pass_id, refusal, refused, refused_raw, stranger


def selector(signature: str) -> bytes:
    return keccak(text=signature)[:4]


ERC721 = [
    "balanceOf(address)",
    "ownerOf(uint256)",
    "approve(address,uint256)",
    "getApproved(uint256)",
    "setApprovalForAll(address,bool)",
    "isApprovedForAll(address,address)",
    "transferFrom(address,address,uint256)",
    "safeTransferFrom(address,address,uint256)",
    "safeTransferFrom(address,address,uint256,bytes)",
]
ERC721_METADATA = ["name()", "symbol()", "tokenURI(uint256)"]
ERC5192 = ["locked(uint256)"]
ERC6454 = ["isTransferable(uint256,address,address)"]
ERC7572 = ["contractURI()"]
ERC165 = ["supportsInterface(bytes4)"]

# As the standards print them. ERC-4906 has no functions, and names its id itself; ERC-7572 has none.
INTERFACES = {
    "0x01ffc9a7": ERC165,
    "0x80ac58cd": ERC721,
    "0x5b5e139f": ERC721_METADATA,
    "0xb45a3c0e": ERC5192,
    "0x91a6262f": ERC6454,
}
ERC4906 = "0x49064906"
NOT_SUPPORTED = {
    "no interface": "0xffffffff",
    "nothing": "0x00000000",
    "ERC-721 enumerable": "0x780e9d63",
    "ERC-721 receiver": "0x150b7a02",
    "ERC-2981 royalties": "0x2a55205a",
    "ERC-4494 permit": "0x5604e225",
    "ERC-4907 rental": "0xad092b5c",
    "ERC-5484 burn by consent": "0x0489b56f",
    "ERC-1155": "0xd9b67a26",
}

# ------------------------------------------------------------------------------------------------------------- ERC-165


@pytest.mark.parametrize(("interface", "functions"), INTERFACES.items())
def test_the_ids_are_those_of_the_functions_and_are_supported(world: World, interface: str, functions: Sequence[str]) -> None:
    computed = reduce(xor, (int.from_bytes(selector(function)) for function in functions))
    assert computed == int(interface, 16)
    assert world.vip_pass.supportsInterface(interface)


def test_erc_4906_is_supported(world: World) -> None:
    assert world.vip_pass.supportsInterface(ERC4906)


@pytest.mark.parametrize("interface", NOT_SUPPORTED.values(), ids=NOT_SUPPORTED)
def test_nothing_else_is_said_to_be_supported(world: World, interface: str) -> None:
    assert not world.vip_pass.supportsInterface(interface)


def test_every_function_of_the_standards_is_there(world: World) -> None:
    known = {abi.selector for abi in world.vip_pass.contract_type.methods}
    assert known >= {*ERC165, *ERC721, *ERC721_METADATA, *ERC5192, *ERC6454, *ERC7572}


def test_every_event_of_the_standards_is_there(world: World) -> None:
    assert {abi.selector for abi in world.vip_pass.contract_type.events} >= {
        "Transfer(address,address,uint256)",
        "Approval(address,address,uint256)",
        "ApprovalForAll(address,address,bool)",
        "Locked(uint256)",
        "Unlocked(uint256)",
        "MetadataUpdate(uint256)",
        "BatchMetadataUpdate(uint256,uint256)",
        "ContractURIUpdated()",
    }


# -------------------------------------------------------------------------------------------------- states of an id


def never_issued(_: World) -> None:
    pass


def held(world: World) -> None:
    world.issue(CREATOR, world.alice)


def burned(world: World) -> None:
    held(world)
    world.burn(world.alice, CREATOR)


def revoked(world: World) -> None:
    held(world)
    world.revoke(world.alice, CREATOR)


def banned(world: World) -> None:
    world.revoke(world.alice, CREATOR)


def other_role_held(world: World) -> None:
    world.issue(WORKER, world.alice)


NOT_HELD = [never_issued, burned, revoked, banned, other_role_held]
Given = Callable[[World], None]

# ------------------------------------------------------------------------------------------- ERC-721, 5192: the readers


@pytest.mark.parametrize("role", [CREATOR, WORKER])
def test_readers_of_a_held_pass(world: World, role: int) -> None:
    world.issue(role, world.alice)
    held_id = pass_id(world.alice, role)
    assert world.vip_pass.ownerOf(held_id) == world.alice.address
    assert world.vip_pass.balanceOf(world.alice) == 1
    assert world.vip_pass.getApproved(held_id) == ZERO
    assert world.vip_pass.locked(held_id)


@pytest.mark.parametrize("given", NOT_HELD)
@pytest.mark.parametrize("reader", ["ownerOf", "getApproved", "locked", "tokenURI"])
def test_readers_of_a_pass_that_is_not_held_refuse(world: World, given: Given, reader: str) -> None:
    given(world)
    absent = pass_id(world.alice, CREATOR)
    assert refused(getattr(world.vip_pass, reader), absent) == refusal("ERC721NonexistentToken", absent)


def test_the_balance_counts_both_roles_and_only_what_is_held(world: World) -> None:
    balance = world.vip_pass.balanceOf
    assert balance(world.alice) == 0
    world.issue(CREATOR, world.alice)
    world.issue(WORKER, world.alice)
    assert balance(world.alice) == 2
    world.burn(world.alice, CREATOR)
    assert balance(world.alice) == 1
    world.revoke(world.alice, WORKER)
    assert balance(world.alice) == 0
    world.reinstate(world.alice, WORKER)
    assert balance(world.alice) == 1


def test_the_balance_of_the_zero_address_is_refused(world: World) -> None:
    assert refused(world.vip_pass.balanceOf, ZERO) == refusal("ERC721InvalidOwner", ZERO)


def test_nobody_is_ever_approved_for_all(world: World) -> None:
    held(world)
    for owner, operator in ((world.alice, world.bob), (world.alice, world.alice), (ZERO, ZERO)):
        assert not world.vip_pass.isApprovedForAll(owner, operator)


# ------------------------------------------------------------------------------------------------------------ ERC-6454


def test_a_held_pass_can_be_burned_and_nothing_else(world: World) -> None:
    held(world)
    alice_pass = pass_id(world.alice, CREATOR)
    answers = {
        (source, target): world.vip_pass.isTransferable(alice_pass, source, target)
        for source in (ZERO, world.alice.address, world.bob.address)
        for target in (ZERO, world.alice.address, world.bob.address)
    }
    assert {pair for pair, answer in answers.items() if answer} == {(world.alice.address, ZERO)}


@pytest.mark.parametrize(("given", "is_mintable"), [(never_issued, True), (burned, True), (revoked, False), (banned, False)])
def test_a_pass_that_is_not_held_can_be_minted_to_its_owner_unless_it_is_revoked(world: World, given: Given, is_mintable: bool) -> None:
    given(world)
    alice_pass = pass_id(world.alice, CREATOR)
    assert world.vip_pass.isTransferable(alice_pass, ZERO, world.alice) == is_mintable
    for target in (ZERO, world.bob):
        assert not world.vip_pass.isTransferable(alice_pass, ZERO, target)


@pytest.mark.parametrize("given", NOT_HELD)
def test_a_move_of_a_pass_that_is_not_held_is_refused(world: World, given: Given) -> None:
    given(world)
    alice_pass = pass_id(world.alice, CREATOR)
    for source, target in ((world.alice, ZERO), (world.alice, world.bob), (world.bob, world.alice)):
        error = refusal("ERC721NonexistentToken", alice_pass)
        assert refused(world.vip_pass.isTransferable, alice_pass, source, target) == error


def test_an_invalid_id_can_neither_be_minted_nor_moved(world: World) -> None:
    held(world)
    alias = pass_id(world.alice, CREATOR) | 1 << 200
    assert not world.vip_pass.isTransferable(alias, ZERO, world.alice)
    assert refused(world.vip_pass.isTransferable, alias, world.alice, ZERO) == refusal("ERC721NonexistentToken", alias)


# ----------------------------------------------------------------------------------------------------- ERC-5192: Locked


def test_every_mint_is_followed_by_locked_and_nothing_is_ever_unlocked(world: World) -> None:
    alice, bob = world.alice, world.bob
    receipts = [
        world.issue(CREATOR, alice, bob),
        world.issue(WORKER, alice),
        world.burn(alice, CREATOR),
        world.issue(CREATOR, alice, sender=alice),
        world.revoke(alice, CREATOR),
        world.reinstate(alice, CREATOR),
        world.burn(bob, CREATOR),
        world.revoke(bob, CREATOR),
        world.reinstate(bob, CREATOR),
        world.issue(CREATOR, bob, sender=bob),
    ]
    log = [event for receipt in receipts for event in events(receipt)]
    mints = [place for place, event in enumerate(log) if event[:2] == ("Transfer", ZERO)]
    assert len(mints) == 6
    assert [log[place + 1] for place in mints] == [("Locked", log[place][3]) for place in mints]
    assert sum(event[0] == "Locked" for event in log) == len(mints)
    assert {event[0] for event in log} == {"Transfer", "Locked", "Revoked", "Reinstated"}


# ------------------------------------------------------------------------------------------------------------ soulbound

MOVES: dict[str, Callable[[World, int], tuple[Any, ...]]] = {
    "approve(address,uint256)": lambda world, token: (world.bob, token),
    "setApprovalForAll(address,bool)": lambda world, _: (world.bob, True),
    "transferFrom(address,address,uint256)": lambda world, token: (world.alice, world.bob, token),
    "safeTransferFrom(address,address,uint256)": lambda world, token: (world.alice, world.bob, token),
    "safeTransferFrom(address,address,uint256,bytes)": lambda world, token: (world.alice, world.bob, token, b"data"),
}


@pytest.mark.parametrize("given", [held, *NOT_HELD])
@pytest.mark.parametrize("move", MOVES)
def test_whatever_could_move_or_approve_a_pass_is_refused_to_everybody(world: World, given: Given, move: str) -> None:
    given(world)
    ids = (pass_id(world.alice, CREATOR), pass_id(world.alice, CREATOR) | 1 << 200, 0, 2**256 - 1)
    for caller in (world.alice, world.bob, world.guardian, world.governor, world.admin, world.committee, world.powers):
        for token in ids if caller == world.alice else ids[:1]:
            method = getattr(world.vip_pass, move.partition("(")[0])
            assert refused(method, *MOVES[move](world, token), sender=caller) == refusal("Soulbound")


def test_also_taking_an_approval_back_or_giving_the_pass_to_oneself_is_refused(world: World) -> None:
    held(world)
    alice, token = world.alice, pass_id(world.alice, CREATOR)
    for method, args in (
        (world.vip_pass.approve, (ZERO, token)),
        (world.vip_pass.setApprovalForAll, (world.bob, False)),
        (world.vip_pass.transferFrom, (alice, alice, token)),
        (world.vip_pass.transferFrom, (alice, ZERO, token)),
        (world.vip_pass.safeTransferFrom, (alice, alice, token)),
    ):
        assert refused(method, *args, sender=alice) == refusal("Soulbound")


def test_the_functions_that_approve_or_transfer_are_the_ones_of_the_standard_and_no_others(world: World) -> None:
    named = {
        abi.selector
        for abi in world.vip_pass.contract_type.methods
        if any(word in abi.name.lower() for word in ("approv", "transfer", "permit", "mint", "send", "move"))
    }
    assert named == {*MOVES, "getApproved(uint256)", "isApprovedForAll(address,address)", *ERC6454}


UNKNOWN = [
    "burn(address,uint256)",
    "burnFrom(address,uint256)",
    "mint(address,uint256)",
    "permit(address,uint256,uint256,bytes)",
    "permit(address,uint256,uint256,uint8,bytes32,bytes32)",
    "safeBatchTransferFrom(address,address,uint256[],bytes)",
    "setUser(uint256,address,uint64)",
    "transfer(address,uint256)",
    "transferOwnership(address)",
    "upgradeToAndCall(address,bytes)",
]


@pytest.mark.parametrize("signature", UNKNOWN)
def test_a_function_that_is_not_there_reverts(world: World, signature: str) -> None:
    held(world)
    call = {"from": world.alice.address, "to": world.vip_pass.address, "data": "0x" + (selector(signature) + bytes(320)).hex()}
    assert refused_raw(call) == refusal("")


@pytest.mark.parametrize("name", ["powers", "committee", "vip_pass", "registry"])
def test_no_contract_takes_money_by_accident(world: World, name: str) -> None:
    contract = getattr(world, name)
    assert refused_raw({"from": world.alice.address, "to": contract.address, "value": "0x1"}) == refusal("")
    assert chain.provider.get_balance(contract.address) == 0


def test_a_pass_never_had_an_owner_but_the_one_its_id_names(world: World) -> None:
    world.issue(CREATOR, world.alice, stranger(1))
    for account in (world.alice.address, stranger(1)):
        assert world.vip_pass.ownerOf(pass_id(account, CREATOR)) == account
