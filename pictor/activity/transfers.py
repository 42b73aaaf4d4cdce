"""Token transfers into a treasury, read by plain `eth_getLogs` ranges from a provider that is not taken at its word."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import requests
from eth_utils.crypto import keccak
from web3 import Web3
from web3.types import RPCEndpoint

from pictor.chain.node import failure
from pictor.policy import ChainRules
from pictor.units import TIME_LIMIT, Address

TRANSFER = "0x" + keccak(text="Transfer(address,address,uint256)").hex()
DECIMALS = "0x313ce567"  # decimals()
HEADERS_AT_ONCE = 100
FIRST_RANGE, GREATEST_RANGE = 2_000, 100_000  # blocks asked for at once, to begin with and at most
ENOUGH_LOGS = 2_000  # ranges do not grow where they hold so many


class ProviderError(Exception):
    """The provider failed, or said something that cannot be true. Nothing of its answer was taken."""


class UnreachableError(ProviderError):
    """There is no connection to the provider."""


class RangeError(ProviderError):
    """The provider would not, or could not, answer for a range of blocks, or not twice the same. A smaller one may do."""


class LyingProviderError(ProviderError):
    """Answers that contradict each other or the question."""


@dataclass(frozen=True)
class Header:
    """What is needed of a block."""

    number: int
    hash: str
    parent: str
    time: int


@dataclass(frozen=True, order=True)
class Transfer:
    """One `Transfer` log into the treasury. `value` in the token's own units."""

    block: int
    index: int
    block_hash: str
    transaction: str
    sender: Address
    value: int


@dataclass(frozen=True)
class Span:
    """All transfers of a range of blocks, in order, with the headers of its ends and of every block that has one."""

    first: Header
    last: Header
    transfers: Sequence[Transfer]
    times: dict[int, int]  # block -> Unix seconds


class TransferReader:
    """Reads one chain's transfers. Every answer is checked against the question, against headers, and against a second look."""

    def __init__(self, web3: Web3, chain: ChainRules) -> None:
        self.web3, self.chain = web3, chain
        found = _quantity(self._ask("eth_chainId", []), "chain id")
        if found != chain.chain_id:
            raise LyingProviderError(f"the provider is on chain {found}, not on {chain.chain_id}")

    def decimals(self) -> int:
        """The token's own. Raises ProviderError where there is no token."""
        answer = self._ask("eth_call", [{"to": self.chain.token, "data": DECIMALS}, "latest"])
        decimals = _quantity(answer, "decimals") if answer != "0x" else -1
        if not 0 <= decimals <= 36:
            raise ProviderError(f"chain {self.chain.chain_id}: no token at {self.chain.token} (its decimals are {answer})")
        return decimals

    def finalized(self) -> Header:
        """The newest finalised block."""
        return self._header("finalized", self._ask("eth_getBlockByNumber", ["finalized", False]))

    def headers(self, numbers: Iterable[int]) -> list[Header]:
        """The headers of blocks, in the order asked for."""
        asked = list(numbers)
        found = []
        for i in range(0, len(asked), HEADERS_AT_ONCE):
            part = asked[i : i + HEADERS_AT_ONCE]
            answers = self._ask_all([("eth_getBlockByNumber", [hex(number), False]) for number in part])
            found += [self._header(number, answer) for number, answer in zip(part, answers, strict=True)]
        return found

    def spans(self, first: int, last: int) -> Iterator[Span]:
        """The blocks `first` to `last` in ranges that adapt to what the provider can do. Raises ProviderError."""
        size, refused = FIRST_RANGE, GREATEST_RANGE + 1
        while first <= last:
            size = min(size, last - first + 1)
            try:
                span = self._span(first, first + size - 1)
            except RangeError:
                if size == 1:
                    raise
                size, refused = size // 2, size
                continue
            yield span
            first = span.last.number + 1
            if len(span.transfers) < ENOUGH_LOGS:
                # Quickly up to what was refused before, slowly beyond it: the limit may be a number of logs, not of blocks.
                size = min(2 * size if 2 * size < refused else size + size // 8 + 1, GREATEST_RANGE)

    def _span(self, first: int, last: int) -> Span:
        """One range. It is asked for twice, whole and in two halves: a provider that leaves out what is too much for it, or whose
        replicas are not all up to date, gives two answers."""
        transfers = self._logs(first, last)
        middle = (first + last) // 2
        again = self._logs(first, middle) + (self._logs(middle + 1, last) if last > first else [])
        if transfers != again:
            counts = f"{len(transfers)} transfers when asked at once, {len(again)} when asked in halves"
            raise RangeError(f"blocks {first} to {last}: two answers, {counts}")
        numbers = sorted({first, last, *(transfer.block for transfer in transfers)})
        headers = {header.number: header for header in self.headers(numbers)}
        for transfer in transfers:
            if transfer.block_hash != headers[transfer.block].hash:
                raise LyingProviderError(
                    f"block {transfer.block}: a log says its hash is {transfer.block_hash}, the header {headers[transfer.block].hash}"
                )
        for one, two in pairwise(headers.values()):
            if two.time < one.time or (two.number == one.number + 1 and two.parent != one.hash):
                raise LyingProviderError(f"block {two.number} does not follow block {one.number}")
        return Span(headers[first], headers[last], transfers, {number: header.time for number, header in headers.items()})

    def _logs(self, first: int, last: int) -> list[Transfer]:
        question = {
            "address": self.chain.token,
            "topics": [TRANSFER, None, "0x" + "0" * 24 + self.chain.treasury[2:]],
            "fromBlock": hex(first),
            "toBlock": hex(last),
        }
        try:
            # In one request, so that whoever answers has the range: a replica that lags would have no transfers in blocks it lacks.
            answer, end = self._ask_all([("eth_getLogs", [question]), ("eth_getBlockByNumber", [hex(last), False])])
        except UnreachableError:
            raise
        except ProviderError as error:
            raise RangeError(f"blocks {first} to {last}: {error}") from None
        if not isinstance(answer, list) or end is None:
            raise RangeError(f"blocks {first} to {last}: {'it has no such block' if end is None else 'not a list of logs'}")
        transfers = sorted(self._transfer(log, question) for log in answer)
        for transfer in transfers:
            if not first <= transfer.block <= last:
                raise LyingProviderError(f"blocks {first} to {last}: a log of block {transfer.block} in the answer")
        for one, two in pairwise(transfers):
            if (one.block, one.index) == (two.block, two.index):
                raise LyingProviderError(f"block {one.block}: log {one.index} stands twice in one answer")
        return transfers

    def _transfer(self, log: Any, question: dict[str, Any]) -> Transfer:
        try:
            topics = [str(topic).lower() for topic in log["topics"]]
            asked = [question["address"], question["topics"][0], question["topics"][2]]
            if (
                [str(log["address"]).lower(), topics[0], topics[2]] != asked
                or len(topics) != 3
                or log.get("removed")
                or len(log["data"]) != 66
            ):
                raise LyingProviderError(f"not what was asked for: {str(log)[:300]}")
            return Transfer(
                block=_quantity(log["blockNumber"], "block"),
                index=_quantity(log["logIndex"], "log index"),
                block_hash=_hash(log["blockHash"]),
                transaction=_hash(log["transactionHash"]),
                sender=Address("0x" + _hash(topics[1])[26:]),
                value=int(log["data"], 16),
            )
        except (KeyError, IndexError, TypeError, ValueError, AttributeError):
            raise LyingProviderError(f"not a log: {str(log)[:300]}") from None

    def _header(self, asked: int | str, block: Any) -> Header:
        if block is None:
            raise ProviderError(f"the provider has no block {asked}")
        try:
            header = Header(
                _quantity(block["number"], "block"),
                _hash(block["hash"]),
                _hash(block["parentHash"]),
                _quantity(block["timestamp"], "time"),
            )
        except (KeyError, TypeError):
            raise LyingProviderError(f"not a block: {str(block)[:300]}") from None
        if isinstance(asked, int) and header.number != asked:
            raise LyingProviderError(f"asked for block {asked}, given block {header.number}")
        if header.time >= TIME_LIMIT:
            raise LyingProviderError(f"block {header.number}: {header.time} is no time")
        return header

    def _ask(self, method: str, parameters: list[Any]) -> Any:
        return self._result(method, self._call(lambda: self.web3.provider.make_request(RPCEndpoint(method), parameters)))

    def _ask_all(self, questions: list[tuple[str, list[Any]]]) -> list[Any]:
        provider: Any = self.web3.provider
        batch = [(RPCEndpoint(method), parameters) for method, parameters in questions]
        answers = self._call(lambda: provider.make_batch_request(batch))
        if not isinstance(answers, list) or len(answers) != len(questions):
            raise ProviderError(f"{questions[0][0]}: {len(questions)} questions, but the answer is {str(answers)[:300]}")
        return [self._result(method, answer) for (method, _), answer in zip(questions, answers, strict=True)]

    def _call(self, request: Callable[[], Any]) -> Any:
        try:
            return request()
        except requests.exceptions.ConnectionError as error:
            raise UnreachableError(f"no connection to the provider ({type(error).__name__})") from None
        except Exception as error:  # a provider may fail in as many ways as there are transports
            raise ProviderError(f"{type(error).__name__}: {failure(error)[:300]}") from None

    def _result(self, method: str, answer: Any) -> Any:
        if not isinstance(answer, dict) or answer.get("result") is None:
            fault = answer.get("error") if isinstance(answer, dict) else answer
            if method == "eth_getBlockByNumber" and fault is None:
                return None
            raise ProviderError(f"{method}: {str(fault)[:300]}")
        return answer["result"]


def _quantity(value: Any, what: str) -> int:
    try:
        return int(value, 16)
    except (TypeError, ValueError):
        raise LyingProviderError(f"not a {what}: {str(value)[:80]}") from None


def _hash(value: Any) -> str:
    text = str(value).lower()
    if len(text) != 66 or not text.startswith("0x"):
        raise LyingProviderError(f"not a hash: {text[:80]}")
    _quantity(text, "hash")
    return text
