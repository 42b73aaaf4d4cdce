"""Transactions: signed by anybody, sent so that sending twice is harmless, believed only when the chain shows them.

A transaction is signed first and sent then, so its hash is known, and can be written down, before anything leaves this machine.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

from eth_account.signers.local import LocalAccount
from eth_utils.crypto import keccak
from hexbytes import HexBytes
from web3.exceptions import ContractLogicError, TransactionNotFound, Web3RPCError
from web3.types import TxParams, TxReceipt, Wei

from pictor.chain.contracts import Call
from pictor.chain.errors import NonceTakenError, NotMinedError, RefusedError, RevertedError
from pictor.chain.interfaces import revert
from pictor.chain.node import Chain
from pictor.units import Address, to_checksum

POLL = 0.5  # seconds between two looks for a receipt
SETTLING = 10  # seconds in which a node may be late to show a transaction whose nonce it counts already
BUMP = 1_250  # basis points: a replacement must pay 10 % more to be taken by common nodes, and this is above that for sure
GAS_MARGIN = 2_000  # basis points on top of what a transaction was estimated to need
BASIS_POINTS = 10_000


class Signer(Protocol):
    """Whoever has the key of an account: a key file, a hardware wallet, a KMS."""

    @property
    def address(self) -> Address:
        """The account."""

    def sign(self, transaction: dict[str, Any]) -> bytes:
        """The signed transaction, ready to be sent. `transaction` has web3's fields. Raises ChainError if the signer refuses."""


@dataclass(frozen=True)
class LocalSigner:
    """A key in memory: for local chains."""

    account: LocalAccount

    @property
    def address(self) -> Address:
        """The account."""
        return Address(self.account.address.lower())

    def sign(self, transaction: dict[str, Any]) -> bytes:
        """See Signer."""
        return bytes(self.account.sign_transaction(transaction).raw_transaction)


@dataclass(frozen=True)
class Fees:
    """What a unit of gas may cost, in wei. `tip` None: a chain without EIP-1559, where `most` is the price."""

    most: int
    tip: int | None

    def fields(self) -> dict[str, int]:
        """The transaction's fields."""
        return {"gasPrice": self.most} if self.tip is None else {"maxFeePerGas": self.most, "maxPriorityFeePerGas": self.tip}

    @property
    def raised(self) -> "Fees":
        """The least that a transaction must pay to take the place of one that has these fees."""
        return Fees(_bumped(self.most), None if self.tip is None else _bumped(self.tip))

    def replacing(self, old: "Fees") -> "Fees":
        """These fees, or more where that is needed to take the place of a transaction that has `old`."""
        least = old.raised
        return Fees(max(self.most, least.most), None if self.tip is None else max(self.tip, least.tip or 0))


@dataclass(frozen=True)
class Signed:
    """A transaction that can be sent any number of times and takes effect at most once."""

    nonce: int
    fees: Fees
    raw: bytes

    @property
    def hash(self) -> bytes:
        """Its id on the chain."""
        return keccak(self.raw)

    def entry(self) -> dict[str, Any]:
        """The transaction as a journal has it."""
        return {"nonce": self.nonce, "most": self.fees.most, "tip": self.fees.tip, "raw": self.raw.hex()}

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> Self:
        """The transaction that a journal has. Raises KeyError, TypeError or ValueError if it is none."""
        return cls(entry["nonce"], Fees(entry["most"], entry["tip"]), bytes.fromhex(entry["raw"]))


def current_fees(chain: Chain) -> Fees:
    """Fees that hold while the base fee doubles, or the node's gas price where there is no base fee."""
    base = chain.web3.eth.get_block("latest").get("baseFeePerGas")
    if base is None:
        return Fees(chain.web3.eth.gas_price, None)
    tip = chain.web3.eth.max_priority_fee
    return Fees(2 * base + tip, tip)


def least_price(chain: Chain) -> int:
    """What a unit of gas costs at least now: the base fee, or the node's gas price where there is none."""
    base = chain.web3.eth.get_block("latest").get("baseFeePerGas")
    return chain.web3.eth.gas_price if base is None else base


def is_too_cheap(chain: Chain, fees: Fees) -> bool:
    """Whether no block can take a transaction with `fees` now."""
    return fees.most < least_price(chain)


def estimate(chain: Chain, sender: Address, call: Call) -> int:
    """The gas that `call` needs now, with a margin. Raises RevertedError if it would fail."""
    try:
        gas = chain.web3.eth.estimate_gas(_fields(sender, call))
    except ContractLogicError as error:
        raise revert(call.what, error) from error
    return gas * (BASIS_POINTS + GAS_MARGIN) // BASIS_POINTS


def sign(chain: Chain, signer: Signer, call: Call, nonce: int, fees: Fees, least_gas: int = 0) -> Signed:
    """`call` as a signed transaction with at least `least_gas`. Raises RevertedError if it would fail now."""
    return sign_with(chain, signer, call, nonce, fees, max(estimate(chain, signer.address, call), least_gas))


def sign_with(chain: Chain, signer: Signer, call: Call, nonce: int, fees: Fees, gas: int) -> Signed:
    """`call` as a signed transaction that may use `gas`."""
    fields = {**_fields(signer.address, call), "chainId": chain.id, "nonce": nonce, "gas": gas, **fees.fields()}
    return Signed(nonce, fees, signer.sign(fields))


def broadcast(chain: Chain, signed: Signed) -> None:
    """Sends a transaction. One that the node knows already, or whose nonce was used meanwhile, is no error: the receipt tells.

    Raises RefusedError.
    """
    try:
        chain.web3.eth.send_raw_transaction(HexBytes(signed.raw))
    except Web3RPCError as error:
        text = str(error).lower()
        if not any(known in text for known in ("already known", "already imported", "known transaction", "nonce too low")):
            raise RefusedError(signed.hash, _reason(error)) from error


def receipt(chain: Chain, transaction: bytes) -> TxReceipt | None:
    """The receipt of a mined transaction."""
    try:
        return chain.web3.eth.get_transaction_receipt(HexBytes(transaction))
    except TransactionNotFound:
        return None


def wait(chain: Chain, transactions: Sequence[Signed], timeout: float) -> TxReceipt:
    """The receipt of that one of `transactions`, all with one nonce, that is mined. Raises NotMinedError after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        for signed in transactions:
            if found := receipt(chain, signed.hash):
                return found
        if time.monotonic() > deadline:
            raise NotMinedError(transactions[-1].hash, timeout)
        time.sleep(POLL)


def outcome(chain: Chain, account: Address, transactions: Sequence[Signed]) -> TxReceipt | None:
    """The receipt of that one of the account's `transactions`, all with one nonce, that is mined; None if their nonce is unused.

    Raises NonceTakenError if another transaction has used it.
    """
    nonce = transactions[-1].nonce
    if chain.nonce(account) <= nonce:
        return None
    try:
        return wait(chain, transactions, SETTLING)
    except NotMinedError:
        raise NonceTakenError(account, nonce) from None


def send(chain: Chain, signer: Signer, call: Call, timeout: float = 300) -> TxReceipt:
    """Sends `call` and waits until it is mined, up to `timeout` seconds.

    Raises RevertedError if it fails, before or on the chain, NotMinedError if it is not mined in time.
    """
    nonce = chain.nonce(signer.address, pending=True)
    signed = sign(chain, signer, call, nonce, current_fees(chain))
    broadcast(chain, signed)
    found = wait(chain, [signed], timeout)
    if found["status"] != 1:
        raise RevertedError(call.what, f"in transaction 0x{signed.hash.hex()}")
    return found


def _fields(sender: Address, call: Call) -> TxParams:
    fields: TxParams = {"from": to_checksum(sender), "data": HexBytes(call.data), "value": Wei(0)}
    if call.to is not None:
        fields["to"] = to_checksum(call.to)
    return fields


def _bumped(price: int) -> int:
    return price * (BASIS_POINTS + BUMP) // BASIS_POINTS + 1


def _reason(error: Web3RPCError) -> str:
    """The node's own sentence, out of its whole answer."""
    answer = error.rpc_response or {}
    return str(answer.get("error", {}).get("message", error) if isinstance(answer.get("error"), dict) else error)
