"""What is to be deployed: one TOML file, checked to the last key. `deploy.example.toml` shows and explains all of them."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from pictor.chain.errors import DeploymentError
from pictor.units import BPS, DAY, MINUTE, Address, AddressError, parse_address

LONGEST_DELAY = 365 * DAY  # a longer one is a mistake, such as milliseconds, and would lock everybody out
MAX_UINT32 = (1 << 32) - 1
T = TypeVar("T")
# The curve of P-256 keys: y² = x³ − 3x + b over the integers below p.
P256_P = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
P256_B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B


class ConfigError(DeploymentError):
    """A configuration that must not be deployed. The message has the key and the reason."""


@dataclass(frozen=True)
class Committee:
    """The signers of an AttestorCommittee: accounts (keys or ERC-1271 wallets) and P-256 keys (64 bytes: x, y).

    `verifier` checks the P-256 keys' signatures; none: one is deployed, if there are such keys.
    """

    accounts: tuple[Address, ...]
    p256_keys: tuple[bytes, ...]
    verifier: Address | None
    threshold: int

    @property
    def needs_verifier(self) -> bool:
        """Whether a verifier has to be deployed."""
        return bool(self.p256_keys) and self.verifier is None

    def signers(self, verifier: Address | None) -> list[bytes]:
        """The signers as the contract has them; `verifier` is the given or the deployed one."""
        signers = [bytes.fromhex(account[2:]) for account in self.accounts]
        if self.p256_keys:
            if verifier is None:
                raise ValueError("P-256 keys need a verifier")
            signers += [bytes.fromhex(verifier[2:]) + key for key in self.p256_keys]
        return signers


@dataclass(frozen=True)
class DeployConfig:
    """All that a deployment is made of; see `deploy.example.toml`. Times in seconds, the share in basis points."""

    chain_id: int
    confirmations: int
    attestor: Committee | Address  # a committee to deploy, or whoever attests instead
    admin: Address
    admin_delay: int
    governors: tuple[Address, ...]
    governor_delay: int
    guardians: tuple[Address, ...]
    issue_limit: int
    epoch_length: int
    activation_delay: int
    priority_share: int

    def canonical(self) -> dict[str, Any]:
        """The values as JSON, less those that do not change what is deployed."""
        values = asdict(self)
        del values["confirmations"]
        if isinstance(self.attestor, Committee):
            values["attestor"]["p256_keys"] = [key.hex() for key in self.attestor.p256_keys]
        return values


def load_config(path: Path) -> DeployConfig:
    """The configuration in a file. Raises ConfigError."""
    try:
        return parse_config(tomllib.loads(path.read_text()))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def parse_config(values: Mapping[str, Any]) -> DeployConfig:
    """The configuration that `values` are. Raises ConfigError."""
    take = _Taker(values)
    config = DeployConfig(
        chain_id=take.whole("chain_id", 1, 1 << 64),
        confirmations=take.whole("confirmations", 1, 1_000, default=1),
        attestor=_attestor(take),
        admin=take.account("admin"),
        admin_delay=take.whole("admin_delay", 1, LONGEST_DELAY, why="without a delay nobody could stop a stolen key"),
        governors=take.accounts("governors"),
        governor_delay=take.whole("governor_delay", 1, LONGEST_DELAY, why="without a delay no guardian could cancel"),
        guardians=take.accounts("guardians"),
        issue_limit=take.whole("issue_limit", 1, MAX_UINT32),
        epoch_length=take.whole("epoch_length", MINUTE, LONGEST_DELAY, multiple_of=MINUTE),
        activation_delay=take.whole("activation_delay", 1, LONGEST_DELAY, why="without a delay nobody could veto a report in time"),
        priority_share=take.whole("priority_share", 1, BPS),
    )
    take.finish()
    for key in ("governors", "guardians"):
        if not getattr(config, key):
            raise ConfigError(f"{key}: there is none")
    if config.activation_delay >= config.epoch_length:
        raise ConfigError(f"activation_delay: {config.activation_delay} is not less than epoch_length, {config.epoch_length}")
    return config


def _attestor(take: "_Taker") -> Committee | Address:
    if "attestor" in take.values:
        for key in ("attestors", "p256_attestors", "p256_verifier", "threshold"):
            if key in take.values:
                raise ConfigError(f"{key}: goes with a committee, and attestor names somebody else")
        return take.account("attestor")
    accounts = take.accounts("attestors")
    keys = take.p256_keys("p256_attestors")
    verifier = take.account("p256_verifier") if "p256_verifier" in take.values else None
    if verifier and not keys:
        raise ConfigError("p256_verifier: there are no p256_attestors")
    signers = len(accounts) + len(keys)
    if not signers:
        raise ConfigError("attestors: there is none")
    threshold = take.whole("threshold", 1, signers)
    if 2 * threshold <= signers:
        raise ConfigError(f"threshold: {threshold} of {signers} is not more than half: two groups could sign two truths")
    return Committee(accounts, keys, verifier, threshold)


class _Taker:
    """Takes checked values out of a table, and knows which are left."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = dict(values)

    def finish(self) -> None:
        if self.values:
            raise ConfigError(f"{', '.join(self.values)}: no such key")

    def take(self, key: str, default: Any = None) -> Any:
        value = self.values.pop(key, default)
        if value is None:
            raise ConfigError(f"{key}: is missing")
        return value

    def whole(self, key: str, low: int, high: int, *, multiple_of: int = 1, default: int | None = None, why: str = "") -> int:
        value = self.take(key, default)
        if type(value) is not int:
            raise ConfigError(f"{key}: {value!r} is not a whole number")
        if not low <= value <= high:
            raise ConfigError(f"{key}: {value} is not in {low} to {high}" + (f": {why}" if why and value < low else ""))
        if value % multiple_of:
            raise ConfigError(f"{key}: {value} is not a multiple of {multiple_of}")
        return value

    def account(self, key: str) -> Address:
        return _account(key, self.take(key))

    def accounts(self, key: str) -> tuple[Address, ...]:
        return _unique(key, [_account(place, value) for place, value in self._list(key)])

    def p256_keys(self, key: str) -> tuple[bytes, ...]:
        return _unique(key, [_p256_key(place, value) for place, value in self._list(key)])

    def _list(self, key: str) -> list[tuple[str, Any]]:
        found = self.take(key, [])
        if not isinstance(found, list):
            raise ConfigError(f"{key}: {found!r} is not a list")
        return [(f"{key}[{i}]", value) for i, value in enumerate(found)]


def _account(place: str, value: Any) -> Address:
    try:
        account = parse_address(value if isinstance(value, str) else repr(value))
    except AddressError as error:
        raise ConfigError(f"{place}: {error}") from error
    if not int(account, 16):
        raise ConfigError(f"{place}: is the zero address")
    return account


def _p256_key(place: str, value: Any) -> bytes:
    """x and y, each 32 bytes, as hex; SEC 1's uncompressed form has 04 before them."""
    try:
        key = bytes.fromhex(value.removeprefix("0x")) if isinstance(value, str) else b""
    except ValueError:
        key = b""
    key = key[1:] if len(key) == 65 and key[0] == 4 else key
    if len(key) != 64:
        raise ConfigError(f"{place}: {value!r} is not the 64 bytes x and y of a P-256 key in hex")
    x, y = int.from_bytes(key[:32]), int.from_bytes(key[32:])
    if max(x, y) >= P256_P or (y * y - x**3 + 3 * x - P256_B) % P256_P:
        raise ConfigError(f"{place}: {value} is not a point of the curve P-256")
    return key


def _unique(key: str, values: Sequence[T]) -> tuple[T, ...]:
    for i, value in enumerate(values):
        if value in values[:i]:
            raise ConfigError(f"{key}[{i}]: {value.hex() if isinstance(value, bytes) else value} is named twice")
    return tuple(values)
