"""Passes as of a block, from events: as the contract has them at every block, with and without what was known before."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from eth_utils.crypto import keccak
from hexbytes import HexBytes

from pictor.chain import Block, State, VIPPass, send
from pictor.epoch.messages import Issuance
from pictor.oracle.passes import Passes, PassesError, passes_at
from pictor.oracle.quorum import HALF, Quorum, recovered
from pictor.units import Address, Role, pass_id
from tests.e2e.support import World, address, fund, key, signer, tell

PEOPLE = tuple(sorted(address(f"member {i}") for i in range(4)))
NAMES = {address(f"member {i}"): f"member {i}" for i in range(4)}
FAR = 4_000_000_000


def move(world: World, what: str, role: Role, account: Address) -> None:
    """One thing that can happen to a pass."""
    contract = world.contracts.vip_pass
    if what == "issue":
        world.issue(Issuance(role, (account,), FAR))
    elif what == "carry":  # the wallet itself
        one = Issuance(role, (account,), FAR)
        send(world.chain, signer(NAMES[account]), contract.issue(one, world.attested(one)))
    elif what == "burn":
        send(world.chain, signer(NAMES[account]), contract.call("burn", pass_id(role, account)))
    else:
        reason = ("found out",) if what == "revoke" else ()
        send(world.chain, signer("guardian"), contract.call(what, pass_id(role, account), *reason))


A, B, C, D = PEOPLE
STORY = [
    ("issue", Role.WORKER, A),
    ("issue", Role.CREATOR, A),
    ("issue", Role.WORKER, B),
    ("burn", Role.WORKER, A),
    ("carry", Role.WORKER, A),
    ("revoke", Role.WORKER, B),  # held, revoked, given back
    ("reinstate", Role.WORKER, B),
    ("burn", Role.WORKER, B),  # burned, revoked, no longer revoked, carried again
    ("revoke", Role.WORKER, B),
    ("reinstate", Role.WORKER, B),
    ("carry", Role.WORKER, B),
    ("revoke", Role.CREATOR, C),  # never issued
    ("issue", Role.WORKER, C),
    ("reinstate", Role.CREATOR, C),
    ("issue", Role.CREATOR, C),
    ("revoke", Role.CREATOR, C),
]


def check(passes: Passes, vip_pass: VIPPass) -> None:
    """The passes are what the contract says at their block; of a revoked one only that it is revoked is promised."""
    known = {(row["role"], row["account"]): row for row in passes.table.to_pylist()}
    members = pa.table(
        {"role": pa.array([int(role) for role in Role for _ in PEOPLE], pa.int8()), "account": [one for _ in Role for one in PEOPLE]}
    )
    of = {(row["role"], row["account"]): row for row in passes.of(members).to_pylist()}
    holders = {(row["role"], row["account"]): row["issued_at"] for row in passes.holders().to_pylist()}
    for role in Role:
        for account in PEOPLE:
            status = vip_pass.status_of(pass_id(role, account))
            row = of[int(role), account]
            assert row["revoked"] == status.revoked
            assert status.revoked or row["state"] == status.state
            assert ((int(role), account) in holders) == status.held
            assert holders.get((int(role), account), status.issued_at) == status.issued_at
            assert (int(role), account) in known or (status.state, status.revoked) == (State.NONE, False)


def test_passes_are_as_the_contract_has_them_at_every_block(deployed: World, tmp_path: Path) -> None:
    fund(deployed.chain, *NAMES.values(), "carrier", "guardian")
    blocks: list[Block] = [deployed.chain.block()]
    for step in STORY:
        move(deployed, *step)
        blocks.append(deployed.chain.block())
    latest = deployed.contracts.vip_pass
    first = deployed.deployment.first_block
    for number, block in enumerate(blocks):
        check(passes_at(latest, block, first, tmp_path / "kept", is_final=True), latest.at(block))
        check(passes_at(latest, block, first, tmp_path / f"anew {number}", is_final=False), latest.at(block))
        assert not (tmp_path / f"anew {number}").exists()


def test_what_is_known_of_another_history_is_not_used(deployed: World, tmp_path: Path) -> None:
    first, file = deployed.deployment.first_block, tmp_path / "kept"
    fund(deployed.chain, "carrier")
    snapshot = tell(deployed.chain, "evm_snapshot")
    move(deployed, "issue", Role.WORKER, A)
    passes_at(deployed.contracts.vip_pass, deployed.chain.block(), first, file, is_final=True)
    tell(deployed.chain, "evm_revert", snapshot)
    move(deployed, "issue", Role.WORKER, B)
    passes = passes_at(deployed.contracts.vip_pass, deployed.chain.block(), first, file, is_final=True)
    assert passes.holders()["account"].to_pylist() == [B]
    file.write_bytes(b"damaged")
    assert passes_at(deployed.contracts.vip_pass, deployed.chain.block(), first, file, is_final=True).holders()["account"].to_pylist() == [
        B
    ]


def test_a_node_that_leaves_events_out_is_found_out(deployed: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fund(deployed.chain, "carrier")
    move(deployed, "issue", Role.WORKER, A)
    vip_pass, first = deployed.contracts.vip_pass, deployed.deployment.first_block
    logs: Callable[..., object] = vip_pass.chain.logs
    monkeypatch.setattr(vip_pass.chain, "logs", lambda *arguments: list(logs(*arguments))[:-1])  # type: ignore[call-overload]
    with pytest.raises(PassesError, match="lead to 0 passes of workers, the contract has 1"):
        passes_at(vip_pass, vip_pass.block, first, tmp_path / "kept", is_final=True)


def signature(name: str, digest: bytes) -> bytes:
    """Somebody's, of a digest."""
    return bytes(key(name).unsafe_sign_hash(HexBytes(digest)).signature)  # type: ignore[arg-type]


def test_a_quorum_takes_the_signatures_that_the_contract_takes(deployed: World) -> None:
    contracts = deployed.contracts
    quorum = Quorum.behind(deployed.chain, contracts.registry.attestor(), contracts.block)
    assert (quorum.threshold, len(quorum.signers), quorum.is_committee) == (3, 5, True)
    digest = keccak(b"something")
    names = [f"attestor {i}" for i in range(5)]
    signers = {name: bytes.fromhex(address(name)[2:]) for name in names}
    signatures = {name: signature(name, digest) for name in names}
    pairs = [(signers[name], signatures[name]) for name in names]
    r, s, v = signatures[names[0]][:32], int.from_bytes(signatures[names[0]][32:64], "big"), signatures[names[0]][64]
    order = 2 * HALF + 1
    twin = r + (order - s).to_bytes(32, "big") + bytes([55 - v])  # the same signature, in the form that is refused
    for bad in (twin, signatures[names[0]][:64], signatures[names[1]], b"", bytes(65), r + s.to_bytes(32, "big") + bytes([v - 27])):
        assert not quorum.is_signed(signers[names[0]], digest, bad)
        assert quorum.enough(digest, [(signers[names[0]], bad), *pairs[1:3]]) is None
    stranger = bytes.fromhex(address("stranger")[2:])
    assert quorum.enough(digest, [*pairs[:2], (stranger, signature("stranger", digest))]) is None
    assert quorum.enough(digest, [*pairs[:2], pairs[1], pairs[1]]) is None
    for enough in (pairs, pairs[2:], [(signers[names[0]], twin), *pairs]):
        joined = quorum.enough(digest, enough)
        assert joined is not None
        assert contracts.committee is not None
        assert contracts.committee.read("isValidSignature", digest, joined).hex() == "1626ba7e"


def test_an_attestor_that_is_a_key_is_its_own_quorum(deployed: World) -> None:
    account = address("somebody")
    quorum = Quorum.behind(deployed.chain, account, deployed.chain.block())
    digest = keccak(b"something")
    mine = signature("somebody", digest)
    assert quorum.enough(digest, [(bytes.fromhex(account[2:]), mine)]) == mine
    assert recovered(digest, mine) == bytes.fromhex(account[2:])
