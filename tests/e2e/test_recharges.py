"""What was paid on chain is read once, exactly, from finalised blocks, and a provider that fails or lies is noticed."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ethpm_types import ContractType
from web3 import HTTPProvider, Web3

from pictor.activity import transfers
from pictor.activity.recharges import ChangedBlockError, RechargeLog, RechargeLogError
from pictor.activity.schemas import AMOUNT_LIMIT
from pictor.activity.transfers import LyingProviderError, ProviderError, RangeError, UnreachableError
from pictor.policy import ChainRules
from tests.e2e.chains import Tether, anvil, faulty


@pytest.fixture(scope="module")
def mock(project: Any) -> ContractType:
    contract: ContractType = project.USDT.contract_type
    return contract


@pytest.fixture(scope="module")
def chain() -> Iterator[Web3]:
    with anvil() as web3:
        yield web3


@pytest.fixture
def tether(chain: Web3, mock: ContractType) -> Tether:
    return Tether.deploy(chain, mock)


@pytest.fixture
def log(tmp_path: Path) -> RechargeLog:
    return RechargeLog.open(tmp_path / "recharges")


@pytest.fixture
def paid(tether: Tether) -> Tether:
    """Twelve recharges of 1 to 12 USDT, two blocks apart, finalised."""
    for i in range(12):
        tether.pay(1 + i % 3, (i + 1) * 10**6)
    tether.finalize()
    return tether


def amounts(log: RechargeLog, rules: ChainRules, first: int = 0, last: int | None = None) -> list[int]:
    column = log.table(rules.chain_id, first, log.head(rules.chain_id) if last is None else last)["amount"]
    return [int(amount) for amount in column.to_pylist()]


ALL = [(i + 1) * 10**6 for i in range(12)]


def test_a_transfer_into_the_treasury_is_a_paid_recharge(tether: Tether, log: RechargeLog) -> None:
    receipt = tether.pay(1, 5_000_000_007)
    tether.finalize()
    synced = log.sync(tether.rules, tether.web3)
    assert (synced.rows, synced.dust, synced.refused) == (1, 0, 0)
    rules = tether.rules
    assert log.table(rules.chain_id, 0, log.head(rules.chain_id)).to_pylist() == [
        {
            "ref": f"{rules.chain_id}:0x{receipt['transactionHash'].hex()}:{receipt['logs'][0]['logIndex']}",
            "account": tether.accounts[1].lower(),
            "amount": 5_000_000_007,
            "kind": "paid",
            "at": tether.web3.eth.get_block(receipt["blockNumber"])["timestamp"],
            "block": receipt["blockNumber"],
        }
    ]
    assert log.chains() == [rules.chain_id]


def test_nothing_else_is(tether: Tether, mock: ContractType, log: RechargeLog) -> None:
    tether.pay(1, 7, to=tether.accounts[2])
    other = Tether.deploy(tether.web3, mock)
    other.pay(1, 5_000_000)  # another token
    tether.sent(tether.token.functions.mint(tether.treasury, 9).transact())  # by nobody
    tether.sent(tether.token.functions.transfer(tether.accounts[1], 4).transact({"from": tether.treasury}))  # out of it
    tether.pay(1, 0)
    tether.pay(1, (AMOUNT_LIMIT + 1))
    tether.finalize()
    synced = log.sync(tether.rules, tether.web3)
    assert (synced.rows, synced.refused) == (0, 2)


def test_a_blacklisted_account_recharges_nothing(tether: Tether, log: RechargeLog) -> None:
    sender = tether.accounts[4]
    tether.sent(tether.token.functions.mint(sender, 10).transact())
    tether.sent(tether.token.functions.addBlackList(sender).transact())
    reverted = tether.token.functions.transfer(tether.treasury, 10).transact({"from": sender, "gas": 200_000})
    assert tether.sent(reverted)["status"] == 0
    tether.finalize()
    assert log.sync(tether.rules, tether.web3).rows == 0


def test_the_decimals_are_the_tokens_own_and_dust_is_dropped_and_reported(chain: Web3, mock: ContractType, log: RechargeLog) -> None:
    tether = Tether.deploy(chain, mock, decimals=18)
    tether.pay(1, 25 * 10**17)  # 2.5 USDT
    tether.pay(1, 10**12 + 77)  # a micro-USDT and dust
    tether.pay(1, 10**12 - 1)  # all dust
    tether.finalize()
    synced = log.sync(tether.rules, chain)
    assert amounts(log, tether.rules) == [2_500_000, 1]
    assert synced.dust == 77 + 10**12 - 1


def test_only_finalised_blocks_are_read(tether: Tether, log: RechargeLog) -> None:
    tether.pay(1, 10**6)
    tether.finalize()
    tether.pay(1, 2 * 10**6)
    finalized = tether.web3.eth.get_block("finalized")
    held = log.sync(tether.rules, tether.web3).held
    assert held is not None
    assert (held.block, held.hash, held.time) == (finalized["number"], f"0x{finalized['hash'].hex()}", finalized["timestamp"])
    assert amounts(log, tether.rules) == [10**6]
    tether.finalize()
    log.sync(tether.rules, tether.web3)
    assert amounts(log, tether.rules) == [10**6, 2 * 10**6]


def test_a_log_is_cut_by_block(paid: Tether, log: RechargeLog) -> None:
    log.sync(paid.rules, paid.web3)
    rows = log.table(paid.rules.chain_id, 0, log.head(paid.rules.chain_id)).to_pylist()
    for row in rows:
        assert amounts(log, paid.rules, 0, row["block"])[-1] == row["amount"]
        assert amounts(log, paid.rules, row["block"])[0] == row["amount"]
        assert amounts(log, paid.rules, 0, row["block"] - 1) == [one["amount"] for one in rows if one["block"] < row["block"]]
    with pytest.raises(RechargeLogError, match="not to"):
        log.table(paid.rules.chain_id, 0, log.head(paid.rules.chain_id) + 1)


def test_steps_of_any_length_give_the_same_log(paid: Tether, log: RechargeLog, tmp_path: Path) -> None:
    log.sync(paid.rules, paid.web3)
    stepwise = RechargeLog.open(tmp_path / "stepwise")
    for stop in [*range(paid.first_block - 1, log.head(paid.rules.chain_id), 5), None]:
        stepwise.sync(paid.rules, paid.web3, stop)
    assert stepwise.held(paid.rules.chain_id) == log.held(paid.rules.chain_id)
    assert amounts(stepwise, paid.rules) == amounts(log, paid.rules) == ALL
    stepwise.check(paid.rules, paid.web3)


def test_a_killed_sync_goes_on_where_it_stopped(paid: Tether, log: RechargeLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfers, "FIRST_RANGE", 4)

    def killed(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        log.sync(paid.rules, paid.web3, progress=killed)
    assert log.head(paid.rules.chain_id) == paid.first_block + 3
    log.sync(paid.rules, paid.web3)
    assert amounts(log, paid.rules) == ALL


def width(parameters: Any) -> int:
    return int(parameters[0]["toBlock"], 16) - int(parameters[0]["fromBlock"], 16) + 1


@pytest.mark.parametrize("limit", [1, 2, 5, 7])
def test_ranges_adapt_to_a_limit_of_blocks(paid: Tether, log: RechargeLog, limit: int) -> None:
    def limited(method: str, parameters: Any, answer: dict[str, Any]) -> dict[str, Any]:
        if method == "eth_getLogs" and width(parameters) > limit:
            return {"jsonrpc": "2.0", "id": 1, "error": {"code": -32005, "message": "block range is too wide"}}
        return answer

    log.sync(paid.rules, faulty(paid.web3, limited))
    assert amounts(log, paid.rules) == ALL


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_an_answer_that_is_cut_off_without_a_word_is_noticed_and_asked_again_in_parts(paid: Tether, log: RechargeLog, limit: int) -> None:
    def half(method: str, _: Any, answer: dict[str, Any]) -> dict[str, Any]:
        return {**answer, "result": answer["result"][:limit]} if method == "eth_getLogs" else answer

    log.sync(paid.rules, faulty(paid.web3, half))
    assert amounts(log, paid.rules) == ALL


def test_a_provider_that_answers_differently_each_time_is_not_believed(paid: Tether, log: RechargeLog) -> None:
    asked: list[str] = []

    def moody(method: str, _: Any, answer: dict[str, Any]) -> dict[str, Any]:
        asked.append(method)
        return {**answer, "result": []} if method == "eth_getLogs" and asked.count("eth_getLogs") % 2 else answer

    with pytest.raises(RangeError, match="two answers"):
        log.sync(paid.rules, faulty(paid.web3, moody))
    taken = amounts(log, paid.rules) if log.chains() else []
    assert taken == ALL[: len(taken)]  # only ranges of which it said the same twice


def test_a_replica_that_lacks_the_blocks_is_not_believed(paid: Tether, log: RechargeLog) -> None:
    head = paid.web3.eth.block_number - 6

    def lagging(method: str, parameters: Any, answer: dict[str, Any]) -> dict[str, Any]:
        if method == "eth_getLogs":
            return {**answer, "result": [one for one in answer["result"] if int(one["blockNumber"], 16) <= head]}
        if method == "eth_getBlockByNumber" and parameters[0] != "finalized" and int(parameters[0], 16) > head:
            return {**answer, "result": None}
        return answer

    with pytest.raises(ProviderError, match="no such block"):
        log.sync(paid.rules, faulty(paid.web3, lagging))
    log.sync(paid.rules, paid.web3)
    assert amounts(log, paid.rules) == ALL


def of_first_log(**changes: Any) -> Any:
    def change(method: str, _: Any, answer: dict[str, Any]) -> dict[str, Any]:
        if method == "eth_getLogs" and answer["result"]:
            return {**answer, "result": [{**answer["result"][0], **changes}, *answer["result"][1:]]}
        return answer

    return change


def twice(method: str, _: Any, answer: dict[str, Any]) -> dict[str, Any]:
    return {**answer, "result": answer["result"] + answer["result"][:1]} if method == "eth_getLogs" else answer


def other_block(method: str, parameters: Any, answer: dict[str, Any]) -> dict[str, Any]:
    if method == "eth_getBlockByNumber" and parameters[0] != "finalized":
        return {**answer, "result": {**answer["result"], "number": "0x1"}}
    return answer


def broken_links(method: str, _: Any, answer: dict[str, Any]) -> dict[str, Any]:
    return {**answer, "result": {**answer["result"], "parentHash": "0x" + "7" * 64}} if method == "eth_getBlockByNumber" else answer


LIES = {
    "a block out of the range": (of_first_log(blockNumber="0xffffff"), "a log of block"),
    "another hash than the header's": (of_first_log(blockHash="0x" + "1" * 64), "the header"),
    "another token": (of_first_log(address="0x" + "1" * 40), "not what was asked for"),
    "another event": (of_first_log(topics=["0x" + "1" * 64] * 3), "not what was asked for"),
    "another treasury": (of_first_log(topics=[transfers.TRANSFER, "0x" + "0" * 64, "0x" + "0" * 64]), "not what was asked for"),
    "a log that was removed": (of_first_log(removed=True), "not what was asked for"),
    "no log": (of_first_log(data=None), "not a log"),
    "short data": (of_first_log(data="0x01"), "not what was asked for"),
    "no number": (of_first_log(blockNumber="soon"), "not a block"),
    "a log twice": (twice, "stands twice"),
    "the header of another block": (other_block, "given block 1"),
    "headers that are no chain": (broken_links, "does not follow"),
}


@pytest.mark.parametrize(("lie", "word"), LIES.values(), ids=LIES)
def test_a_lie_is_noticed_and_nothing_of_it_taken(
    paid: Tether, log: RechargeLog, monkeypatch: pytest.MonkeyPatch, lie: Any, word: str
) -> None:
    monkeypatch.setattr(transfers, "FIRST_RANGE", 8)
    log.sync(paid.rules, paid.web3, paid.first_block + 3)
    before = log.held(paid.rules.chain_id)
    with pytest.raises(ProviderError, match=word):
        log.sync(paid.rules, faulty(paid.web3, lie))
    assert log.held(paid.rules.chain_id) == before
    log.sync(paid.rules, paid.web3)
    assert amounts(log, paid.rules) == ALL


def test_a_provider_on_another_chain_is_refused(paid: Tether, log: RechargeLog) -> None:
    rules = ChainRules(1, paid.rules.token, paid.rules.treasury, 0)
    with pytest.raises(LyingProviderError, match="chain 31337, not on 1"):
        log.sync(rules, paid.web3)


def test_where_no_token_is_nothing_is_read(paid: Tether, log: RechargeLog) -> None:
    rules = ChainRules(31337, paid.rules.treasury, paid.rules.treasury, 0)
    with pytest.raises(ProviderError, match="no token"):
        log.sync(rules, paid.web3)
    assert log.chains() == []


def test_a_provider_that_is_not_there_is_named(paid: Tether, log: RechargeLog) -> None:
    nobody = HTTPProvider("http://127.0.0.1:9", exception_retry_configuration=None)
    with pytest.raises(UnreachableError, match="no connection"):
        log.sync(paid.rules, Web3(nobody))


def test_a_provider_that_lags_adds_nothing(paid: Tether, log: RechargeLog) -> None:
    held = log.sync(paid.rules, paid.web3).held
    old = paid.web3.eth.get_block(paid.first_block)

    def stale(method: str, parameters: Any, answer: dict[str, Any]) -> dict[str, Any]:
        if method == "eth_getBlockByNumber" and parameters[0] == "finalized":
            return {**answer, "result": {**answer["result"], "number": hex(old["number"]), "hash": f"0x{old['hash'].hex()}"}}
        return answer

    assert log.sync(paid.rules, faulty(paid.web3, stale)).held == held


def test_a_finalised_block_that_changed_is_noticed(mock: ContractType, log: RechargeLog) -> None:
    with anvil() as web3:
        tether = Tether.deploy(web3, mock)
        tether.pay(1, 10**6)
        snapshot = web3.provider.make_request("evm_snapshot", [])["result"]  # type: ignore[arg-type]
        tether.pay(1, 2 * 10**6)
        tether.finalize()
        log.sync(tether.rules, web3)
        assert amounts(log, tether.rules) == [10**6, 2 * 10**6]
        web3.provider.make_request("evm_revert", [snapshot])  # type: ignore[arg-type]
        tether.pay(1, 3 * 10**6)
        tether.mine(10)
        with pytest.raises(ChangedBlockError, match="and is now"):
            log.sync(tether.rules, web3)
        assert amounts(log, tether.rules) == [10**6, 2 * 10**6]
        with pytest.raises(ChangedBlockError):
            log.check(tether.rules, web3)


def test_a_gap_is_noticed(paid: Tether, log: RechargeLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfers, "FIRST_RANGE", 2)
    log.sync(paid.rules, paid.web3)
    spans = sorted((log.folder / "31337" / "spans").iterdir())
    spans[1].unlink()
    for use in (lambda: log.sync(paid.rules, paid.web3), lambda: log.table(31337, 0, 1), lambda: log.head(31337)):
        with pytest.raises(RechargeLogError, match="gap"):
            use()


@pytest.mark.parametrize("name", ["token", "treasury", "first_block"])
def test_a_log_of_something_else_is_not_mixed_in(paid: Tether, log: RechargeLog, name: str) -> None:
    log.sync(paid.rules, paid.web3)
    file = log.folder / "31337" / "log.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), name: "0x" + "1" * 40}))
    with pytest.raises(RechargeLogError, match=name):
        log.sync(paid.rules, paid.web3)


def test_a_changed_row_is_found_by_the_check(paid: Tether, log: RechargeLog) -> None:
    log.sync(paid.rules, paid.web3)
    log.check(paid.rules, paid.web3)

    with pytest.raises(ChangedBlockError):
        log.check(paid.rules, faulty(paid.web3, of_first_log(data="0x" + "0" * 63 + "7")))


def test_nothing_held_is_no_chain(log: RechargeLog) -> None:
    assert log.chains() == []
    with pytest.raises(RechargeLogError, match="nothing is held"):
        log.head(31337)
