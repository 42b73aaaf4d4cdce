"""`ape run oracle` and `ape run attest`, as operator and attestors use them."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from eth_account import Account

from pictor.units import DAY, Role, parse_address
from tests.e2e.oracles import CREATORS, FIRST, Network, activity, network
from tests.e2e.support import Said, ape_run

MNEMONIC = "test test test test test test test test test test test junk"  # of Ape's TEST:: accounts


def ape_account(number: int) -> str:
    """The address of one of Ape's test accounts."""
    Account.enable_unaudited_hdwallet_features()
    return str(Account.from_mnemonic(MNEMONIC, account_path=f"m/44'/60'/0'/0/{number}").address)


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """A network whose attestors are Ape's test accounts 1 to 3, after its first epoch; the oracle is account 0."""
    attestors = [parse_address(ape_account(number)) for number in (1, 2, 3)]
    with network(tmp_path_factory.mktemp("network"), attestors=attestors, threshold=2) as net:
        net.hear(activity(FIRST - 1), FIRST * DAY)
        net.end_epoch(FIRST)
        (net.folder / "policy.toml").write_text(net.policy)
        yield net


def run(net: Network, *arguments: str, name: str) -> Said:
    """A command of one of the parties."""
    folder = net.folder
    ledger = folder / ("ledger" if name == "oracle" else f"{name}-mirror")
    places = ("--mailbox", f"{folder}/mailbox", "--archives", f"{folder}/archives", "--state", f"{folder}/{name}", "--ledger", str(ledger))
    more = ("--policy", f"{folder}/policy.toml", "--deployments", f"{folder}/deployments", "--network", net.url)
    sent = ("--confirmations", "1") if "--yes" in arguments else ()  # on a chain that makes no block by itself
    return ape_run(*arguments, *places, *more, *sent, home=folder)


def test_an_epoch_by_hand(net: Network, tmp_path: Path) -> None:
    said = run(net, "oracle", "check", name="oracle")
    assert said.code == 0, said.err
    assert f"newest closed epoch: {FIRST}" in said.out
    assert "ScoreRegistry: 2 of 3 attest" in said.out

    said = run(net, "oracle", "once", name="oracle")
    assert said.code == 0, said.err
    assert f"epoch {FIRST}: would be proposed" in said.out
    assert not (net.folder / "mailbox").exists()

    assert run(net, "oracle", "once", "--yes", name="oracle").code == 2  # nobody to pay

    said = run(net, "oracle", "once", "--yes", "--account", "TEST::0", "--json", name="oracle")
    assert said.code == 0, said.err
    assert json.loads(said.out)["outcome"] == "NO_MEMBERS"

    source = ("--source", f"{net.folder}/ledger")
    for number in (1, 2):
        said = run(net, "attest", "--account", f"TEST::{number}", *source, "--json", name=f"attestor {number}")
        assert (said.code, json.loads(said.out)["verdict"]) == (0, "SIGNED"), said.err
    stranger = run(net, "attest", "--account", "TEST::5", *source, name="stranger")
    assert (stranger.code, "no attestor" in stranger.out) == (3, True), stranger.err

    said = run(net, "oracle", "once", "--yes", "--account", "TEST::0", name="oracle")
    assert said.code == 0, said.err
    assert net.contracts.vip_pass.members(Role.CREATOR) == len(CREATORS)


def test_what_is_wrong_is_told_in_one_line(net: Network, tmp_path: Path) -> None:
    rules = (net.folder / "policy.toml").read_text()
    (net.folder / "policy.toml").write_text(rules.replace("priority_share = 1_000", "priority_share = 999"))
    said = run(net, "oracle", "check", name="oracle")
    (net.folder / "policy.toml").write_text(rules)
    assert (said.code, said.err.strip()) == (1, "Error: priority_share: the policy says 999, the contract 1000")
