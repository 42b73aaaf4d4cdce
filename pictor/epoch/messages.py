"""What attestors sign, as EIP-712 messages for one contract on one chain, and how a committee's signatures travel together.

The checks here are stricter than EIP-712: a message that exists is one that its contract can accept. The contracts' views
`issuanceDigest` and `reportDigest` must give the same digests; whoever starts to sign or to send compares them first.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError
from eth_account.messages import SignableMessage, encode_typed_data
from eth_utils.crypto import keccak

from pictor.units import Address, AddressError, Role, parse_address, to_checksum

MAX_UINT32 = (1 << 32) - 1
MAX_UINT64 = (1 << 64) - 1
MAX_UINT256 = (1 << 256) - 1


class MessageError(ValueError):
    """A message, or a set of signatures, that no contract would accept. The message has the field and the value."""


def _whole(name: str, value: object, low: int, high: int) -> None:
    if type(value) is not int or not low <= value <= high:
        raise MessageError(f"{name}: {value!r} is not a whole number from {low} to {high}")


def _bytes32(name: str, value: object, may_be_zero: bool) -> None:
    if type(value) is not bytes or len(value) != 32:
        raise MessageError(f"{name}: {value!r} is not 32 bytes")
    if not may_be_zero and not any(value):
        raise MessageError(f"{name}: is zero")


def _account(name: str, value: object) -> None:
    try:
        if isinstance(value, str) and parse_address(value) == value and int(value, 16):
            return
    except AddressError:
        pass
    raise MessageError(f"{name}: {value!r} is not an account in lower-case hex")


@dataclass(frozen=True)
class Domain:
    """Where a message counts: the contract (not zero, lower-case hex) on the chain of that id."""

    chain_id: int
    contract: Address

    def __post_init__(self) -> None:
        _whole("chain id", self.chain_id, 1, MAX_UINT256)
        _account("contract", self.contract)


class Message:
    """An EIP-712 message. Raises MessageError when it is made of values that its contract does not take."""

    DOMAIN_NAME: ClassVar[str]
    FIELDS: ClassVar[Mapping[str, str]]  # Solidity's types by name, in the struct's order

    def values(self) -> dict[str, Any]:
        """The struct for a contract call, in the struct's order: checksummed addresses, whole numbers, bytes."""
        raise NotImplementedError

    def typed_data(self, domain: Domain) -> dict[str, Any]:
        """The argument of `eth_signTypedData_v4` (bytes as bytes)."""
        return {
            "types": {
                "EIP712Domain": [
                    {"name": "name", "type": "string"},
                    {"name": "version", "type": "string"},
                    {"name": "chainId", "type": "uint256"},
                    {"name": "verifyingContract", "type": "address"},
                ],
                type(self).__name__: [{"name": name, "type": kind} for name, kind in self.FIELDS.items()],
            },
            "primaryType": type(self).__name__,
            "domain": {
                "name": self.DOMAIN_NAME,
                "version": "1",
                "chainId": domain.chain_id,
                "verifyingContract": to_checksum(domain.contract),
            },
            "message": self.values(),
        }

    def signable(self, domain: Domain) -> SignableMessage:
        """What `eth_account`, and any account of Ape, signs."""
        return encode_typed_data(full_message=self.typed_data(domain))

    def digest(self, domain: Domain) -> bytes:
        """The 32 bytes that are signed; the contract's view returns the same."""
        signable = self.signable(domain)
        return keccak(b"\x19" + signable.version + signable.header + signable.body)


@dataclass(frozen=True)
class Issuance(Message):
    """Lets passes of `role` be issued to `accounts` (strictly ascending, lower-case hex) up to `deadline` (Unix seconds, inclusive)."""

    role: Role
    accounts: tuple[Address, ...]
    deadline: int

    DOMAIN_NAME: ClassVar[str] = "Pictor VIP Pass"
    FIELDS: ClassVar[Mapping[str, str]] = {"role": "uint8", "accounts": "address[]", "deadline": "uint64"}

    def __post_init__(self) -> None:
        if not isinstance(self.role, Role):
            raise MessageError(f"role: {self.role!r} is neither Role.CREATOR nor Role.WORKER")
        if not isinstance(self.accounts, tuple) or not self.accounts:
            raise MessageError(f"accounts: {self.accounts!r} names none")
        for i, account in enumerate(self.accounts):
            _account(f"accounts[{i}]", account)
            if i and account <= self.accounts[i - 1]:
                raise MessageError(f"accounts[{i}]: {account} is not above the one before it")
        _whole("deadline", self.deadline, 0, MAX_UINT64)

    def values(self) -> dict[str, Any]:
        """See Message."""
        return {"role": int(self.role), "accounts": [to_checksum(account) for account in self.accounts], "deadline": self.deadline}


@dataclass(frozen=True)
class Report(Message):
    """The scores of one epoch: root of the tree, hashes of rules and archive (32 bytes each), standings of each role in the tree."""

    epoch: int
    root: bytes
    policy_hash: bytes
    archive_hash: bytes
    creators: int
    workers: int

    DOMAIN_NAME: ClassVar[str] = "Pictor Score Registry"
    FIELDS: ClassVar[Mapping[str, str]] = {
        "epoch": "uint64",
        "root": "bytes32",
        "policyHash": "bytes32",
        "archiveHash": "bytes32",
        "creators": "uint32",
        "workers": "uint32",
    }

    def __post_init__(self) -> None:
        _whole("epoch", self.epoch, 1, MAX_UINT64)
        _bytes32("root", self.root, may_be_zero=False)
        _bytes32("policy hash", self.policy_hash, may_be_zero=True)
        _bytes32("archive hash", self.archive_hash, may_be_zero=True)
        _whole("creators", self.creators, 0, MAX_UINT32)
        _whole("workers", self.workers, 0, MAX_UINT32)
        if not self.creators and not self.workers:
            raise MessageError("creators, workers: a report has at least one standing")

    def values(self) -> dict[str, Any]:
        """See Message."""
        return {
            "epoch": self.epoch,
            "root": self.root,
            "policyHash": self.policy_hash,
            "archiveHash": self.archive_hash,
            "creators": self.creators,
            "workers": self.workers,
        }


def join_signatures(signatures: Mapping[bytes, bytes]) -> bytes:
    """The committee's signature, made of those of its members: `abi.encode(bytes[] signers, bytes[] signatures)`.

    A signer is 20 bytes (a key or a contract wallet), or an ERC-7913 verifier's 20 and the key behind it. They are sorted by
    `keccak256(signer)`, which is what OpenZeppelin checks quickest, so that the order of collecting makes no difference.
    Raises MessageError for none, or for one that cannot be.
    """
    if not signatures:
        raise MessageError("signatures: there are none")
    for signer, signature in signatures.items():
        _member(signer, signature)
    signers = sorted(signatures, key=lambda signer: keccak(signer))
    return encode(["bytes[]", "bytes[]"], [signers, [signatures[signer] for signer in signers]])


def split_signatures(joined: bytes) -> dict[bytes, bytes]:
    """The signatures by signer, in their order. Raises MessageError unless `joined` is to the letter what `join_signatures` makes."""
    try:
        signers, signatures = decode(["bytes[]", "bytes[]"], joined)
    except (DecodingError, OverflowError):
        raise MessageError(f"signatures: not abi.encode(bytes[], bytes[]): 0x{joined.hex()}") from None
    members = dict(zip(signers, signatures, strict=False))
    if len(signatures) != len(signers) or join_signatures(members) != joined:
        raise MessageError(f"signatures: not sorted, not matched or not unique: 0x{joined.hex()}")
    return members


def _member(signer: bytes, signature: bytes) -> None:
    if len(signer) < 20 or not any(signer[:20]):
        raise MessageError(f"signer: 0x{signer.hex()} is neither an account nor a verifier with a key")
    if not signature:
        raise MessageError(f"signature: of 0x{signer.hex()} is empty")
