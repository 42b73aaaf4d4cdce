"""What the chain alone says of a wallet."""

import json
from pathlib import Path

import pytest

from pictor.chain import State
from pictor.chain.status import WalletStatus, read_status
from pictor.units import MICRO, Role, pass_id, to_checksum
from tests.e2e.support import CHAIN_ID, World, address, ape_run, fund, leaves_of, local_chain, travel, url_of

CREATORS = [(f"creator {i}", 1_000 - i) for i in range(11)]  # so that two are prioritised
WORKERS = [("worker 0", 500), ("both", 400)]


@pytest.fixture(scope="module")
def world(deployed: World) -> World:
    """Passes, a report of which the three best creators are stored, and time enough for it to be active."""
    deployed.give_passes(Role.CREATOR, "no standing", *(name for name, _ in CREATORS))
    deployed.give_passes(Role.WORKER, *(name for name, _ in WORKERS))
    leaves = leaves_of(CREATORS, WORKERS)
    deployed.sync(deployed.submit(leaves), leaves, 0, 1, 2, 12)
    travel(deployed.chain, 3_600)
    return deployed


def status_of(world: World, name: str) -> WalletStatus:
    return read_status(world.contracts, address(name))


def test_a_stranger_has_nothing(world: World) -> None:
    for role in status_of(world, "stranger").roles:
        assert (role.vip_pass.state, role.vip_pass.held, role.score, role.standing, role.prioritized) == (State.NONE, False, 0, None, False)


@pytest.mark.parametrize(("rank", "prioritized"), [(1, True), (2, True), (3, False)])
def test_a_stored_standing_is_shown_with_its_priority(world: World, rank: int, prioritized: bool) -> None:
    status = status_of(world, CREATORS[rank - 1][0])
    creator = status.roles[0]
    assert creator.vip_pass.held
    assert creator.standing is not None
    assert status.active is not None
    assert (creator.standing.epoch, creator.standing.rank) == (status.active.epoch, rank)
    assert creator.standing.score == creator.score == CREATORS[rank - 1][1] * MICRO
    assert creator.prioritized is prioritized
    words = "prioritised" if prioritized else "not prioritised"
    assert status.lines()[2].endswith(f"score {CREATORS[rank - 1][1]}, rank {rank} of 11, {words}")


def test_who_is_vip_without_a_stored_standing_is_told_so(world: World) -> None:
    status = status_of(world, "no standing")
    assert (status.roles[0].vip_pass.held, status.roles[0].score, status.roles[0].standing) == (True, 0, None)
    assert "no standing is stored" in status.lines()[2]


def test_a_wallet_is_seen_in_each_role_apart(world: World) -> None:
    world.give_passes(Role.CREATOR, "both")
    creator, worker = status_of(world, "both").roles
    assert (creator.vip_pass.held, creator.standing) == (True, None)
    assert worker.standing is not None
    assert (worker.vip_pass.held, worker.standing.rank, worker.prioritized) == (True, 2, False)


def test_a_pending_report_does_not_count_yet(world: World) -> None:
    before = status_of(world, "creator 1")
    travel(world.chain, 86_400)
    leaves = leaves_of([("creator 1", 2_000)])
    epoch = world.submit(leaves)
    world.sync(epoch, leaves, 0)
    pending = status_of(world, "creator 1")
    assert pending.pending is not None
    assert (pending.pending.epoch, pending.active) == (epoch, before.active)
    assert pending.roles[0] == before.roles[0]
    assert f"epoch {epoch} follows" in pending.lines()[1]
    travel(world.chain, 3_600)
    after = status_of(world, "creator 1")
    assert after.active is not None
    assert (after.pending, after.active.epoch, after.roles[0].score) == (None, epoch, 2_000 * MICRO)


def test_an_old_standing_is_told_with_its_epoch(world: World) -> None:
    old = status_of(world, "creator 0").roles[0].standing
    travel(world.chain, 86_400)
    world.submit(leaves_of([("creator 1", 2_000)]))
    travel(world.chain, 3_600)
    status = status_of(world, "creator 0")
    assert (status.roles[0].standing, status.roles[0].score, status.roles[0].prioritized) == (old, 0, False)
    assert old is not None
    assert status.lines()[2].endswith(f"in epoch {old.epoch}, the last one stored")


def test_a_pass_that_is_gone_takes_its_standing_with_it(world: World) -> None:
    fund(world.chain, "creator 0")
    world.send("creator 0", world.contracts.vip_pass.call("burn", pass_id(Role.CREATOR, address("creator 0"))))
    world.send("guardian", world.contracts.vip_pass.call("revoke", pass_id(Role.CREATOR, address("creator 1")), "two wallets"))
    for name, state, revoked, words in (("creator 0", State.BURNED, False, "burned its pass"), ("creator 1", State.HELD, True, "revoked")):
        status = status_of(world, name)
        creator = status.roles[0]
        assert (creator.vip_pass.state, creator.vip_pass.revoked, creator.vip_pass.held) == (state, revoked, False)
        assert (creator.score, creator.standing, creator.prioritized) == (0, None, False)
        assert status.lines()[2] == f"Creator: {words}"


def test_everything_is_read_at_one_block(world: World) -> None:
    contracts = world.contracts
    before = read_status(contracts, address("creator 0"))
    world.send("guardian", contracts.vip_pass.call("revoke", pass_id(Role.CREATOR, address("creator 0")), "two wallets"))
    assert read_status(contracts, address("creator 0")) == before
    assert not status_of(world, "creator 0").roles[0].vip_pass.held


def test_the_command_prints_it_as_json(world: World, tmp_path: Path) -> None:
    options = ("--network", url_of(world.chain), "--deployments", str(world.folder))
    said = ape_run("status", to_checksum(address("creator 0")), "--json", *options, home=tmp_path)
    assert (said.code, said.err) == (0, "")
    answer = json.loads(said.out)
    assert answer == status_of(world, "creator 0").as_json()
    assert answer["account"] == to_checksum(address("creator 0"))
    assert answer["roles"]["creator"]["prioritized"] is True
    assert answer["roles"]["creator"]["standing"]["rank"] == 1
    assert answer["active_report"]["creators"] == 11


def test_the_command_says_in_one_line_what_is_wrong(tmp_path: Path) -> None:
    with local_chain() as chain:
        said = ape_run("status", address("creator 0"), "--network", url_of(chain), "--deployments", str(tmp_path), home=tmp_path)
        assert (said.code, said.out) == (1, "")
        assert said.err == f"Error: no deployment on chain {CHAIN_ID} is known: there is no {tmp_path}/{CHAIN_ID}.json\n"
