"""Messages are EIP-712 to the letter, and one that exists is one that its contract can accept."""

from dataclasses import replace
from typing import Any

import pytest
from eth_abi.abi import decode, encode
from eth_account import Account
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from pictor.epoch.messages import Domain, Issuance, Message, MessageError, Report, join_signatures, split_signatures
from pictor.units import Address, Role

DOMAIN = Domain(31_337, Address("0x" + "ab" * 20))
ISSUANCE = Issuance(Role.WORKER, (Address("0x" + "01" * 20), Address("0x" + "fe" * 20)), 1_800_000_000)
REPORT = Report(20_500, bytes([1]) * 32, bytes([2]) * 32, bytes([3]) * 32, 4, 5)


def by_the_definition(domain: Domain, name: str, struct: bytes) -> bytes:
    """The digest of EIP-712 with nothing but keccak and the ABI."""
    kind = keccak(b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")
    fields = [kind, keccak(name.encode()), keccak(b"1"), domain.chain_id, domain.contract]
    separator = keccak(encode(["bytes32", "bytes32", "bytes32", "uint256", "address"], fields))
    return keccak(b"\x19\x01" + separator + keccak(struct))


DOMAINS = st.builds(
    Domain,
    st.integers(1, (1 << 256) - 1),
    st.integers(1, (1 << 160) - 1).map(lambda number: Address(f"0x{number:040x}")),
)
ACCOUNTS = st.sets(st.integers(1, (1 << 160) - 1), min_size=1, max_size=5).map(lambda s: tuple(Address(f"0x{n:040x}") for n in sorted(s)))
HASHES = st.binary(min_size=32, max_size=32)


@given(DOMAINS, st.builds(Issuance, st.sampled_from(Role), ACCOUNTS, st.integers(0, (1 << 64) - 1)))
def test_the_digest_of_an_issuance_is_the_one_of_the_definition(domain: Domain, issuance: Issuance) -> None:
    accounts = keccak(b"".join(bytes(12) + bytes.fromhex(account[2:]) for account in issuance.accounts))
    kind = keccak(b"Issuance(uint8 role,address[] accounts,uint64 deadline)")
    struct = encode(["bytes32", "uint8", "bytes32", "uint64"], [kind, issuance.role, accounts, issuance.deadline])
    assert issuance.digest(domain) == by_the_definition(domain, "Pictor VIP Pass", struct)


@given(
    DOMAINS,
    st.builds(
        Report,
        st.integers(1, (1 << 64) - 1),
        HASHES.filter(any),
        HASHES,
        HASHES,
        st.integers(1, (1 << 32) - 1),
        st.integers(0, (1 << 32) - 1),
    ),
)
def test_the_digest_of_a_report_is_the_one_of_the_definition(domain: Domain, report: Report) -> None:
    kind = keccak(b"Report(uint64 epoch,bytes32 root,bytes32 policyHash,bytes32 archiveHash,uint32 creators,uint32 workers)")
    values = [kind, report.epoch, report.root, report.policy_hash, report.archive_hash, report.creators, report.workers]
    struct = encode(["bytes32", "uint64", "bytes32", "bytes32", "bytes32", "uint32", "uint32"], values)
    assert report.digest(domain) == by_the_definition(domain, "Pictor Score Registry", struct)


@pytest.mark.parametrize("message", [ISSUANCE, REPORT])
def test_a_signature_counts_for_one_message_one_contract_and_one_chain(message: Message) -> None:
    other = Domain(31_337, Address("0x" + "ac" * 20)), Domain(31_338, DOMAIN.contract)
    changed = replace(message, **({"deadline": 1} if isinstance(message, Issuance) else {"workers": 6}))  # type: ignore[type-var]
    digests = {message.digest(DOMAIN), *(message.digest(domain) for domain in other), changed.digest(DOMAIN)}
    assert len(digests) == 4


@pytest.mark.parametrize("message", [ISSUANCE, REPORT])
def test_what_an_account_signs_recovers_to_it_from_the_digest(message: Message) -> None:
    key = "0x" + "11" * 32
    signature = Account.sign_message(message.signable(DOMAIN), key).signature
    assert Account._recover_hash(message.digest(DOMAIN), signature=signature) == Account.from_key(key).address
    assert Account.sign_typed_data(key, full_message=message.typed_data(DOMAIN)).signature == signature


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"role": 1}, "role: 1 is neither"),
        ({"accounts": ()}, r"accounts: \(\) names none"),
        ({"accounts": list(ISSUANCE.accounts)}, "names none"),
        ({"accounts": ISSUANCE.accounts[::-1]}, r"accounts\[1\]: 0x(01)+ is not above the one before it"),
        ({"accounts": ISSUANCE.accounts[:1] * 2}, r"accounts\[1\]: 0x(01)+ is not above the one before it"),
        ({"accounts": ("0x" + "00" * 20,)}, r"accounts\[0\]: '0x0+' is not an account"),
        ({"accounts": ("0x" + "AB" * 20,)}, r"accounts\[0\]: '0x(AB)+' is not an account in lower-case hex"),
        ({"accounts": ("0x" + "ab" * 19,)}, r"accounts\[0\]: .* is not an account"),
        ({"accounts": (b"\x01" * 20,)}, r"accounts\[0\]: .* is not an account"),
        ({"deadline": -1}, "deadline: -1 is not a whole number from 0"),
        ({"deadline": 1 << 64}, "deadline: 18446744073709551616 is not"),
        ({"deadline": 1.0}, "deadline: 1.0 is not"),
    ],
)
def test_an_issuance_that_the_contract_would_not_take_cannot_be_made(change: dict[str, Any], message: str) -> None:
    with pytest.raises(MessageError, match=message):
        replace(ISSUANCE, **change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epoch": 0}, "epoch: 0 is not a whole number from 1"),
        ({"epoch": 1 << 64}, "epoch: 18446744073709551616 is not"),
        ({"epoch": True}, "epoch: True is not"),
        ({"root": bytes(32)}, "root: is zero"),
        ({"root": bytes([1]) * 31}, "root: .* is not 32 bytes"),
        ({"policy_hash": bytes(33)}, "policy hash: .* is not 32 bytes"),
        ({"archive_hash": "0x" + "00" * 32}, "archive hash: .* is not 32 bytes"),
        ({"creators": -1}, "creators: -1 is not"),
        ({"workers": 1 << 32}, "workers: 4294967296 is not"),
        ({"creators": 0, "workers": 0}, "at least one standing"),
    ],
)
def test_a_report_that_the_contract_would_not_take_cannot_be_made(change: dict[str, Any], message: str) -> None:
    with pytest.raises(MessageError, match=message):
        replace(REPORT, **change)


@pytest.mark.parametrize(
    ("chain_id", "contract", "message"),
    [
        (0, DOMAIN.contract, "chain id: 0 is not"),
        (1, "0x" + "00" * 20, "contract: '0x0+' is not an account"),
        (1, "0x" + "AB" * 20, "contract: .* lower-case hex"),
        (1 << 256, DOMAIN.contract, "chain id: "),
    ],
)
def test_a_message_counts_on_a_real_contract_of_a_real_chain(chain_id: int, contract: Address, message: str) -> None:
    with pytest.raises(MessageError, match=message):
        Domain(chain_id, contract)


SIGNATURES = st.dictionaries(st.binary(min_size=20, max_size=84).filter(lambda s: any(s[:20])), st.binary(min_size=1), min_size=1)


@given(SIGNATURES)
def test_joined_signatures_are_sorted_by_the_hash_of_their_signer(signatures: dict[bytes, bytes]) -> None:
    joined = join_signatures(signatures)
    signers, theirs = decode(["bytes[]", "bytes[]"], joined)
    assert list(signers) == sorted(signatures, key=keccak)
    assert dict(zip(signers, theirs, strict=True)) == signatures


@given(SIGNATURES)
def test_signatures_survive_the_way_there_and_back_whoever_came_first(signatures: dict[bytes, bytes]) -> None:
    joined = join_signatures(signatures)
    assert split_signatures(joined) == signatures
    assert join_signatures(dict(reversed(signatures.items()))) == joined


@pytest.mark.parametrize(
    ("signatures", "message"),
    [
        ({}, "there are none"),
        ({b"\x01" * 19: b"s"}, "signer: 0x(01)+ is neither an account nor a verifier"),
        ({bytes(20): b"s"}, "signer: 0x0+ is neither"),
        ({b"\x01" * 20: b""}, "signature: of 0x(01)+ is empty"),
    ],
)
def test_signatures_that_no_committee_takes_are_refused(signatures: dict[bytes, bytes], message: str) -> None:
    with pytest.raises(MessageError, match=message):
        join_signatures(signatures)


A, B = sorted((b"\x01" * 20, b"\x02" * 20), key=keccak)


@pytest.mark.parametrize(
    ("signers", "signatures"),
    [([B, A], [b"s", b"t"]), ([A, A], [b"s", b"t"]), ([A, B], [b"s"]), ([A], [b"s", b"t"]), ([], [])],
)
def test_signatures_joined_otherwise_are_refused(signers: list[bytes], signatures: list[bytes]) -> None:
    with pytest.raises(MessageError, match="signatures: "):
        split_signatures(encode(["bytes[]", "bytes[]"], [signers, signatures]))


@given(st.binary(max_size=200))
def test_bytes_that_are_no_signatures_are_refused(junk: bytes) -> None:
    with pytest.raises(MessageError, match="signatures: "):
        split_signatures(junk)


def test_a_joined_signature_with_something_after_it_is_refused() -> None:
    with pytest.raises(MessageError, match="signatures: "):
        split_signatures(join_signatures({A: b"s"}) + bytes(32))
