"""What the oracle asks the attestors to sign: one epoch's report, and who is to be issued a pass.

A proposal is one JSON file in one form only, sealed by being created once. It names all that its report was made from, so that whoever
has the same ledger and sees the same chain computes the same; and it repeats nothing that the archive holds.
"""

from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from pictor.activity.ledger import Position
from pictor.epoch.messages import Domain, Issuance, MessageError
from pictor.epoch.report import Block, StatementError, canonical_json, parse_json
from pictor.units import AddressError, Role, parse_address

FORMAT = "pictor-proposal-v1"


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

    `published_at`: Unix seconds. `cut`, `holders`, `recharges`: what counts, as in an archive's report. `archive`: hash (32 bytes) and
    name of the folder below the archives; None where there is no report, as long as nobody holds a pass. `tested_from`: eligibility was
    tested at the end of each epoch from this to `epoch`. `issuances`: for those who met the conditions.
    """

    epoch: int
    registry: Domain
    vip_pass: Domain
    published_at: int
    cut: Position
    holders: Block
    recharges: tuple[Block, ...]
    tested_from: int
    archive: tuple[bytes, str] | None
    issuances: tuple[Issuance, ...]
    releases: tuple[Release, ...]

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
                "cut": str(self.cut),
                "holders": _block(self.holders),
                "recharges": [_block(block) for block in self.recharges],
                "testedFrom": self.tested_from,
                "archive": self.archive and {"hash": f"0x{self.archive[0].hex()}", "name": self.archive[1]},
                "issuances": [{"role": int(one.role), "accounts": list(one.accounts), "deadline": one.deadline} for one in self.issuances],
                "releases": [{"bound": one.bound, "reason": one.reason} for one in self.releases],
            }
        )

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
                epoch=_whole(fields["epoch"]),
                registry=Domain(chain, parse_address(fields["registry"])),
                vip_pass=Domain(chain, parse_address(fields["vipPass"])),
                published_at=_whole(fields["publishedAt"]),
                cut=Position(int(number), head),
                holders=_read_block(fields["holders"]),
                recharges=tuple(_read_block(block) for block in fields["recharges"]),
                tested_from=_whole(fields["testedFrom"]),
                archive=fields["archive"] and (_bytes32(fields["archive"]["hash"]), _name(fields["archive"]["name"])),
                issuances=tuple(
                    Issuance(Role(one["role"]), tuple(parse_address(account) for account in one["accounts"]), _whole(one["deadline"]))
                    for one in fields["issuances"]
                ),
                releases=tuple(Release(str(one["bound"]), str(one["reason"])) for one in fields["releases"]),
            )
        except KeyError as error:
            raise ProposalError(f"{error.args[0]}: missing") from None
        except (MessageError, StatementError, AddressError, ValueError, TypeError, AttributeError) as error:
            raise ProposalError(str(error)) from None
        if proposal.to_json() != contents:
            raise ProposalError(f"not of format {FORMAT} in the form that it has")
        return proposal


def _whole(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ProposalError(f"{value!r} is not a whole number")
    return value


def _bytes32(value: str) -> bytes:
    data = bytes.fromhex(value.removeprefix("0x"))
    if len(data) != 32:
        raise ProposalError(f"{value} is not 32 bytes")
    return data


def _name(value: str) -> str:
    """The name of a folder, which must not lead out of the archives'."""
    if "/" in value or value.startswith("."):
        raise ProposalError(f"{value!r} is not the name of an archive")
    return value


def _block(block: Block) -> dict[str, Any]:
    return {"chainId": block.chain_id, "number": block.number, "hash": f"0x{block.hash.hex()}"}


def _read_block(fields: Any) -> Block:
    return Block(fields["chainId"], fields["number"], _bytes32(fields["hash"]))
