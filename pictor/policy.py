"""The rules as data: one TOML file with versions, checked to the last key, with a canonical form and a hash.

The canonical form of a version is JSON: no white space, keys sorted by code point, integers in decimal, addresses in lower case,
the two sets (`not_members`, `sources`) and the chains sorted, every non-ASCII character escaped. It includes the two values that
are fixed for the deployment. Its hash is the SHA-256 of those bytes. Neither depends on the machine, the Python version, or the
order, comments or notation of the file.
"""

import json
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_origin, get_type_hints

from pictor.units import BPS, DAY, MICRO, MINUTE, TIME_LIMIT, Address, AddressError, parse_address

DEFAULT_PATH = Path(__file__).resolve().parent.parent / "policy" / "default.toml"


class PolicyError(ValueError):
    """A policy that cannot be used. The message has the place (file, key) and the reason."""


Check = Callable[[str, Any], Any]  # (place, raw value) -> checked value; raises PolicyError


def _whole(low: int, high: int, multiple_of: int = 1) -> Check:
    def check(place: str, value: Any) -> int:
        if type(value) is not int:
            raise PolicyError(f"{place}: {value!r} is not a whole number")
        if not low <= value <= high:
            raise PolicyError(f"{place}: {value} is not in {low} to {high}")
        if value % multiple_of:
            raise PolicyError(f"{place}: {value} is not a multiple of {multiple_of}")
        return value

    return check


def _choice(*choices: str) -> Check:
    def check(place: str, value: Any) -> str:
        if value not in choices:
            raise PolicyError(f"{place}: {value!r} is none of {', '.join(choices)}")
        return str(value)

    return check


def _text(place: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise PolicyError(f"{place}: {value!r} is not a text")
    return value


def _address(place: str, value: Any) -> Address:
    try:
        return parse_address(_text(place, value))
    except AddressError as error:
        raise PolicyError(f"{place}: {error}") from None


def _list(item: Check) -> Check:
    def check(place: str, value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise PolicyError(f"{place}: {value!r} is not a list")
        return tuple(item(f"{place}[{i}]", one) for i, one in enumerate(value))

    return check


def _set(item: Check) -> Check:
    def check(place: str, value: Any) -> tuple[Any, ...]:
        items: tuple[Any, ...] = _list(item)(place, value)
        for i, one in enumerate(items):
            if one in items[:i]:
                raise PolicyError(f"{place}[{i}]: {one} is named twice")
        return tuple(sorted(items))

    return check


def _descending(item: Check) -> Check:
    def check(place: str, value: Any) -> tuple[Any, ...]:
        items: tuple[Any, ...] = _list(item)(place, value)
        for i in range(1, len(items)):
            if items[i] >= items[i - 1]:
                raise PolicyError(f"{place}[{i}]: {items[i]} is not below the one before it")
        return items

    return check


Share = Annotated[int, _whole(0, BPS)]
Seconds = Annotated[int, _whole(0, TIME_LIMIT - 1)]
SomeSeconds = Annotated[int, _whole(1, TIME_LIMIT - 1)]
Points = Annotated[int, _whole(0, 10_000)]
Account = Annotated[Address, _address]


@dataclass(frozen=True, order=True)
class ChainRules:
    """A chain whose transfers of `token` into `treasury`, from `first_block` on, are paid recharges."""

    chain_id: Annotated[int, _whole(1, 2**63 - 1)]
    token: Account
    treasury: Account
    first_block: Annotated[int, _whole(0, 2**63 - 1)]


@dataclass(frozen=True)
class ActivityRules:
    """How old a row may be when it arrives (seconds)."""

    late_limit: SomeSeconds


@dataclass(frozen=True)
class CreatorRules:
    """What earns a creator's pass (micro-USDT), and its points (whole points)."""

    min_recharge: Annotated[int, _whole(0, 10**18)]
    min_spend: Annotated[int, _whole(0, 10**18)]
    spending_points: Points
    spending_window: Annotated[str, _choice("month", "lifetime")]
    completed_points: Points
    pass_points: Points


@dataclass(frozen=True)
class WorkerRules:
    """What earns a worker's pass (`window`, `max_offline`: seconds; `min_uptime`: minutes), and its points (whole points)."""

    window: Annotated[int, _whole(DAY, 366 * DAY, DAY)]
    min_uptime: Annotated[int, _whole(0, 366 * DAY // MINUTE)]
    max_offline: Annotated[int, _whole(DAY, 366 * DAY, MINUTE)]
    uptime_points: Points
    completed_points: Points
    failed_penalty: Points
    gpu_points: Annotated[int, _whole(0, 100)]
    pass_points: Points


@dataclass(frozen=True)
class GpuRules:
    """The factor of a GPU, in millionths of the reference GPU's."""

    reference_model: Annotated[str, _text]
    reference_hashpower: Annotated[int, _whole(1, MICRO)]
    reference_vram_mib: Annotated[int, _whole(1, 1 << 24)]
    hashpower_weight: Annotated[int, _whole(0, MICRO)]
    vram_weight: Annotated[int, _whole(0, MICRO)]


@dataclass(frozen=True)
class OracleRules:
    """How passes and standings reach the chain, and when a report is held back for an operator."""

    issue: Annotated[str, _choice("push", "claim")]
    sync: Annotated[str, _choice("none", "prioritized", "all")]
    gas_budget: Annotated[int, _whole(0, 10**12)]
    max_members_jump: Annotated[int, _whole(0, 1_000 * BPS)]
    max_score_jump: Annotated[int, _whole(0, 1_000 * BPS)]
    max_account_share: Share
    max_source_silence: Seconds
    min_members_for_bounds: Annotated[int, _whole(0, 10**9)]


@dataclass(frozen=True)
class DispatchRules:
    """Queue, guard against starvation, GPU tiers (least factor of each, best first) and leases (seconds)."""

    turn_slots: Annotated[int, _whole(1, 10**9)]
    promote_after: Seconds
    overdue_share: Share
    gpu_choice: Annotated[str, _choice("vip", "capacity")]
    gpu_tiers: Annotated[tuple[int, ...], _descending(_whole(1, 10**12))]
    lease_max: SomeSeconds
    max_attempts: Annotated[int, _whole(1, 10**6)]
    cool_down: Seconds


def _chain(place: str, value: Any) -> ChainRules:
    return _build(ChainRules, place, value)


@dataclass(frozen=True)
class Policy:
    """One version of the rules. Seconds, micro-USDT, whole points, basis points; see `policy/default.toml` for each value."""

    epoch_length: Annotated[int, _whole(MINUTE, 366 * DAY, MINUTE)]
    priority_share: Share
    from_epoch: Annotated[int, _whole(0, TIME_LIMIT)]
    not_members: Annotated[tuple[Address, ...], _set(_address)]
    sources: Annotated[tuple[str, ...], _set(_text)]
    grace: Seconds
    chains: Annotated[tuple[ChainRules, ...], _set(_chain)]
    activity: ActivityRules
    creator: CreatorRules
    worker: WorkerRules
    gpu: GpuRules
    oracle: OracleRules
    dispatch: DispatchRules

    def canonical(self) -> bytes:
        """The canonical form that the head of this file describes."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()

    def hash(self) -> bytes:
        """32 bytes: which rules made a score."""
        return sha256(self.canonical()).digest()


@dataclass(frozen=True)
class PolicyBook:
    """All versions, `from_epoch` ascending."""

    versions: tuple[Policy, ...]

    @property
    def epoch_length(self) -> int:
        """Seconds; the same in every version."""
        return self.versions[0].epoch_length

    @property
    def priority_share(self) -> int:
        """Basis points; the same in every version."""
        return self.versions[0].priority_share

    def at(self, epoch: int) -> Policy:
        """The version that `epoch` uses. Raises PolicyError before the first version's `from_epoch`."""
        used = [version for version in self.versions if version.from_epoch <= epoch]
        if not used:
            raise PolicyError(f"no policy version for epoch {epoch}: the first is from epoch {self.versions[0].from_epoch}")
        return used[-1]


Section = TypeVar("Section")


def _checks(kind: type) -> dict[str, Check]:
    """The check of each field of a section; a field that is a section itself is checked as one."""
    return {
        name: hint.__metadata__[0] if get_origin(hint) is Annotated else partial(_build, hint)
        for name, hint in get_type_hints(kind, include_extras=True).items()
    }


def _build(kind: type[Section], place: str, raw: Any) -> Section:
    if not isinstance(raw, Mapping):
        raise PolicyError(f"{place}: {raw!r} is not a table")
    checks = _checks(kind)
    inside = f"{place}." if place else ""
    for name in raw:
        if name not in checks:
            raise PolicyError(f"{inside}{name}: unknown key")
    for name in checks:
        if name not in raw:
            raise PolicyError(f"{inside}{name}: missing")
    return kind(**{name: check(f"{inside}{name}", raw[name]) for name, check in checks.items()})


FIXED = ("epoch_length", "priority_share")


def parse_policies(text: str) -> PolicyBook:
    """The policy in `text` (TOML). Raises PolicyError with the key and the reason, or the line of a syntax error."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PolicyError(f"not TOML: {error}") from None
    for name in raw:
        if name not in (*FIXED, "version"):
            raise PolicyError(f"{name}: unknown key")
    for name in FIXED:
        if name not in raw:
            raise PolicyError(f"{name}: missing")
    if not isinstance(raw.get("version"), list) or not raw["version"]:
        raise PolicyError("version: at least one [[version]] is needed")
    fixed = {name: raw[name] for name in FIXED}
    versions = [_version(fixed, i, one) for i, one in enumerate(raw["version"])]
    for i in range(1, len(versions)):
        if versions[i].from_epoch <= versions[i - 1].from_epoch:
            raise PolicyError(f"version[{i}].from_epoch: {versions[i].from_epoch} is not above the one before it")
    return PolicyBook(tuple(versions))


def _version(fixed: Mapping[str, Any], number: int, raw: Any) -> Policy:
    place = f"version[{number}]"
    if not isinstance(raw, Mapping):
        raise PolicyError(f"{place}: {raw!r} is not a table")
    for name in FIXED:
        if name in raw:
            raise PolicyError(f"{place}.{name}: is fixed for the deployment; it stands once, above the versions")
        _checks(Policy)[name](name, fixed[name])  # named without the version's number: it stands above the versions
    policy = _build(Policy, place, {**fixed, **raw})
    weights = policy.gpu.hashpower_weight + policy.gpu.vram_weight
    if weights != MICRO:
        raise PolicyError(f"{place}.gpu: the weights add up to {weights}, not {MICRO}")
    if policy.worker.min_uptime * MINUTE > policy.worker.window:
        raise PolicyError(f"{place}.worker.min_uptime: {policy.worker.min_uptime} minutes do not fit the window")
    ids = [chain.chain_id for chain in policy.chains]
    if len(set(ids)) < len(ids):
        raise PolicyError(f"{place}.chains: a chain id is named twice")
    return policy


def load_policies(path: str | Path = DEFAULT_PATH) -> PolicyBook:
    """The policy file at `path`. Raises PolicyError with the file, the key and the reason."""
    try:
        text = Path(path).read_text(encoding="utf-8")
        return parse_policies(text)
    except OSError as error:
        raise PolicyError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise PolicyError(f"{path}: not UTF-8") from None
    except PolicyError as error:
        raise PolicyError(f"{path}: {error}") from None
