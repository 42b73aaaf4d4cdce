"""`report.json`: what an epoch's report says, and what it was made from. With the hash of the archive around it, it is the message."""

import json
import re
from dataclasses import dataclass
from typing import Any

from pictor.activity.ledger import Position
from pictor.epoch.messages import MAX_UINT64, Domain, MessageError, Report
from pictor.units import AddressError, parse_address

FORMAT = "pictor-report-v1"
MAX_NESTS = 1_000
_HASH = re.compile(r"0x[0-9a-f]{64}", re.ASCII)
_POSITION = re.compile(r"(0|[1-9][0-9]{0,18}):([0-9a-f]{64})", re.ASCII)


class StatementError(ValueError):
    """Not a `report.json`, or one that no report can be made of. The message has the field and the value."""


@dataclass(frozen=True)
class Block:
    """A block of a chain, and so all of the chain up to there. `hash`: 32 bytes. Raises StatementError if it can be none."""

    chain_id: int
    number: int
    hash: bytes

    def __post_init__(self) -> None:
        whole = type(self.chain_id) is int and type(self.number) is int
        if not whole or self.chain_id < 1 or not 0 <= self.number <= MAX_UINT64 or len(self.hash) != 32:
            raise StatementError(f"not a block: {self}")


@dataclass(frozen=True)
class Statement:
    """All of a report but the hash of its archive, where it counts, and what it was made from."""

    epoch: int
    registry: Domain
    root: bytes
    policy_hash: bytes
    creators: int
    workers: int
    cut: Position  # of the ledger
    holders: Block  # the last block of the registry's chain before the epoch's end: who holds a pass is read there
    recharges: tuple[Block, ...]  # the last block that counts, of each chain with a treasury; by chain id

    def __post_init__(self) -> None:
        self.report(bytes(32))
        if self.holders.chain_id != self.registry.chain_id:
            raise StatementError(f"holders: chain {self.holders.chain_id} is not the registry's, {self.registry.chain_id}")
        ids = [block.chain_id for block in self.recharges]
        if ids != sorted(set(ids)):
            raise StatementError(f"recharges: chains {ids} are not in ascending order, each once")

    def report(self, archive_hash: bytes) -> Report:
        """The message. Raises StatementError if there can be none."""
        try:
            return Report(self.epoch, self.root, self.policy_hash, archive_hash, self.creators, self.workers)
        except MessageError as error:
            raise StatementError(str(error)) from None

    def to_json(self) -> bytes:
        """The file: one form only, so that equal statements are equal files."""
        fields = {
            "format": FORMAT,
            "epoch": self.epoch,
            "registry": {"chainId": self.registry.chain_id, "address": self.registry.contract},
            "root": _hex(self.root),
            "policyHash": _hex(self.policy_hash),
            "creators": self.creators,
            "workers": self.workers,
            "cut": str(self.cut),
            "holders": _block_fields(self.holders),
            "recharges": [_block_fields(block) for block in self.recharges],
        }
        return canonical_json(fields)

    @classmethod
    def from_json(cls, contents: bytes) -> "Statement":
        """What a file says. Raises StatementError unless it is to the letter what `to_json` makes."""
        try:
            fields = parse_json(contents)
            statement = cls(
                epoch=fields["epoch"],
                registry=Domain(fields["registry"]["chainId"], parse_address(fields["registry"]["address"])),
                root=_unhex(fields["root"]),
                policy_hash=_unhex(fields["policyHash"]),
                creators=fields["creators"],
                workers=fields["workers"],
                cut=_position(fields["cut"]),
                holders=_block(fields["holders"]),
                recharges=tuple(_block(block) for block in fields["recharges"]),
            )
        except KeyError as error:
            raise StatementError(f"{error.args[0]}: missing") from None
        except (MessageError, AddressError) as error:
            raise StatementError(str(error)) from None
        except StatementError:
            raise
        except (ValueError, TypeError) as error:
            raise StatementError(f"not a report of format {FORMAT}: {error}") from None
        if statement.to_json() != contents:
            raise StatementError(f"not a report of format {FORMAT} in the form that it has")
        return statement


def canonical_json(fields: dict[str, Any]) -> bytes:
    """JSON for people and for hashing: keys sorted, two spaces, ASCII, a line break at the end."""
    return (json.dumps(fields, sort_keys=True, indent=2, ensure_ascii=True) + "\n").encode()


def parse_json(contents: bytes) -> Any:
    """What JSON from elsewhere says. Raises ValueError.

    More than MAX_NESTS brackets are refused: some libraries lift Python's limit of recursion, and then a deep nest ends the process.
    """
    if contents.count(b"[") + contents.count(b"{") > MAX_NESTS:
        raise ValueError(f"more than {MAX_NESTS} brackets")
    return json.loads(contents)


def _match(pattern: re.Pattern[str], value: object) -> re.Match[str]:
    found = pattern.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise StatementError(f"{value!r} is not of the form {pattern.pattern}")
    return found


def _hex(value: bytes) -> str:
    return "0x" + value.hex()


def _unhex(value: object) -> bytes:
    return bytes.fromhex(_match(_HASH, value).group()[2:])


def _position(value: object) -> Position:
    number, digest = _match(_POSITION, value).groups()
    return Position(int(number), digest)


def _block_fields(block: Block) -> dict[str, Any]:
    return {"chainId": block.chain_id, "number": block.number, "hash": _hex(block.hash)}


def _block(fields: Any) -> Block:
    return Block(fields["chainId"], fields["number"], _unhex(fields["hash"]))
