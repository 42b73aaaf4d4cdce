"""The use of powers: calls with and without a delay, cancelling, a committee rotated, ADMIN handed over to a wallet."""

from pathlib import Path

import pytest

from pictor.chain import Call, Chain, Power, RevertedError, send
from pictor.chain.governance import (
    ArgumentError,
    Holder,
    LastAdminError,
    Outcome,
    cancellation,
    holders,
    next_step,
    require_admin_left,
    scheduled,
    written_call,
)
from pictor.units import DAY, Address, Role, pass_id, to_checksum
from scripts._ape import artifacts
from tests.e2e.support import World, address, ape_run, fund, key, signer, travel, url_of


def do(world: World, name: str, contract: str, function: str, *arguments: str) -> Outcome:
    """Somebody does the next step towards a call."""
    contracts = world.contracts
    step = next_step(contracts, address(name), written_call(contracts.by_name()[contract], function, list(arguments)))
    if step.call:
        world.send(name, step.call)
    return step.outcome


def test_a_guardian_acts_at_once(deployed: World) -> None:
    pass_ = str(pass_id(Role.CREATOR, address("somebody")))
    assert do(deployed, "guardian", "VIPPass", "revoke", pass_, "a reason") is Outcome.CALL
    assert deployed.contracts.vip_pass.status_of(pass_id(Role.CREATOR, address("somebody"))).revoked


def test_a_governor_schedules_waits_and_calls(deployed: World) -> None:
    call = ("governor", "VIPPass", "setIssueLimit", "2_000")
    assert do(deployed, *call) is Outcome.SCHEDULE
    [operation] = scheduled(deployed.contracts, deployed.deployment.first_block)
    assert (operation.caller, operation.what) == (address("governor"), "VIPPass.setIssueLimit(2000)")
    assert operation.ready_at == deployed.chain.block().timestamp + 2 * DAY
    assert do(deployed, *call) is Outcome.WAIT
    assert deployed.contracts.vip_pass.issue_limit() == 100
    travel(deployed.chain, 2 * DAY)
    assert do(deployed, *call) is Outcome.CALL
    assert deployed.contracts.vip_pass.issue_limit() == 2_000
    assert scheduled(deployed.contracts, deployed.deployment.first_block) == []


def test_what_was_not_called_within_a_week_is_scheduled_anew(deployed: World) -> None:
    call = ("governor", "VIPPass", "setIssueLimit", "2_000")
    do(deployed, *call)
    travel(deployed.chain, 9 * DAY + 1)
    [operation] = scheduled(deployed.contracts, deployed.deployment.first_block)
    assert operation.ready_at == 0
    assert do(deployed, *call) is Outcome.SCHEDULE


def test_a_guardian_cancels_what_a_governor_has_scheduled(deployed: World) -> None:
    do(deployed, "governor", "VIPPass", "setIssueLimit", "2_000")
    contracts = deployed.contracts
    call = written_call(contracts.vip_pass, "setIssueLimit", ["2000"])
    with pytest.raises(RevertedError, match="AccessManagerUnauthorizedCancel"):
        cancellation(contracts, address("somebody"), address("governor"), call)
    deployed.send("guardian", cancellation(contracts, address("guardian"), address("governor"), call))
    assert scheduled(deployed.contracts, deployed.deployment.first_block) == []
    travel(deployed.chain, 2 * DAY)
    assert do(deployed, "governor", "VIPPass", "setIssueLimit", "2_000") is Outcome.SCHEDULE


def test_who_has_no_power_is_refused(deployed: World) -> None:
    with pytest.raises(RevertedError, match=f"AccessManagedUnauthorized\\({address('deployer')}\\)"):
        do(deployed, "deployer", "VIPPass", "pause")
    with pytest.raises(RevertedError, match="AccessManagerUnauthorizedAccount"):
        do(deployed, "deployer", "Powers", "grantRole", "ADMIN", address("deployer"), "0")


def test_a_committee_is_rotated(deployed: World) -> None:
    committee = deployed.contracts.committee
    assert committee is not None
    before = committee.signers()
    call = ("AttestorCommittee", "rotate", f'["{address("new")}"]', f'["{address("attestor 0")}"]', "4")
    assert do(deployed, "governor", *call) is Outcome.SCHEDULE
    travel(deployed.chain, 2 * DAY)
    assert do(deployed, "governor", *call) is Outcome.CALL
    committee = committee.at(deployed.chain.block())
    assert committee.signers() == before - {bytes.fromhex(address("attestor 0")[2:])} | {bytes.fromhex(address("new")[2:])}
    assert committee.threshold() == 4


def test_admin_is_handed_over_to_a_wallet_of_contract_code(deployed: World) -> None:
    wallet = smart_wallet(deployed.chain, "owner of the safe")
    grant = ("Powers", "grantRole", "ADMIN", wallet, str(7 * DAY))
    assert do(deployed, "admin", *grant) is Outcome.SCHEDULE
    travel(deployed.chain, 3 * DAY)
    assert do(deployed, "admin", *grant) is Outcome.CALL

    assert Holder(Power.ADMIN, wallet, 7 * DAY) in holders(deployed.contracts, deployed.deployment.first_block)

    # The wallet proves that it can act before the old admin leaves.
    harmless = ("Powers", "labelRole", "GUARDIAN", "GUARDIAN")
    for outcome in (Outcome.SCHEDULE, Outcome.CALL):
        contracts = deployed.contracts
        step = next_step(contracts, wallet, written_call(contracts.powers, harmless[1], list(harmless[2:])))
        assert step.outcome is outcome
        assert step.call is not None
        through(deployed.chain, wallet, "owner of the safe", step.call)
        travel(deployed.chain, 7 * DAY)

    assert do(deployed, "admin", "Powers", "renounceRole", "ADMIN", address("admin")) is Outcome.CALL
    with pytest.raises(RevertedError, match="AccessManagerUnauthorizedAccount"):
        do(deployed, "admin", *grant)


def test_the_command_prints_what_a_safe_has_to_send(deployed: World, tmp_path: Path) -> None:
    options = ("--network", url_of(deployed.chain), "--deployments", str(deployed.folder))
    said = ape_run("govern", "VIPPass", "setIssueLimit", "7", "--from", address("governor"), *options, home=tmp_path)
    contracts = deployed.contracts
    call = written_call(contracts.vip_pass, "setIssueLimit", ["7"])
    data = contracts.powers.call("schedule", call.to, call.data, 0).data
    assert said.out.splitlines() == [
        "schedule VIPPass.setIssueLimit(7)",
        f"to     {to_checksum(contracts.powers.address)}",
        "value  0",
        f"data   0x{data.hex()}",
    ]


@pytest.mark.parametrize("function", ["renounceRole", "revokeRole"])
def test_the_last_admin_is_not_let_go(deployed: World, function: str) -> None:
    contracts, first_block = deployed.contracts, deployed.deployment.first_block
    call = written_call(contracts.powers, function, ["ADMIN", address("admin")])
    with pytest.raises(LastAdminError, match="would leave nobody as ADMIN"):
        require_admin_left(contracts, first_block, call)
    require_admin_left(contracts, first_block, written_call(contracts.powers, function, ["GUARDIAN", address("admin")]))
    require_admin_left(contracts, first_block, written_call(contracts.powers, function, ["ADMIN", address("somebody")]))


def test_who_has_which_power_is_told(deployed: World) -> None:
    assert holders(deployed.contracts, deployed.deployment.first_block) == [
        Holder(Power.ADMIN, address("admin"), 3 * DAY),
        *(Holder(Power.GOVERNOR, who, 2 * DAY) for who in sorted((address("governor"), address("other governor")))),
        Holder(Power.GUARDIAN, address("guardian"), 0),
    ]


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        ("fly", [], "VIPPass has no function fly; it can be told: burn"),
        ("setIssueLimit", [], r"setIssueLimit takes 1 arguments \(uint32 issueLimit_\), not 0"),
        ("setIssueLimit", ["-1"], "issueLimit_: -1 is no uint32"),
        ("setIssueLimit", ["4294967296"], "issueLimit_: 4294967296 is no uint32: out of range"),
        ("setIssueLimit", ["many"], "issueLimit_: many is no uint32"),
        ("setAttestor", ["0x12"], "attestor_: 0x12 is no address"),
    ],
)
def test_a_call_that_cannot_be_is_refused(deployed: World, function: str, arguments: list[str], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        written_call(deployed.contracts.vip_pass, function, arguments)


def smart_wallet(chain: Chain, owner: str) -> Address:
    """A contract that does what its owner says, as a Safe does what its owners say."""
    artifact = artifacts(("SmartWallet",))["SmartWallet"]
    creation = artifact.creation + artifact.interface.encode_constructor({"owner_": key(owner).address})
    return Address(str(send(chain, signer("carrier"), Call(None, creation, "create SmartWallet"))["contractAddress"]).lower())


def through(chain: Chain, wallet: Address, owner: str, call: Call) -> None:
    """The owner has the wallet send a call."""
    fund(chain, owner)
    interface = artifacts(("SmartWallet",))["SmartWallet"].interface
    send(chain, signer(owner), Call(wallet, interface.encode("call", call.to, call.data), call.what))
