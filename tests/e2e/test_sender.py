"""A sender that nothing stops for good, and two nodes that cover for each other: on real chains, with real faults between."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from web3.types import TxReceipt

from pictor.chain import (
    NODE_FAILURES,
    Call,
    Chain,
    FeesTooHighError,
    JournalError,
    NodeError,
    NotConfirmedError,
    NotMinedError,
    RevertedError,
    UnfundedError,
    WrongChainError,
)
from pictor.chain.fallback import FallbackProvider, StrangeNodeError
from pictor.chain.sender import JournalledSender, Terms
from pictor.chain.transport import HttpNode
from pictor.units import DAY, Role, pass_id
from tests.e2e.faulty import FaultyNode, broken, changed, faulty_node, half, silent, too_many
from tests.e2e.support import Deadly, World, address, fund, in_a_process, local_chain, signer, tell, url_of

GWEI = 10**9
CALL = Call(address("somebody"), b"", "a call")
OTHER = Call(address("somebody else"), b"", "another call")


def sender(chain: Chain, folder: Path, name: str = "carrier", **terms: Any) -> JournalledSender:
    """A sender that loses no time."""
    return JournalledSender(chain, signer(name), folder, Terms(**{"replace_after": 0.5, "patience": 30, **terms}))


def pool(chain: Chain) -> list[dict[str, Any]]:
    """What waits to be mined."""
    return [one for by_nonce in tell(chain, "txpool_content")["pending"].values() for one in by_nonce.values()]


def until(condition: Callable[[], Any], seconds: float = 30) -> Any:
    """The first answer of `condition` that is one."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return answer


@contextmanager
def sending(one: JournalledSender, call: Call = CALL) -> Iterator["Future[TxReceipt]"]:
    """Sends a call meanwhile."""
    with ThreadPoolExecutor(1) as threads:
        yield threads.submit(one.send, call)


@pytest.fixture(autouse=True)
def cheap(chain: Chain) -> None:
    """Gas costs little at first: anvil forgets no price when it forgets blocks."""
    tell(chain, "anvil_setNextBlockBaseFeePerGas", hex(GWEI))
    tell(chain, "evm_mine")


@pytest.fixture
def slow(chain: Chain) -> Iterator[Chain]:
    """A chain that makes a block when it is told to."""
    tell(chain, "evm_setAutomine", False)
    yield chain
    tell(chain, "anvil_dropAllTransactions")
    tell(chain, "evm_setAutomine", True)


# ------------------------------------------------------------------------------------------------------ what goes wrong with a transaction


def test_a_stuck_transaction_is_replaced_by_one_that_pays_an_eighth_more(slow: Chain, tmp_path: Path) -> None:
    with sending(sender(slow, tmp_path)) as sent:
        [first] = until(lambda: pool(slow))
        tell(slow, "anvil_setNextBlockBaseFeePerGas", hex(20 * GWEI))  # a block, and not for us
        tell(slow, "anvil_dropTransaction", first["hash"])
        tell(slow, "evm_mine")
        [second] = until(lambda: [one for one in pool(slow) if one["hash"] != first["hash"]])
        for fee in ("maxFeePerGas", "maxPriorityFeePerGas"):
            assert int(second[fee], 16) * 1_000 >= int(first[fee], 16) * 1_125
        assert second["nonce"] == first["nonce"]
        tell(slow, "evm_mine")
        assert sent.result(30)["transactionHash"].hex().removeprefix("0x") == second["hash"].removeprefix("0x")


def test_a_nonce_that_somebody_else_has_used_costs_a_warning_and_no_call(slow: Chain, tmp_path: Path) -> None:
    one, account = sender(slow, tmp_path), address("carrier")
    with sending(one) as sent:
        [ours] = until(lambda: pool(slow))
        tell(slow, "anvil_dropTransaction", ours["hash"])
        theirs = {"to": address("somebody else"), "nonce": int(ours["nonce"], 16), "gas": 21_000, "gasPrice": 50 * GWEI, "chainId": slow.id}
        slow.web3.eth.send_raw_transaction(signer("carrier").sign({**theirs, "to": slow.web3.to_checksum_address(theirs["to"])}))  # type: ignore[arg-type]
        tell(slow, "evm_mine")
        again = until(lambda: [one for one in pool(slow) if one["nonce"] != ours["nonce"]], 60)
        tell(slow, "evm_mine")
        assert sent.result(60)["status"] == 1
    assert int(again[0]["nonce"], 16) == int(ours["nonce"], 16) + 1
    assert slow.nonce(account) == int(ours["nonce"], 16) + 2


def test_too_little_money_is_told_with_what_is_needed_and_nothing_is_sent(chain: Chain, tmp_path: Path) -> None:
    fund(chain, "carrier", wei=1_000)
    with pytest.raises(UnfundedError) as found:
        sender(chain, tmp_path).send(CALL)
    assert (found.value.account, found.value.found) == (address("carrier"), 1_000)
    assert found.value.needed > 1_000
    fund(chain, "carrier")
    assert sender(chain, tmp_path).send(CALL)["status"] == 1


def test_above_the_cap_nothing_is_sent_until_gas_is_cheaper(chain: Chain, tmp_path: Path) -> None:
    one, nonce = sender(chain, tmp_path, max_fee=5 * GWEI), chain.nonce(address("carrier"))
    tell(chain, "anvil_setNextBlockBaseFeePerGas", hex(50 * GWEI))
    tell(chain, "evm_mine")
    with pytest.raises(FeesTooHighError, match=r"50 gwei, more than the 5 gwei"):
        one.send(CALL)
    assert chain.nonce(address("carrier"), pending=True) == nonce
    tell(chain, "anvil_setNextBlockBaseFeePerGas", hex(GWEI))
    tell(chain, "evm_mine")
    receipt = one.send(CALL)
    assert receipt["effectiveGasPrice"] <= 5 * GWEI


def test_a_replacement_never_passes_the_cap(slow: Chain, tmp_path: Path) -> None:
    base = slow.web3.eth.get_block("latest")["baseFeePerGas"]
    with sending(sender(slow, tmp_path, max_fee=base + 2, patience=3)) as sent:
        [first] = until(lambda: pool(slow))
        with pytest.raises(NotMinedError):
            sent.result(30)
    assert [one["hash"] for one in pool(slow)] == [first["hash"]]


def test_a_call_that_would_revert_is_not_sent(deployed: World, tmp_path: Path) -> None:
    with pytest.raises(RevertedError, match="NotHolder"):
        sender(deployed.chain, tmp_path).send(deployed.contracts.vip_pass.call("burn", pass_id(Role.WORKER, address("carrier"))))
    assert not list(tmp_path.iterdir())


def test_a_revert_after_a_good_simulation_is_told_by_its_reason(deployed: World, tmp_path: Path) -> None:
    chain, number = deployed.chain, pass_id(Role.WORKER, address("carrier"))
    deployed.give_passes(Role.WORKER, "carrier")
    tell(chain, "evm_setAutomine", False)
    revoke = deployed.contracts.vip_pass.call("revoke", number, "found out")
    with sending(sender(chain, tmp_path / "member", replace_after=60), deployed.contracts.vip_pass.call("burn", number)) as burned:
        until(lambda: pool(chain))
        fields = {"to": chain.web3.to_checksum_address(revoke.to or ""), "data": revoke.data, "gas": 200_000, "chainId": chain.id}
        guardian = {"nonce": chain.nonce(address("guardian")), "maxFeePerGas": 900 * GWEI, "maxPriorityFeePerGas": 800 * GWEI}
        chain.web3.eth.send_raw_transaction(signer("guardian").sign({**fields, **guardian, "value": 0}))
        tell(chain, "evm_mine")
        with pytest.raises(RevertedError, match="NotHolder"):
            burned.result(30)
    tell(chain, "evm_setAutomine", True)


def test_only_what_has_its_confirmations_counts(slow: Chain, tmp_path: Path) -> None:
    with sending(sender(slow, tmp_path, confirmations=3)) as sent:
        until(lambda: pool(slow))
        for _ in range(2):
            tell(slow, "evm_mine")
            assert not sent.done()
        tell(slow, "evm_mine")
        receipt = sent.result(30)
    assert slow.block().number - receipt["blockNumber"] + 1 >= 3


def test_confirmations_that_do_not_come_are_told(chain: Chain, tmp_path: Path) -> None:
    with pytest.raises(NotConfirmedError):
        sender(chain, tmp_path, confirmations=5, patience=1).send(CALL)
    tell(chain, "anvil_mine", "0x5")
    nonce = chain.nonce(address("carrier"))
    assert sender(chain, tmp_path, confirmations=5, patience=1).send(CALL)["status"] == 1  # it is mined already, and not sent again
    assert chain.nonce(address("carrier")) == nonce


def test_a_transaction_that_a_reorganisation_drops_is_sent_again(slow: Chain, tmp_path: Path) -> None:
    tell(slow, "anvil_mine", "0x3")
    with sending(sender(slow, tmp_path, confirmations=4)) as sent:
        until(lambda: pool(slow))
        snapshot = tell(slow, "evm_snapshot")
        tell(slow, "evm_mine")
        until(lambda: slow.nonce(address("carrier")) > 0)
        time.sleep(1.5)  # so that it has been seen in a block
        tell(slow, "evm_revert", snapshot)
        tell(slow, "anvil_dropAllTransactions")
        tell(slow, "evm_mine")
        until(lambda: pool(slow))
        tell(slow, "anvil_mine", "0x4")
        receipt = sent.result(30)
    assert slow.block(receipt["blockNumber"]).hash == bytes(receipt["blockHash"])


# ------------------------------------------------------------------------------------------------------ killed


@pytest.mark.parametrize("when", ["before it is sent", "after it is sent"])
def test_what_a_killed_sender_left_comes_to_its_end_and_nothing_is_sent_twice(slow: Chain, tmp_path: Path, when: str) -> None:
    nonce, before = slow.nonce(address("carrier")), slow.balance(address("somebody"))
    deadly = Chain(Deadly(url_of(slow), 1, after=when == "after it is sent"))
    assert in_a_process(lambda: sender(deadly, tmp_path).send(CALL)) == -9
    assert len(pool(slow)) == (when == "after it is sent")
    with sending(sender(slow, tmp_path, replace_after=60)) as sent:
        until(lambda: pool(slow))
        tell(slow, "evm_mine")
        assert sent.result(30)["status"] == 1
    assert slow.nonce(address("carrier")) == nonce + 1
    assert slow.balance(address("somebody")) == before


def test_another_call_takes_the_place_of_what_was_left(slow: Chain, tmp_path: Path) -> None:
    deadly = Chain(Deadly(url_of(slow), 1, after=True))
    assert in_a_process(lambda: sender(deadly, tmp_path).send(OTHER)) == -9
    nonce = slow.nonce(address("carrier"))
    with sending(sender(slow, tmp_path, replace_after=60)) as sent:
        until(lambda: [one for one in pool(slow) if one["to"].lower() == CALL.to])
        tell(slow, "evm_mine")
        assert sent.result(30)["status"] == 1
    assert slow.nonce(address("carrier")) == nonce + 1


def test_the_journal_of_another_chain_is_refused(chain: Chain, tmp_path: Path) -> None:
    sender(chain, tmp_path).send(CALL)
    with local_chain("--timestamp", "1700000000") as other, pytest.raises(JournalError, match="another chain"):
        sender(other, tmp_path).send(CALL)


# ------------------------------------------------------------------------------------------------------ two nodes


@pytest.fixture
def front(chain: Chain) -> Iterator[FaultyNode]:
    """A node that can be made to fail, before the chain's own."""
    with faulty_node(url_of(chain)) as node:
        yield node


def node(url: str) -> HttpNode:
    """A node that is not waited for."""
    return HttpNode(url, timeout=2, attempts=1)


FAULTS = {"too many requests": too_many, "a broken gateway": broken, "half an answer": half, "no answer in time": silent}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_node_alone_fails_with_one_clear_error_and_is_well_again_afterwards(front: FaultyNode, tmp_path: Path, fault: str) -> None:
    one = Chain(node(front.url))
    front.fault = FAULTS[fault]
    with pytest.raises((NodeError, *NODE_FAILURES)) as found:
        sender(one, tmp_path).send(CALL)
    assert front.url not in str(found.value) or "requests" in type(found.value).__module__
    front.fault = None
    assert sender(one, tmp_path).send(CALL)["status"] == 1


@pytest.mark.parametrize("fault", FAULTS)
def test_the_second_node_answers_while_the_first_is_ill(chain: Chain, front: FaultyNode, tmp_path: Path, fault: str) -> None:
    both = Chain(FallbackProvider(node(front.url), node(url_of(chain)), look=0.1, rest=0.1))
    front.fault = FAULTS[fault]
    assert sender(both, tmp_path).send(CALL)["status"] == 1
    front.fault = None
    time.sleep(0.3)
    both.block()
    asked = len(front.asked)
    both.block()
    assert len(front.asked) > asked  # the first is in use again


def test_a_node_that_lags_is_left(chain: Chain, front: FaultyNode) -> None:
    both = Chain(FallbackProvider(node(front.url), node(url_of(chain)), most_lag=3, look=0, rest=0.1))
    old = chain.web3.provider.make_request("eth_getBlockByNumber", ["latest", False])["result"]  # type: ignore[arg-type]
    tell(chain, "anvil_mine", "0x9")
    front.fault = changed("eth_getBlockByNumber", lambda block: old if int(block["number"], 16) > int(old["number"], 16) else block)
    both.block()
    assert both.block().number == chain.block().number > int(old["number"], 16)


def test_logs_that_nobody_asked_for_are_not_taken(deployed: World) -> None:
    chain, registry = deployed.chain, deployed.contracts.registry
    deployed.give_passes(Role.WORKER, "somebody")
    honest = [event.name for event in deployed.contracts.vip_pass.events(0)]
    with faulty_node(url_of(chain)) as front:
        both = Chain(FallbackProvider(node(front.url), node(url_of(chain))))
        front.fault = changed("eth_getLogs", lambda logs: [{**one, "address": registry.address} for one in logs])
        seen = deployed.deployment.gateways(both, both.block())
        assert [event.name for event in seen.vip_pass.events(0)] == honest


def test_a_second_node_of_another_chain_or_another_past_is_refused(chain: Chain) -> None:
    with local_chain(chain_id=chain.id + 1) as strange, pytest.raises(WrongChainError):
        FallbackProvider(node(url_of(chain)), node(url_of(strange)))
    with local_chain("--timestamp", str(chain.block().timestamp - DAY)) as strange, pytest.raises(StrangeNodeError, match="another past"):
        FallbackProvider(node(url_of(chain)), node(url_of(strange)))
