"""The use of powers: what an account may do with a contract now, what it must schedule first, and what is scheduled.

without a delay   call
with a delay      schedule ──(the delay of the account's grant)──▶ call, within a week ──▶ done
                      └──────── a guardian of the role cancels ──▶ nothing
"""

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from hexbytes import HexBytes
from web3.exceptions import ContractLogicError

from pictor.chain.contracts import Call, Contracts, Gateway, Power
from pictor.chain.errors import ChainError, RevertedError
from pictor.chain.interfaces import interface, revert
from pictor.units import Address, AddressError, Timestamp, parse_address, to_checksum


class ArgumentError(ChainError):
    """An argument is not what the function takes."""


class LastAdminError(ChainError):
    """Nobody could ever change a power again."""


class Outcome(StrEnum):
    """What can be done about a call now."""

    CALL = "call"  # it does what it says, at once
    SCHEDULE = "schedule"  # it is scheduled, to be called when the account's delay is over
    WAIT = "wait"  # it is scheduled, and the delay is not over


@dataclass(frozen=True)
class NextStep:
    """What an account can do next about a call. `call` is to be sent; nothing if it is to wait for `ready_at`."""

    outcome: Outcome
    call: Call | None
    ready_at: Timestamp


@dataclass(frozen=True)
class Holder:
    """Somebody who has a power. `delay` in seconds, between scheduling and calling; 0: at once."""

    power: Power
    account: Address
    delay: int


@dataclass(frozen=True)
class Operation:
    """A scheduled call. `ready_at` 0: it was not called in time. `what`: in words, as far as they are known."""

    id: bytes
    caller: Address
    target: Address
    data: bytes
    ready_at: Timestamp
    what: str


def written_call(gateway: Gateway, function: str, arguments: list[str]) -> Call:
    """A call written as on a command line. Lists and bytes as JSON and hex, roles by name. Raises ArgumentError."""
    try:
        entry = gateway.interface().function(function)
    except KeyError as error:
        raise ArgumentError(f"{error.args[0]}; it can be told: {', '.join(gateway.interface().writers())}") from None
    inputs = entry["inputs"]
    if len(arguments) != len(inputs):
        wanted = ", ".join(f"{one['type']} {one['name']}" for one in inputs)
        raise ArgumentError(f"{function} takes {len(inputs)} arguments ({wanted}), not {len(arguments)}")
    values = [_parsed(one["type"], one["name"], text) for one, text in zip(inputs, arguments, strict=True)]
    call = gateway.call(function, *values)
    return Call(call.to, call.data, f"{gateway.NAME}.{function}({', '.join(arguments)})")


def next_step(contracts: Contracts, caller: Address, call: Call) -> NextStep:
    """What `caller` can do about `call` at the pinned block. Raises RevertedError if it may never, or if the call itself would fail."""
    assert call.to is not None
    try:
        _simulate(contracts, caller, call)
    except RevertedError as error:
        if error.error in ("AccessManagerNotScheduled", "AccessManagerExpired"):
            scheduling = contracts.powers.call("schedule", call.to, call.data, 0)
            _simulate(contracts, caller, scheduling)
            return NextStep(Outcome.SCHEDULE, Call(scheduling.to, scheduling.data, f"schedule {call.what}"), Timestamp(0))
        if error.error == "AccessManagerNotReady":
            return NextStep(Outcome.WAIT, None, contracts.powers.ready_at(bytes(error.arguments[0])))
        raise
    return NextStep(Outcome.CALL, call, contracts.block.timestamp)


def cancellation(contracts: Contracts, caller: Address, scheduler: Address, call: Call) -> Call:
    """What takes a call back that `scheduler` has scheduled. Raises RevertedError unless `caller` may, and it is scheduled."""
    cancel = contracts.powers.call("cancel", scheduler, call.to, call.data)
    _simulate(contracts, caller, cancel)
    return Call(cancel.to, cancel.data, f"cancel {call.what}, scheduled by {to_checksum(scheduler)}")


def holders(contracts: Contracts, first_block: int) -> list[Holder]:
    """Who has which power, by power and address."""
    granted = {
        (Power(event.arguments["roleId"]), Address(event.arguments["account"]))
        for event in contracts.powers.events(first_block, "RoleGranted")
        if event.arguments["roleId"] in list(Power)
    }
    found = ((power, account, contracts.powers.access(power, account)) for power, account in sorted(granted))
    return [Holder(power, account, access.delay) for power, account, access in found if 0 < access.since <= contracts.block.timestamp]


def require_admin_left(contracts: Contracts, first_block: int, call: Call) -> None:
    """Raises LastAdminError if `call` takes ADMIN away from the only account that has it."""
    powers = contracts.powers.interface()
    for function in ("renounceRole", "revokeRole"):
        if call.to == contracts.powers.address and call.data[:4] == powers.selector(function):
            power, account = powers.arguments(function, call.data)
            others = [one for one in holders(contracts, first_block) if one.power is Power.ADMIN and one.account != account]
            if power == Power.ADMIN and not others:
                raise LastAdminError(f"{call.what} would leave nobody as ADMIN, for ever: let another account have it first")


def scheduled(contracts: Contracts, first_block: int) -> list[Operation]:
    """What is scheduled and neither done nor cancelled, in the order of scheduling."""
    waiting: dict[bytes, Operation] = {}
    for event in contracts.powers.events(first_block, "OperationScheduled", "OperationExecuted", "OperationCanceled"):
        values = event.arguments
        if event.name == "OperationScheduled":
            target, data = Address(values["target"]), bytes(values["data"])
            what = _words(contracts, target, data)
            waiting[values["operationId"]] = Operation(values["operationId"], Address(values["caller"]), target, data, Timestamp(0), what)
        else:
            waiting.pop(values["operationId"], None)
    return [Operation(one.id, one.caller, one.target, one.data, contracts.powers.ready_at(one.id), one.what) for one in waiting.values()]


def _simulate(contracts: Contracts, caller: Address, call: Call) -> None:
    assert call.to is not None
    fields = {"from": to_checksum(caller), "to": to_checksum(call.to), "data": HexBytes(call.data)}
    try:
        contracts.powers.chain.web3.eth.call(fields, HexBytes(contracts.block.hash))  # type: ignore[arg-type]
    except ContractLogicError as error:
        raise revert(call.what, error) from error


def _words(contracts: Contracts, target: Address, data: bytes) -> str:
    for name, gateway in contracts.by_name().items():
        if gateway.address == target:
            for function in interface(name).functions():
                if interface(name).selector(function) == data[:4]:
                    values = interface(name).arguments(function, data)
                    return f"{name}.{function.split('(')[0]}({', '.join(_shown(value) for value in values)})"
    return f"0x{data.hex()} to {to_checksum(target)}"


def _parsed(kind: str, name: str, text: str) -> Any:
    """An argument of the type `kind`, out of its text."""
    try:
        if kind.endswith("]"):
            items = json.loads(text)
            if not isinstance(items, list):
                raise ValueError("not a JSON list")
            return [_parsed(kind[: kind.rindex("[")], name, item if isinstance(item, str) else json.dumps(item)) for item in items]
        if kind == "address":
            return parse_address(text)
        if kind == "bool":
            return {"true": True, "false": False}[text.lower()]
        if kind.startswith("uint"):
            number = int(Power[text]) if kind == "uint64" and text in Power.__members__ else int(text, 0)
            if not 0 <= number < 1 << int(kind[4:]):
                raise ValueError("out of range")
            return number
        if kind.startswith("bytes"):
            value = bytes.fromhex(text.removeprefix("0x"))
            if kind != "bytes" and len(value) != int(kind[5:]):
                raise ValueError(f"{len(value)} bytes")
            return value
        if kind == "string":
            return text
    except (ValueError, KeyError, AddressError) as error:
        raise ArgumentError(f"{name}: {text} is no {kind}: {error}") from None
    raise ArgumentError(f"{name}: a {kind} cannot be written on a command line")


def _shown(value: Any) -> str:
    if isinstance(value, bytes):
        return f"0x{value.hex()}"
    return f"[{', '.join(_shown(one) for one in value)}]" if isinstance(value, list | tuple) else str(value)
