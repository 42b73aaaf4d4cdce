"""Deploying, on chains of its own: rehearsed, sent, killed and resumed, refused, read back."""

import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hexbytes import HexBytes

from pictor.chain import (
    Call,
    Chain,
    CodeDiffersError,
    Deployment,
    DeploymentError,
    NoCodeError,
    NotMinedError,
    Power,
    WrongChainError,
    send,
)
from pictor.chain.deploy import Deployer, MismatchError, parse_config
from pictor.chain.deploy import plan as planning
from pictor.chain.deploy.journal import alone
from pictor.chain.errors import UnfundedError
from pictor.units import DAY, Address, to_checksum
from tests.e2e.support import (
    CHAIN_ID,
    Deadly,
    DeadlySigner,
    Said,
    address,
    ape_command,
    ape_environment,
    ape_run,
    compiled,
    config,
    deploy,
    deployer,
    fund,
    in_a_process,
    key,
    local_chain,
    signer,
    tell,
    to_toml,
    url_of,
)

P256_KEY = (
    "0x60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb67903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299"
)
NO_COMMITTEE = {"attestors": None, "threshold": None, "attestor": address("somebody")}
STEPS = ["Powers", "AttestorCommittee", "VIPPass", "ScoreRegistry", "PassArt", "setArt", "handOver"]


# ------------------------------------------------------------------------------------------------------ what comes out


def test_a_rehearsal_names_every_transaction_and_sends_none(chain: Chain, tmp_path: Path) -> None:
    rehearsal = deployer(chain, tmp_path).rehearse()
    assert [step.name for step in rehearsal.steps] == STEPS
    assert all(step.gas > 21_000 and not step.done for step in rehearsal.steps)
    assert chain.nonce(address("deployer"), pending=True) == 0
    assert not list(tmp_path.iterdir())


def test_what_is_deployed_is_what_was_rehearsed(chain: Chain, tmp_path: Path) -> None:
    one = deployer(chain, tmp_path)
    rehearsal = one.rehearse()
    spent: dict[str, int] = {}
    deployment = one.run(signer("deployer"), rehearsal, lambda step, receipt: spent.update({step: receipt["gasUsed"]}))
    assert spent == {step.name: step.gas for step in rehearsal.steps}
    assert [contract.address for contract in deployment.contracts.values()] == [s.address for s in rehearsal.steps if s.address]


def test_the_record_has_all_that_others_need(chain: Chain, tmp_path: Path) -> None:
    deploy(chain, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [f"{CHAIN_ID}.json"]
    record = json.loads((tmp_path / f"{CHAIN_ID}.json").read_text())
    assert (record["version"], record["chain_id"]) == (1, CHAIN_ID)
    for name, contract in record["contracts"].items():
        receipt = chain.web3.eth.get_transaction_receipt(contract["transaction"])
        assert (receipt["contractAddress"], receipt["blockNumber"]) == (contract["address"], contract["block"])
        code = chain.web3.eth.get_code(contract["address"])
        assert contract["code_hash"] == f"0x{chain.web3.keccak(code).hex()}"
        assert list(contract["arguments"]) == list(compiled()[name].interface.constructor())
    assert record["contracts"]["ScoreRegistry"]["arguments"]["priorityShareBps"] == 1_000
    assert Deployment.load(tmp_path, CHAIN_ID).open(chain).registry.epoch_length() == DAY


def test_everybody_has_the_power_that_was_asked_for_and_the_deployer_none(chain: Chain, tmp_path: Path) -> None:
    contracts = deploy(chain, tmp_path).open(chain)
    powers = contracts.powers

    def delay_of(power: Power, who: str) -> int | None:
        access = powers.access(power, address(who))
        return access.delay if access.since else None

    assert delay_of(Power.ADMIN, "admin") == 3 * DAY
    assert delay_of(Power.GOVERNOR, "governor") == delay_of(Power.GOVERNOR, "other governor") == 2 * DAY
    assert delay_of(Power.GUARDIAN, "guardian") == 0
    assert [delay_of(power, "deployer") for power in Power] == [None, None, None]
    assert powers.role_guardian(Power.GOVERNOR) == Power.GUARDIAN
    assert contracts.committee is not None
    assert contracts.committee.signers() == {bytes.fromhex(address(f"attestor {i}")[2:]) for i in range(5)}
    assert contracts.vip_pass.attestor() == contracts.registry.attestor() == contracts.committee.address


def test_p256_keys_get_a_verifier(chain: Chain, tmp_path: Path) -> None:
    deployment = deploy(chain, tmp_path, attestors=[address("attestor 0")], p256_attestors=[P256_KEY], threshold=2)
    verifier = deployment.contracts["P256Verifier"].address
    committee = deployment.open(chain).committee
    assert committee is not None
    assert bytes.fromhex(verifier[2:] + P256_KEY[2:]) in committee.signers()


def test_a_verifier_that_is_there_already_is_used(chain: Chain, tmp_path: Path) -> None:
    verifier = created(chain, compiled()["P256Verifier"].creation)
    deployment = deploy(chain, tmp_path, p256_attestors=[P256_KEY], p256_verifier=verifier, threshold=4)
    assert "P256Verifier" not in deployment.contracts


@pytest.mark.parametrize("attestor", ["key", "contract"])
def test_somebody_else_can_attest(chain: Chain, tmp_path: Path, attestor: str) -> None:
    who = address("somebody") if attestor == "key" else created(chain, compiled()["P256Verifier"].creation)
    deployment = deploy(chain, tmp_path, **{**NO_COMMITTEE, "attestor": who})
    contracts = deployment.open(chain)
    assert contracts.committee is None
    assert contracts.vip_pass.attestor() == contracts.registry.attestor() == who


def test_it_waits_for_slow_blocks_and_for_confirmations(tmp_path: Path) -> None:
    with local_chain("--block-time", "1") as chain:
        deployment = deploy(chain, tmp_path, confirmations=2)
        blocks = [contract.block for contract in deployment.contracts.values()]
        assert blocks == sorted(set(blocks))
        assert chain.block().number > max(blocks) + 2
        assert deployment.open(chain).vip_pass.art() == deployment.contracts["PassArt"].address


def test_deploying_again_finds_the_record_and_sends_nothing(chain: Chain, tmp_path: Path) -> None:
    deployment = deploy(chain, tmp_path)
    assert deployer(chain, tmp_path).recorded() == deployment
    assert deployer(chain, tmp_path / "elsewhere").recorded() is None


# ---------------------------------------------------------------------------------------------------- killed, resumed


def test_killed_at_any_transaction_it_goes_on_where_it_stopped(chain: Chain, tmp_path: Path) -> None:
    steps = [step for step in STEPS if step != "AttestorCommittee"]
    one = deployer(chain, tmp_path, **NO_COMMITTEE)
    rehearsal = one.rehearse()
    assert [step.name for step in rehearsal.steps] == steps
    for number in range(1, len(steps) + 1):
        for moment in ("signing", "sending", "sent"):
            folder = tmp_path / f"{moment} {number}"
            snapshot = tell(chain, "evm_snapshot")

            def run(number: int = number, moment: str = moment, folder: Path = folder) -> None:
                provider = Deadly(url_of(chain), number if moment != "signing" else 0, after=moment == "sent")
                who: Any = DeadlySigner("deployer", number) if moment == "signing" else signer("deployer")
                Deployer(Chain(provider), one.config, compiled(), one.deployer, folder).run(who, rehearsal, lambda *_: None)

            assert in_a_process(run) == -signal.SIGKILL
            assert chain.nonce(one.deployer) == number - (moment != "sent")
            assert not (folder / f"{CHAIN_ID}.json").exists()
            deployment = deployer(chain, folder, **NO_COMMITTEE).run(signer("deployer"), rehearsal, lambda *_: None)
            # Each transaction was mined once, and the contracts are where they would have been.
            assert chain.nonce(one.deployer) == len(steps)
            assert [contract.address for contract in deployment.contracts.values()] == [s.address for s in rehearsal.steps if s.address]
            assert [path.name for path in folder.iterdir()] == [f"{CHAIN_ID}.json"]
            tell(chain, "evm_revert", snapshot)


def test_what_is_done_already_is_not_rehearsed_anew(chain: Chain, tmp_path: Path) -> None:
    begin(chain, tmp_path)
    rehearsal = deployer(chain, tmp_path).rehearse()
    assert [step.done for step in rehearsal.steps] == [True] + [False] * (len(STEPS) - 1)
    assert rehearsal.gas == sum(step.gas for step in rehearsal.steps[1:])


def test_killed_after_the_record_was_written_it_has_nothing_left_to_do(chain: Chain, tmp_path: Path) -> None:
    first = deployer(chain, tmp_path)
    journal = first._journal()
    deploy(chain, tmp_path)
    journal._save()
    again = deployer(chain, tmp_path)
    assert again.recorded()
    assert not journal.path.exists()


def test_a_transaction_that_was_sent_and_not_mined_is_not_sent_anew(tmp_path: Path) -> None:
    with local_chain("--no-mining") as chain:
        one = deployer(chain, tmp_path)
        rehearsal = one.rehearse()
        with pytest.raises(NotMinedError):
            one.run(signer("deployer"), rehearsal, lambda *_: None, timeout=0)
        waiting = chain.nonce(one.deployer, pending=True)
        tell(chain, "anvil_setAutomine", True)
        deployment = one.run(signer("deployer"), one.rehearse(), lambda *_: None)
        assert waiting == 1
        assert chain.nonce(one.deployer) == len(STEPS)
        assert deployment.contracts["Powers"].address == rehearsal.steps[0].address


def test_a_transaction_whose_fees_have_become_too_low_is_replaced(tmp_path: Path) -> None:
    with local_chain("--no-mining") as chain:
        one = deployer(chain, tmp_path)
        rehearsal = one.rehearse()
        with pytest.raises(NotMinedError):
            one.run(signer("deployer"), rehearsal, lambda *_: None, timeout=0)
        [sent] = one._journal().steps["Powers"]
        tell(chain, "anvil_dropAllTransactions")
        tell(chain, "anvil_setNextBlockBaseFeePerGas", hex(3 * sent.fees.most))
        tell(chain, "evm_mine")
        tell(chain, "anvil_setAutomine", True)
        deployment = one.run(signer("deployer"), one.rehearse(), lambda *_: None)
        assert chain.nonce(one.deployer) == len(STEPS)
        mined = chain.web3.eth.get_transaction(HexBytes(deployment.contracts["Powers"].transaction))
        assert (mined["nonce"], mined["maxFeePerGas"] > sent.fees.most) == (sent.nonce, True)


def test_a_transaction_that_the_pool_has_dropped_is_sent_again(tmp_path: Path) -> None:
    with local_chain("--no-mining") as chain:
        one = deployer(chain, tmp_path)
        with pytest.raises(NotMinedError):
            one.run(signer("deployer"), one.rehearse(), lambda *_: None, timeout=0)
        [sent] = one._journal().steps["Powers"]
        tell(chain, "anvil_dropAllTransactions")
        tell(chain, "anvil_setAutomine", True)
        deployment = one.run(signer("deployer"), one.rehearse(), lambda *_: None)
        assert deployment.contracts["Powers"].transaction == sent.hash


def test_a_nonce_that_another_transaction_has_used_costs_nothing_but_a_new_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pictor.chain.sending.SETTLING", 0)
    with local_chain("--no-mining") as chain:
        one = deployer(chain, tmp_path)
        with pytest.raises(NotMinedError):
            one.run(signer("deployer"), one.rehearse(), lambda *_: None, timeout=0)
        tell(chain, "anvil_dropAllTransactions")
        tell(chain, "anvil_setAutomine", True)
        send(chain, signer("deployer"), Call(address("somebody"), b"", "hello"))
        deployment = one.run(signer("deployer"), one.rehearse(), lambda *_: None)
        assert chain.nonce(one.deployer) == len(STEPS) + 1
        assert deployment.open(chain).vip_pass.issue_limit() == 100


def test_a_block_that_the_chain_drops_is_made_up_for(chain: Chain, tmp_path: Path) -> None:
    one = deployer(chain, tmp_path)
    snapshot = tell(chain, "evm_snapshot")

    def stop(step: str, _: Any) -> None:
        if step == "ScoreRegistry":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        one.run(signer("deployer"), one.rehearse(), stop)
    tell(chain, "evm_revert", snapshot)
    deployment = one.run(signer("deployer"), one.rehearse(), lambda *_: None)
    assert chain.nonce(one.deployer) == len(STEPS)
    assert deployment.open(chain)


# ------------------------------------------------------------------------------------------------------------ refused


def test_a_wrong_chain_is_refused(chain: Chain, tmp_path: Path) -> None:
    with pytest.raises(WrongChainError, match=f"the node is on chain {CHAIN_ID}, expected 1"):
        deployer(chain, tmp_path, chain_id=1)


def test_an_account_that_cannot_pay_is_refused_before_anything_is_sent(chain: Chain, tmp_path: Path) -> None:
    fund(chain, "deployer", wei=10**15)
    one = deployer(chain, tmp_path)
    with pytest.raises(UnfundedError, match=r"has 0\.001000 ETH, and up to 0\.0\d+ ETH may be needed"):
        one.run(signer("deployer"), one.rehearse(), lambda *_: None)
    assert chain.nonce(one.deployer, pending=True) == 0


def test_a_deployer_that_would_stay_admin_is_refused(chain: Chain, tmp_path: Path) -> None:
    with pytest.raises(DeploymentError, match="must end without any power"):
        deployer(chain, tmp_path, admin=address("deployer"))


def test_a_record_of_another_deployment_is_not_written_over(chain: Chain, tmp_path: Path) -> None:
    deploy(chain, tmp_path)
    with pytest.raises(DeploymentError, match="with another configuration"):
        deployer(chain, tmp_path, issue_limit=7).recorded()


def test_a_record_of_a_chain_that_is_no_more_is_named(chain: Chain, tmp_path: Path) -> None:
    snapshot = tell(chain, "evm_snapshot")
    deploy(chain, tmp_path)
    tell(chain, "evm_revert", snapshot)
    with pytest.raises(DeploymentError, match=r"a local one that was restarted\?.*no contract at .*, where Powers should be"):
        deployer(chain, tmp_path).recorded()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"issue_limit": 7}, "with another configuration"),
        ({}, "by 0x"),
    ],
    ids=["configuration", "account"],
)
def test_what_was_begun_otherwise_is_not_gone_on_with(chain: Chain, tmp_path: Path, change: dict[str, Any], reason: str) -> None:
    begin(chain, tmp_path)
    who = "deployer" if change else "other governor"
    other = Deployer(chain, parse_config(config(**change)), compiled(), address(who), tmp_path)
    with pytest.raises(DeploymentError, match=reason):
        other.rehearse()


def test_what_was_begun_on_a_chain_that_is_no_more_is_not_gone_on_with(chain: Chain, tmp_path: Path) -> None:
    begin(chain, tmp_path)
    with local_chain() as restarted, pytest.raises(DeploymentError, match="on another chain"):
        deployer(restarted, tmp_path).rehearse()


def test_two_deployments_at_once_do_not_mix(chain: Chain, tmp_path: Path) -> None:
    one = deployer(chain, tmp_path)
    rehearsal = one.rehearse()
    with alone(tmp_path), pytest.raises(DeploymentError, match="another deployment is at work"):
        one.run(signer("deployer"), rehearsal, lambda *_: None)
    assert chain.nonce(one.deployer, pending=True) == 0


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda path: path.write_text("{"), "not to be read"),
        (lambda path: path.write_text('{"version": 2}'), "version 2 is not 1"),
        (lambda path: path.write_text('{"version": 1}'), "not a"),
        (lambda path: path.write_text(path.read_text().replace("0x", "0y")), "not a deployment"),
        (lambda path: path.write_text(path.read_text().replace(f'"chain_id": {CHAIN_ID}', '"chain_id": 5')), "is of chain 5"),
        (lambda path: path.write_text(path.read_text().replace('"PassArt"', '"Art"')), "has no PassArt"),
        (lambda path: path.unlink(), f"no deployment on chain {CHAIN_ID} is known"),
    ],
)
def test_a_record_that_makes_no_sense_is_refused(deployed: Any, damage: Callable[[Path], Any], reason: str) -> None:
    path = Deployment.path(deployed.folder, CHAIN_ID)
    before = path.read_text()
    try:
        damage(path)
        with pytest.raises(DeploymentError, match=reason):
            Deployment.load(deployed.folder, CHAIN_ID)
    finally:
        path.write_text(before)


def test_contracts_that_are_not_on_record_are_refused(deployed: Any, chain: Chain) -> None:
    address_ = to_checksum(deployed.deployment.contracts["VIPPass"].address)
    tell(chain, "anvil_setCode", address_, "0x00")
    with pytest.raises(CodeDiffersError, match=f"the code of VIPPass at {address_} differs"):
        deployed.deployment.open(chain)
    tell(chain, "anvil_setCode", address_, "0x")
    with pytest.raises(NoCodeError, match="where VIPPass should be"):
        deployed.deployment.open(chain)
    with local_chain(chain_id=5) as other, pytest.raises(WrongChainError):
        deployed.deployment.open(other)


# ---------------------------------------------------------------------------------------------------------- read back

Told = list[tuple[str, tuple[Any, ...]]]


def test_a_power_that_was_not_given_is_found(chain: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = planning.settings
    made = {name: Address(f"0x{i:040x}") for i, name in enumerate(("AttestorCommittee", "VIPPass", "ScoreRegistry"), 1)}
    number = len(told(parse_config(config()), address("deployer"), made))
    for left_out in (0, number - 6, number - 4, number - 2, number - 1):

        def all_but_one(*arguments: Any, left_out: int = left_out) -> Told:
            return [one for i, one in enumerate(told(*arguments)) if i != left_out]

        monkeypatch.setattr(planning, "settings", all_but_one)
        with pytest.raises(MismatchError, match="what Powers was not told"):
            deployer(chain, tmp_path).rehearse()


@pytest.mark.parametrize(
    ("extra", "found"),
    [
        (("grantRole", (Power.ADMIN, address("thief"), 0)), f"RoleGranted, 0, {address('thief')}, 0"),
        (("setGrantDelay", (Power.GUARDIAN, 5)), "RoleGrantDelayChanged, 2, 5"),
        (("setRoleAdmin", (Power.GUARDIAN, Power.GOVERNOR)), "the role that grants GUARDIAN is 1, not 0"),
        (("setTargetAdminDelay", (address("somebody"), 9)), "TargetAdminDelayUpdated"),
        (("grantRole", (Power.GOVERNOR, address("governor"), DAY)), "GOVERNOR of"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_a_power_too_many_is_found(chain: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extra: Told, found: str) -> None:
    told = planning.settings
    monkeypatch.setattr(planning, "settings", lambda *arguments: [*told(*arguments)[:-1], extra, told(*arguments)[-1]])
    with pytest.raises(MismatchError) as caught:
        deployer(chain, tmp_path).rehearse()
    assert found in str(caught.value)


def test_nothing_is_put_on_record_that_is_not_what_was_asked_for(chain: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = deployer(chain, tmp_path)
    rehearsal = one.rehearse()
    told = planning.settings
    monkeypatch.setattr(planning, "settings", lambda *arguments: told(*arguments)[1:])
    with pytest.raises(MismatchError):
        one.run(signer("deployer"), rehearsal, lambda *_: None)
    assert not (tmp_path / f"{CHAIN_ID}.json").exists()


@pytest.mark.parametrize(
    ("runtime", "what"),
    [
        ("63024ad3186000526004601cf3", "a wrong signature is True, not False"),  # returns verify's selector, whatever it is asked
        ("00", "a right signature is False, not True"),
    ],
    ids=["says yes to everything", "says nothing"],
)
def test_a_verifier_that_cannot_tell_right_from_wrong_is_found(chain: Chain, tmp_path: Path, runtime: str, what: str) -> None:
    code = bytes.fromhex(runtime)
    verifier = created(chain, bytes.fromhex(f"60{len(code):02x}80600b6000396000f3") + code)
    with pytest.raises(MismatchError, match=what):
        deployer(chain, tmp_path, p256_attestors=[P256_KEY], p256_verifier=verifier, threshold=4).rehearse()


def test_code_is_compared_but_for_its_immutables(deployed: Any, chain: Chain) -> None:
    artifact = compiled()["ScoreRegistry"]
    code = chain.code(deployed.deployment.contracts["ScoreRegistry"].address, chain.block())
    assert code != artifact.runtime
    assert artifact.made(code)
    assert not artifact.made(code[:-1])
    assert not artifact.made(compiled()["VIPPass"].runtime)
    for at in range(0, len(code), 97):
        if code[at] == artifact.runtime[at] and any(artifact.runtime[max(0, at - 33) : at]):
            changed = code[:at] + bytes([code[at] ^ 1]) + code[at + 1 :]
            assert not artifact.made(changed) or not any(artifact.runtime[at : at + 1])


# -------------------------------------------------------------------------------------------------------- the command


def test_the_command_deploys_also_when_it_is_killed_on_the_way(tmp_path: Path) -> None:
    with local_chain("--block-time", "1") as chain:
        store_account(tmp_path)
        (tmp_path / "deploy.toml").write_text(to_toml(config()))

        dry = deploy_command(chain, tmp_path)
        assert (dry.code, dry.out.splitlines()[-1]) == (0, "Nothing was sent. Add --yes to send.")
        assert chain.nonce(address("deployer"), pending=True) == 0

        command = ape_command(*deploy_arguments(chain, tmp_path, "--yes"))
        running = subprocess.Popen(command, env=ape_environment(tmp_path, PASSPHRASE), stdout=subprocess.PIPE, text=True)
        while chain.nonce(address("deployer"), pending=True) < 3 and running.poll() is None:
            time.sleep(0.05)
        running.kill()
        running.communicate()
        assert not (tmp_path / "deployments" / f"{CHAIN_ID}.json").exists()

        done = deploy_command(chain, tmp_path, "--yes")
        assert (done.code, done.err) == (0, "")
        assert "sent already" in done.out
        assert chain.nonce(address("deployer")) == len(STEPS)

        again = deploy_command(chain, tmp_path, "--yes")
        assert (again.code, again.out.startswith("Deployed already")) == (0, True)
        assert chain.nonce(address("deployer")) == len(STEPS)


@pytest.mark.parametrize(
    ("changes", "options", "code", "line"),
    [
        ({"threshold": 2}, (), 1, "threshold: 2 of 5 is not more than half"),
        ({}, ("--account", "nobody"), 2, "Account with alias 'nobody' not found"),
    ],
    ids=["no majority", "no such account"],
)
def test_the_command_refuses_in_one_line(
    chain: Chain, tmp_path: Path, changes: dict[str, Any], options: tuple[str, ...], code: int, line: str
) -> None:
    store_account(tmp_path)
    (tmp_path / "deploy.toml").write_text(to_toml(config(**changes)))
    said = deploy_command(chain, tmp_path, *options)
    assert (said.code, said.out) == (code, "")
    assert line in said.err.splitlines()[-1]
    assert "Traceback" not in said.err
    assert not (tmp_path / "deployments").exists()


PASSPHRASE = {"APE_ACCOUNTS_deployer_PASSPHRASE": "correct horse"}


def store_account(home: Path) -> None:
    """The deployer as a key file of Ape, of a kind that is quickly unlocked."""
    folder = home / ".ape" / "accounts"
    folder.mkdir(parents=True)
    keyfile = key("deployer").encrypt("correct horse", kdf="pbkdf2", iterations=2)
    (folder / "deployer.json").write_text(json.dumps({**keyfile, "address": address("deployer")[2:]}))


def deploy_arguments(chain: Chain, home: Path, *options: str) -> list[str]:
    given = ["--network", url_of(chain), "--config", str(home / "deploy.toml"), "--deployments", str(home / "deployments")]
    account = [] if "--account" in options else ["--account", "deployer"]
    return ["deploy", *given, *account, *options]


def deploy_command(chain: Chain, home: Path, *options: str) -> Said:
    return ape_run(*deploy_arguments(chain, home, *options), home=home, **PASSPHRASE)


def created(chain: Chain, creation: bytes) -> Address:
    """A contract that somebody made before."""
    return Address(str(send(chain, signer("carrier"), Call(None, creation, "create"))["contractAddress"]).lower())


def begin(chain: Chain, folder: Path) -> None:
    """Leaves a deployment half finished."""

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    one = deployer(chain, folder)
    with pytest.raises(KeyboardInterrupt):
        one.run(signer("deployer"), one.rehearse(), stop)
    assert [path.name for path in folder.iterdir()] == [f"{CHAIN_ID}.journal.json"]
