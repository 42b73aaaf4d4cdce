"""The chain spoken to in bare JSON-RPC, for tests of thousands of calls: 2 ms a transaction, 0.2 ms a read in a batch."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from ape import chain
from eth_abi.abi import decode, encode
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from hypothesis import settings

from tests.contracts.support import ZERO, Refusal, account_of, decode_refusal, rpc

GAS = hex(25_000_000)


class Call(NamedTuple):
    """A call that is not made yet."""

    to: str
    data: str
    outputs: Sequence[str]

    def result(self, data: str) -> Any:
        values = [_readable(kind, value) for kind, value in zip(self.outputs, decode(self.outputs, bytes.fromhex(data[2:])), strict=True)]
        return (values[0] if len(values) == 1 else tuple(values)) if values else None


def _readable(kind: str, value: Any) -> Any:
    return to_checksum_address(value) if kind == "address" else value


@dataclass(frozen=True)
class Raw:
    """An Ape contract's functions by name, or by signature where a name is used twice, as calls."""

    contract: Any

    @cached_property
    def _functions(self) -> dict[str, tuple[bytes, list[str], list[str]]]:
        functions = {}
        for abi in self.contract.contract_type.methods:
            entry = (
                keccak(text=abi.selector)[:4],
                [part.canonical_type for part in abi.inputs],
                [part.canonical_type for part in abi.outputs],
            )
            functions[abi.name] = functions[abi.selector] = entry
        return functions

    @cached_property
    def address(self) -> str:
        return account_of(self.contract)

    def __call__(self, function: str, *args: Any) -> Call:
        selector, inputs, outputs = self._functions[function]
        return Call(self.address, "0x" + (selector + encode(inputs, args)).hex(), outputs)


def ask(call: Call, sender: Any = None) -> Any:
    """What `call` would return or, if it would revert, the Refusal."""
    return ask_all([call], sender)[0]


def ask_all(calls: Iterable[Call], sender: Any = None) -> list[Any]:
    """The same for many calls at once."""
    calls = list(calls)
    source = account_of(sender) if sender is not None else ZERO
    requests = [("eth_call", [{"from": source, "to": call.to, "data": call.data, "gas": GAS}, "latest"]) for call in calls]
    answers = chain.provider.web3.provider.make_batch_request(requests) if requests else []
    return [
        decode_refusal(bytes.fromhex(answer["error"].get("data", "0x")[2:])) if "error" in answer else call.result(answer["result"])
        for call, answer in zip(calls, answers, strict=True)
    ]


def send(call: Call, sender: Any) -> Any:
    """Make `call` in a transaction, which must succeed; the receipt as JSON-RPC gives it."""
    transaction = {"from": account_of(sender), "to": call.to, "data": call.data, "gas": GAS}
    receipt = rpc("eth_sendTransactionSync", transaction)
    assert receipt["status"] == "0x1", f"reverted: {ask(call, sender)}"
    return receipt


def perform(call: Call, sender: Any, expected: Any) -> Any:
    """The receipt of `call`, or None where `expected` is a Refusal: then it must revert so, and is not sent."""
    if isinstance(expected, Refusal):
        assert ask(call, sender) == expected
        return None
    return send(call, sender)


def travel_to(time: int) -> None:
    """Make `time` the time of the latest block and, as the clock is frozen, of the next ones."""
    rpc("evm_setNextBlockTimestamp", time)
    rpc("evm_mine")


def snapshot() -> Any:
    """A point in the life of the chain, to {rewind} to once."""
    return rpc("evm_snapshot")


def rewind(to: Any) -> None:
    assert rpc("evm_revert", to)


@contextmanager
def rewound() -> Iterator[None]:
    """What happens inside never happened, clock included."""
    start = snapshot()
    try:
        yield
    finally:
        rewind(start)


def tries(examples: int, steps: int = 50) -> settings:
    """For a property test: that many examples, or in proportion with another profile than `quick`."""
    return settings(max_examples=examples * settings().max_examples // 100, stateful_step_count=steps)
