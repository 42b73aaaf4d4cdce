"""Roles, accounts, pass ids, epochs, windows and money: the words that every room speaks, exact to the last unit."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from enum import IntEnum
from typing import NewType

from eth_utils.address import to_checksum_address

Address = NewType("Address", str)  # "0x" and 40 lower-case hex digits
PassId = NewType("PassId", int)  # role << 160 | account
Epoch = NewType("Epoch", int)
Timestamp = NewType("Timestamp", int)  # Unix seconds, UTC
MicroUSDT = NewType("MicroUSDT", int)
MicroPoints = NewType("MicroPoints", int)

MICRO = 1_000_000
MINUTE = 60
HOUR = 3_600
DAY = 86_400
BPS = 10_000  # basis points in a whole
TIME_LIMIT = 1 << 32  # a time is in [0, TIME_LIMIT): seconds until 2106, so that milliseconds are never mistaken for seconds


class Role(IntEnum):
    """The two sides of the network. A creator orders frames, a worker renders them; an account may be both."""

    CREATOR = 1
    WORKER = 2


class UnitError(ValueError):
    """A value that is not what its unit says. The message names the value."""


class AddressError(UnitError):
    """Not an account address: wrong length, not hex, or mixed case with a wrong EIP-55 checksum."""


class PassIdError(UnitError):
    """Not a pass id: the bits above the owner are not exactly a role, or the owner is zero."""


class TimeError(UnitError):
    """Not a time: neither Unix seconds nor ISO 8601, or outside `[0, TIME_LIMIT)`."""


_LOWER = re.compile(r"0x[0-9a-f]{40}", re.ASCII)
_UPPER = re.compile(r"0[xX][0-9A-F]{40}", re.ASCII)
_MIXED = re.compile(r"0x[0-9a-fA-F]{40}", re.ASCII)


def parse_address(text: str) -> Address:
    """`text` as an address. All-lower and all-upper are accepted as they are; mixed case must pass EIP-55.

    Raises AddressError.
    """
    if _LOWER.fullmatch(text) or _UPPER.fullmatch(text):
        return Address(text.lower())
    if not _MIXED.fullmatch(text):
        raise AddressError(f"not an address: {text!r}")
    if to_checksum_address(text) != text:
        raise AddressError(f"wrong checksum: {text} (EIP-55 gives {to_checksum_address(text)})")
    return Address(text.lower())


def wrong_checksums(mixed: Iterable[str]) -> list[str]:
    """Those of the mixed-case addresses `mixed` (each `0x` and 40 hex digits) that fail EIP-55."""
    return [text for text in mixed if to_checksum_address(text) != text]


def to_checksum(account: Address) -> str:
    """`account` as people read it (EIP-55)."""
    return to_checksum_address(account)


def pass_id(role: Role, account: Address) -> PassId:
    """The id of the pass that `account` has, or would have, in `role`. Raises PassIdError for the zero address."""
    owner = int(account, 16)
    if owner == 0:
        raise PassIdError("the zero address has no pass")
    return PassId(role << 160 | owner)


def split_pass_id(number: int) -> tuple[Role, Address]:
    """The role and the owner that a pass id says. The whole word is checked. Raises PassIdError."""
    role, owner = number >> 160, number & ((1 << 160) - 1)
    if role not in (1, 2) or owner == 0:
        raise PassIdError(f"not a pass id: {number:#x}")
    return Role(role), Address(f"0x{owner:040x}")


def epoch_end(epoch: int, epoch_length: int) -> Timestamp:
    """`T`, where epoch `epoch` ends: it counts what happened before."""
    return Timestamp(epoch * epoch_length)


def last_ended_epoch(at: int, epoch_length: int) -> Epoch:
    """The greatest epoch whose end is not after `at`."""
    return Epoch(at // epoch_length)


def window(end: int, length: int) -> tuple[Timestamp, Timestamp]:
    """The half-open window `[end − length, end)`."""
    return Timestamp(end - length), Timestamp(end)


def month_start(end: int) -> Timestamp:
    """The first second of the UTC calendar month that holds the last second before `end`."""
    last = datetime.fromtimestamp(end - 1, UTC)
    return Timestamp(int(last.replace(day=1, hour=0, minute=0, second=0).timestamp()))


def ceil_div(dividend: int, divisor: int) -> int:
    """The quotient, rounded up."""
    return -(-dividend // divisor)


def prioritized_count(members: int, share: int) -> int:
    """How many of `members` are prioritised: `share` basis points of them, rounded up."""
    return ceil_div(members * share, BPS)


def to_micro(raw: int, decimals: int) -> tuple[MicroUSDT, int]:
    """An amount of a token with `decimals` as micro-USDT, and the dust (in the token's units, not negative) that was dropped."""
    if decimals <= 6:
        return MicroUSDT(raw * 10 ** (6 - decimals)), 0
    micro, dust = divmod(raw, 10 ** (decimals - 6))
    return MicroUSDT(micro), dust


def format_micro(value: int) -> str:
    """A micro-amount as people read it: `-1234.5` for −1 234 500 000."""
    whole, part = divmod(abs(value), MICRO)
    text = f"{whole}.{part:06d}".rstrip("0").rstrip(".")
    return f"-{text}" if value < 0 else text


def parse_time(text: str) -> Timestamp:
    """Unix seconds, or ISO 8601 to the second (UTC if it names no zone). Raises TimeError."""
    try:
        if re.fullmatch(r"[0-9]+", text, re.ASCII):
            seconds = int(text)
        else:
            moment = datetime.fromisoformat(text)
            seconds = int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    except ValueError:
        raise TimeError(f"not a time: {text!r}; give Unix seconds or ISO 8601, such as 2026-01-31T00:00:00Z") from None
    if not 0 <= seconds < TIME_LIMIT:
        raise TimeError(f"not a time in seconds: {text}" + (" (milliseconds?)" if seconds >= TIME_LIMIT else ""))
    return Timestamp(seconds)


def ether(wei: int) -> str:
    """An amount of a chain's coin as people read it: six digits behind the point, rounded up."""
    micro = -(-wei // 10**12)
    return f"{micro // 10**6}.{micro % 10**6:06d} ETH"


def gwei(wei: int) -> str:
    """The price of a unit of gas as people read it."""
    return f"{wei / 10**9:.3g} gwei"
