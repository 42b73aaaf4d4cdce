"""The contracts' interfaces as data: how calls are written, and results, errors and events read. `make abi` makes the files in `abi/`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from typing import Any, Protocol

from eth_abi.abi import decode, encode
from eth_utils.abi import (
    abi_to_signature,
    event_abi_to_log_topic,
    function_abi_to_4byte_selector,
    get_abi_input_types,
    get_abi_output_types,
)
from web3.exceptions import ContractLogicError
from web3.types import LogReceipt

from pictor.chain.errors import RevertedError

CONTRACTS = ("Powers", "AttestorCommittee", "VIPPass", "ScoreRegistry", "PassArt")
ERROR_OF_REASON = bytes.fromhex("08c379a0")  # Error(string)


class Struct(Protocol):
    """A struct argument: its fields by name, in the struct's order. Messages and standings of `pictor.epoch` are such."""

    def values(self) -> Mapping[str, Any]:
        """The fields."""


@dataclass(frozen=True)
class Event:
    """What a contract has logged: the event's name and its arguments by name. Addresses are lower-case hex."""

    name: str
    arguments: Mapping[str, Any]
    block: int
    transaction: bytes

    def __str__(self) -> str:
        return f"{self.name}({', '.join(f'{name}={_text(value)}' for name, value in self.arguments.items())})"


@dataclass(frozen=True)
class Interface:
    """The interface of one contract. A function is named by its name, or, where that is overloaded, by its signature."""

    name: str
    abi: tuple[Mapping[str, Any], ...]

    def function(self, name: str) -> Mapping[str, Any]:
        """The function of that name or signature. Raises KeyError if there is none, or more than one."""
        if name not in self._by_name:
            named = [signature for signature in self._by_signature if signature.startswith(f"{name}(")]
            raise KeyError(f"{self.name} has {' and '.join(named)}" if named else f"{self.name} has no function {name}")
        return self._by_name[name]

    def functions(self) -> list[str]:
        """The signatures of all functions."""
        return list(self._by_signature)

    def writers(self) -> list[str]:
        """The signatures of the functions that can change something."""
        return [signature for signature, entry in self._by_signature.items() if entry["stateMutability"] not in ("view", "pure")]

    def selector(self, name: str) -> bytes:
        """The 4 bytes that name a function."""
        return function_abi_to_4byte_selector(self.function(name))  # type: ignore[arg-type]

    def encode(self, name: str, *arguments: Any) -> bytes:
        """The data of a call; structs as Struct or as tuple."""
        function = self.function(name)
        return self.selector(name) + encode(get_abi_input_types(function), [_plain(one) for one in arguments])  # type: ignore[arg-type]

    def arguments(self, name: str, data: bytes) -> tuple[Any, ...]:
        """The arguments of a call, out of its data."""
        return decode(get_abi_input_types(self.function(name)), data[4:])  # type: ignore[arg-type]

    def decode(self, name: str, data: bytes) -> Any:
        """What a call returned: the value, or a tuple of several. Raises eth_abi's DecodingError for data of another shape."""
        values = decode(get_abi_output_types(self.function(name)), data)  # type: ignore[arg-type]
        return values[0] if len(values) == 1 else values

    def constructor(self) -> dict[str, str]:
        """The constructor's parameters: types by name, in order."""
        found = self._of_type("constructor")
        return {entry["name"]: entry["type"] for entry in found[0]["inputs"]} if found else {}

    def encode_constructor(self, arguments: Mapping[str, Any]) -> bytes:
        """What follows the creation code. Raises ValueError unless `arguments` are the constructor's, by name and in order."""
        types = self.constructor()
        if list(types) != list(arguments):
            raise ValueError(f"the constructor of {self.name} takes {list(types)}, not {list(arguments)}")
        return encode(list(types.values()), list(arguments.values()))

    def topic(self, event: str) -> bytes:
        """The first topic of an event's logs."""
        return next(topic for topic, entry in self._events.items() if entry["name"] == event)

    def event(self, log: LogReceipt) -> Event:
        """A log of this contract. Raises KeyError for one that it does not know."""
        entry = self._events[bytes(log["topics"][0])]
        indexed = [one for one in entry["inputs"] if one["indexed"]]
        others = [one for one in entry["inputs"] if not one["indexed"]]
        values = dict(zip((one["name"] for one in others), decode([one["type"] for one in others], bytes(log["data"])), strict=True))
        for one, topic in zip(indexed, log["topics"][1:], strict=True):
            values[one["name"]] = decode([one["type"]], bytes(topic))[0]
        arguments = {one["name"]: values[one["name"]] for one in entry["inputs"]}
        return Event(entry["name"], arguments, log["blockNumber"], bytes(log["transactionHash"]))

    def errors(self) -> dict[bytes, Mapping[str, Any]]:
        """The custom errors by selector."""
        return {function_abi_to_4byte_selector(entry): entry for entry in self._of_type("error")}  # type: ignore[arg-type]

    @cached_property
    def _by_signature(self) -> dict[str, Mapping[str, Any]]:
        return {abi_to_signature(entry): entry for entry in self._of_type("function")}  # type: ignore[arg-type]

    @cached_property
    def _by_name(self) -> dict[str, Mapping[str, Any]]:
        """By signature, and by name where only one has it."""
        names = [entry["name"] for entry in self._by_signature.values()]
        unique = {entry["name"]: entry for entry in self._by_signature.values() if names.count(entry["name"]) == 1}
        return self._by_signature | unique

    @cached_property
    def _events(self) -> dict[bytes, Mapping[str, Any]]:
        return {event_abi_to_log_topic(entry): entry for entry in self._of_type("event")}  # type: ignore[arg-type]

    def _of_type(self, kind: str) -> list[Mapping[str, Any]]:
        return [entry for entry in self.abi if entry["type"] == kind]


@cache
def interface(name: str) -> Interface:
    """The interface of one of CONTRACTS."""
    return Interface(name, tuple(json.loads(files(__package__).joinpath("abi", f"{name}.json").read_text())))


def revert(what: str, error: ContractLogicError) -> RevertedError:
    """A node's report of a revert, in the contracts' own words."""
    data = error.data if isinstance(error.data, str) else ""
    raw = bytes.fromhex(data.removeprefix("0x"))
    if raw[:4] == ERROR_OF_REASON:
        return RevertedError(what, decode(["string"], raw[4:])[0])
    entry = _all_errors().get(raw[:4])
    if entry is None:
        return RevertedError(what, data if raw else error.message or "without a reason")
    return RevertedError(what, entry["name"], decode([one["type"] for one in entry["inputs"]], raw[4:]))


@cache
def _all_errors() -> dict[bytes, Mapping[str, Any]]:
    """A contract's call may fail in another contract, so the errors of all are looked up together."""
    return {selector: entry for name in CONTRACTS for selector, entry in interface(name).errors().items()}


def _plain(value: Any) -> Any:
    """A value as eth_abi takes it."""
    if hasattr(value, "values"):
        return tuple(_plain(one) for one in value.values().values())
    if isinstance(value, list | tuple):
        return tuple(_plain(one) for one in value)
    return value


def _text(value: Any) -> str:
    return f"0x{value.hex()}" if isinstance(value, bytes) else str(value)
