"""One node's view of one chain: blocks to pin reads to, code, balances, logs.

All reads of one question go to one block, named by its hash: what they return then belongs together, also when the chain moves on
or reorganises between two of them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import requests
from eth_utils.address import to_checksum_address
from hexbytes import HexBytes
from web3 import Web3
from web3.exceptions import Web3Exception, Web3RPCError
from web3.middleware import ExtraDataToPOAMiddleware
from web3.providers import BaseProvider
from web3.types import BlockData, LogReceipt

from pictor.chain.errors import NodeError, WrongChainError
from pictor.chain.transport import HttpNode
from pictor.units import Address, Timestamp

Moment = int | Literal["latest", "safe", "finalized"]
# What web3 and the transports below it raise when a node fails, not when a contract does.
NODE_FAILURES = (requests.RequestException, ConnectionError, TimeoutError, Web3Exception)

FIRST_LOG_RANGE = 2_000  # blocks asked for at once; halved where the node finds it too much, and doubled where it does not
LARGEST_LOG_RANGE = 100_000


@dataclass(frozen=True)
class Block:
    """A block that reads are pinned to."""

    number: int
    hash: bytes
    timestamp: Timestamp


class Chain:
    """A chain, seen through one web3 provider."""

    def __init__(self, provider: BaseProvider, expected_id: int | None = None) -> None:
        """Asks the node which chain it is on. Raises WrongChainError unless it is `expected_id` (if given), NodeError if it fails."""
        self.web3 = Web3(provider)
        # Chains with proof of authority put more than 32 bytes into a field that web3 would refuse; elsewhere this changes nothing.
        self.web3.middleware_onion.inject(ExtraDataToPOAMiddleware, layer=0)
        # It would ask for the chain's id before every call, which is asked once here.
        self.web3.middleware_onion.remove("validation")
        try:
            self.id = self.web3.eth.chain_id
        except NODE_FAILURES as error:
            raise NodeError(failure(error)) from error
        if expected_id is not None:
            self.require(expected_id)

    @classmethod
    def connect(cls, url: str, expected_id: int | None = None) -> Self:
        """The chain of the HTTP node at `url`."""
        return cls(HttpNode(url), expected_id)

    def require(self, chain_id: int) -> None:
        """Raises WrongChainError unless this is the chain of that id."""
        if self.id != chain_id:
            raise WrongChainError(chain_id, self.id)

    def block(self, moment: Moment = "latest") -> Block:
        """The block at a height or of a kind."""
        return _block(self.web3.eth.get_block(moment))

    def genesis(self) -> bytes:
        """The hash of block 0, which tells two chains with the same id apart."""
        return self.block(0).hash

    def code(self, account: Address, block: Block) -> bytes:
        """The runtime code of `account`, empty if it is no contract."""
        return bytes(self.web3.eth.get_code(to_checksum_address(account), HexBytes(block.hash)))

    def balance(self, account: Address) -> int:
        """What `account` has in the latest block, in wei."""
        return self.web3.eth.get_balance(to_checksum_address(account))

    def nonce(self, account: Address, *, pending: bool = False) -> int:
        """How many transactions `account` has sent up to the latest block, or, with `pending`, up to the end of the node's queue."""
        return self.web3.eth.get_transaction_count(to_checksum_address(account), "pending" if pending else "latest")

    def logs(self, account: Address, first: int, last: int, topics: Sequence[Any] = ()) -> Iterator[LogReceipt]:
        """The logs of `account` in blocks `first` to `last`, inclusive, in order; `topics` as in `eth_getLogs`.

        Asks for ranges that adapt to the node's limit. Raises NodeError for a log out of its range, or if a single block is too much.
        """
        size = FIRST_LOG_RANGE
        while first <= last:
            until = min(last, first + size - 1)
            try:
                logs = self.web3.eth.get_logs(
                    {"address": to_checksum_address(account), "fromBlock": first, "toBlock": until, "topics": list(topics)}
                )
            except (Web3RPCError, requests.HTTPError) as error:
                if until == first:
                    raise NodeError(f"the node gives no logs of block {first}: {failure(error)}") from error
                size = (until - first + 1) // 2
                continue
            for log in logs:
                if not first <= log["blockNumber"] <= until:
                    raise NodeError(f"the node gave a log of block {log['blockNumber']} for blocks {first} to {until}")
            yield from logs
            first, size = until + 1, min(2 * size, LARGEST_LOG_RANGE)


def failure(error: Exception) -> str:
    """What a node's failure is, in one line. Its URL, which may hold a key, is not in it."""
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"the node answers with HTTP {error.response.status_code}"
    if isinstance(error, requests.RequestException):
        return f"the node does not answer ({type(error).__name__})"
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _block(data: BlockData) -> Block:
    return Block(data["number"], bytes(data["hash"]), Timestamp(data["timestamp"]))
