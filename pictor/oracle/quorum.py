"""Who attests: the signers that a contract's attestor stands for, whether a signature is one of theirs, and how many are enough."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from eth_abi.abi import encode
from eth_abi.exceptions import DecodingError
from eth_keys.datatypes import Signature
from eth_keys.exceptions import BadSignature
from eth_utils.address import to_checksum_address
from eth_utils.exceptions import ValidationError
from hexbytes import HexBytes
from web3.exceptions import ContractLogicError

from pictor.chain.contracts import AttestorCommittee
from pictor.chain.errors import NoCodeError, RevertedError
from pictor.chain.node import Block, Chain
from pictor.epoch.messages import join_signatures
from pictor.units import Address

ERC1271 = bytes.fromhex("1626ba7e")  # isValidSignature(bytes32,bytes), which returns its own selector
ERC7913 = bytes.fromhex("024ad318")  # verify(bytes,bytes32,bytes), likewise
HALF = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0  # of secp256k1's order: OpenZeppelin takes no s above


@dataclass(frozen=True)
class Quorum:
    """The signers behind an attestor at a block, and how many of them must sign.

    A signer is 20 bytes, a key or a contract that speaks ERC-1271, or an ERC-7913 verifier and a key behind it. An attestor that is no
    committee is its own only signer.
    """

    chain: Chain
    block: Block
    attestor: Address
    signers: frozenset[bytes]
    threshold: int
    is_committee: bool

    @classmethod
    def behind(cls, chain: Chain, attestor: Address, block: Block) -> "Quorum":
        """The quorum of `attestor`, as it is at `block`."""
        committee = AttestorCommittee(chain, attestor, block)
        try:
            if chain.code(attestor, block):
                return cls(chain, block, attestor, committee.signers(), committee.threshold(), True)
        except (RevertedError, NoCodeError, DecodingError):
            pass  # a contract that signs for itself
        return cls(chain, block, attestor, frozenset([bytes.fromhex(attestor[2:])]), 1, False)

    def is_signed(self, signer: bytes, digest: bytes, signature: bytes) -> bool:
        """Whether the contract would take `signature` of `digest` (32 bytes) for that of `signer`."""
        if signer not in self.signers:
            return False
        if len(signer) > 20:
            return self._answers(signer[:20], ERC7913, ["bytes", "bytes32", "bytes"], [signer[20:], digest, signature])
        if signer in self._contracts:
            return self._answers(signer, ERC1271, ["bytes32", "bytes"], [digest, signature])
        return recovered(digest, signature) == signer

    def enough(self, digest: bytes, signatures: Iterable[tuple[bytes, bytes]]) -> bytes | None:
        """What the contract takes as the attestor's signature of `digest`, out of pairs of signer and signature; None if too few are good.

        Of more than enough, always the same are taken.
        """
        good: dict[bytes, bytes] = {}
        for signer, signature in sorted(signatures):
            if len(good) == self.threshold:
                break
            if signer not in good and self.is_signed(signer, digest, signature):
                good[signer] = signature
        if len(good) < self.threshold:
            return None
        return self._join(good)

    def _join(self, good: Mapping[bytes, bytes]) -> bytes:
        return join_signatures(good) if self.is_committee else next(iter(good.values()))

    @cached_property
    def _contracts(self) -> frozenset[bytes]:
        """Those of the signers that have code."""
        plain = (signer for signer in self.signers if len(signer) == 20)
        return frozenset(signer for signer in plain if self.chain.code(Address(f"0x{signer.hex()}"), self.block))

    def _answers(self, contract: bytes, selector: bytes, types: list[str], values: list[object]) -> bool:
        data = HexBytes(selector + encode(types, values))
        try:
            answer = self.chain.web3.eth.call({"to": to_checksum_address(contract), "data": data}, HexBytes(self.block.hash))
        except ContractLogicError:
            return False
        return bytes(answer[:32]) == selector + bytes(28)


def recovered(digest: bytes, signature: bytes) -> bytes | None:
    """The 20 bytes of the account whose key made `signature`; None if it is not in the one form that OpenZeppelin takes."""
    if len(signature) != 65 or signature[64] not in (27, 28) or int.from_bytes(signature[32:64], "big") > HALF:
        return None
    try:
        vrs = Signature(signature[:64] + bytes([signature[64] - 27]))
        return bytes(vrs.recover_public_key_from_msg_hash(digest).to_canonical_address())
    except (BadSignature, ValidationError):
        return None
