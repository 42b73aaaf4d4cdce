"""What the oracle asks the attestors to sign: one epoch's report, and who is to be issued a pass.

A proposal is one JSON file in one form only, sealed by being created once. It names all that its report was made from, so that whoever
has the same ledger and sees the same chain computes the same; and it repeats nothing that the archive holds.
"""

import re
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any

from pictor.activity.ledger import Position
from pictor.epoch.messages import MAX_UINT64, Domain, Issuance, MessageError
from pictor.epoch.report import Block, StatementError, canonical_json, parse_json
from pictor.oracle.compute import Basis
from pictor.units import AddressError, Role, parse_address

FORMAT = "pictor-proposal-v1"
_NAME = re.compile(r"[0-9]{1,20}-[0-9a-f]{16}", re.ASCII)


class ProposalError(ValueError):
    """Not a proposal. The message says what is wrong with it."""


@dataclass(frozen=True)
class Release:
    """An operator's word that a report may go out although it is outside a bound."""

    bound: str
    reason: str


@dataclass(frozen=True)
class Proposal:
    """One epoch's proposal.

    `basis`: what it was computed from. `published_at`: Unix seconds. `archive`: hash (32 bytes) and name of the folder below the
    archives; None where there is no report, as long as there is nobody to score. `issuances`: for those who met the conditions.
    """

    basis: Basis
    registry: Domain
    vip_pass: Domain
    published_at: int
    archive: tuple[bytes, str] | None
    issuances: tuple[Issuance, ...]
    releases: tuple[Release, ...]

    @property
    def epoch(self) -> int:
        """Its epoch."""
        return self.basis.epoch

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to sign: nobody is scored, and nobody has earned a pass."""
        return self.archive is None and not self.issuances

    def to_json(self) -> bytes:
        """The file."""
        return canonical_json(
            {
                "format": FORMAT,
                "epoch": self.epoch,
                "chainId": self.registry.chain_id,
                "registry": self.registry.contract,
                "vipPass": self.vip_pass.contract,
                "publishedAt": self.published_at,
                "cut": str(self.basis.cut),
                "holders": _block(self.basis.holders),
                "recharges": [_block(block) for block in self.basis.recharges],
                "testedFrom": self.basis.tested_from,
                "archive": self.archive and {"hash": f"0x{self.archive[0].hex()}", "name": self.archive[1]},
                "issuances": [_issuance(one) for one in self.issuances],
                "releases": [{"bound": one.bound, "reason": one.reason} for one in self.releases],
            }
        )

    @cached_property
    def hash(self) -> bytes:
        """32 bytes that name this proposal and no other."""
        return sha256(self.to_json()).digest()

    @classmethod
    def from_json(cls, contents: bytes) -> "Proposal":
        """What a file says. Raises ProposalError unless it is to the letter what `to_json` makes."""
        try:
            fields = parse_json(contents)
            chain = fields["chainId"]
            number, head = fields["cut"].split(":")
            proposal = cls(
                basis=Basis(
                    epoch=_whole(fields["epoch"]),
                    tested_from=_whole(fields["testedFrom"]),
                    cut=Position(int(number), head),
                    holders=_read_block(fields["holders"]),
                    recharges=tuple(_read_block(block) for block in fields["recharges"]),
                ),
                registry=Domain(chain, parse_address(fields["registry"])),
                vip_pass=Domain(chain, parse_address(fields["vipPass"])),
                published_at=_whole(fields["publishedAt"]),
                archive=None if fields["archive"] is None else _read_archive(fields["archive"]),
                issuances=tuple(_read_issuance(one) for one in fields["issuances"]),
                releases=tuple(Release(str(one["bound"]), str(one["reason"])) for one in fields["releases"]),
            )
        except KeyError as error:
            raise ProposalError(f"{error.args[0]}: missing") from None
        except (MessageError, StatementError, AddressError, ValueError, TypeError, AttributeError, RecursionError) as error:
            raise ProposalError(str(error)) from None
        if proposal.to_json() != contents:
            raise ProposalError(f"not of format {FORMAT} in the form that it has")
        if not 1 <= proposal.basis.tested_from <= proposal.epoch:
            raise ProposalError(f"testedFrom: {proposal.basis.tested_from} is not in 1 to {proposal.epoch}")
        return proposal


def _whole(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= MAX_UINT64:
        raise ProposalError(f"{value!r} is not a whole number")
    return value


def _bytes32(value: str) -> bytes:
    data = bytes.fromhex(value.removeprefix("0x"))
    if len(data) != 32:
        raise ProposalError(f"{value} is not 32 bytes")
    return data


def _read_archive(fields: Any) -> tuple[bytes, str]:
    return _bytes32(fields["hash"]), _name(fields["name"])


def _name(value: str) -> str:
    """The name of a folder, which must not lead out of the archives'."""
    if not _NAME.fullmatch(value):
        raise ProposalError(f"{value!r} is not the name of an archive")
    return value


def _issuance(issuance: Issuance) -> str:
    """One line of text: role, deadline, accounts. There may be a great many, and parsers of JSON do not like great many brackets."""
    return " ".join((issuance.role.name.lower(), str(issuance.deadline), *issuance.accounts))


def _read_issuance(text: str) -> Issuance:
    role, deadline, *accounts = text.split(" ")
    return Issuance(Role[role.upper()], tuple(parse_address(account) for account in accounts), int(deadline))


def _block(block: Block) -> dict[str, Any]:
    return {"chainId": block.chain_id, "number": block.number, "hash": f"0x{block.hash.hex()}"}


def _read_block(fields: Any) -> Block:
    return Block(fields["chainId"], fields["number"], _bytes32(fields["hash"]))
