"""What lies in the mailbox: proposals in one form only, and signatures; junk, strangers and rivals stop nobody."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pictor.activity.ledger import Position
from pictor.epoch.messages import Domain, Issuance
from pictor.epoch.report import Block, canonical_json
from pictor.oracle import mailbox as mailboxes
from pictor.oracle.compute import Basis
from pictor.oracle.mailbox import Mailbox, Signatures
from pictor.oracle.proposal import Proposal, ProposalError, Release
from pictor.units import Address, Role

REGISTRY, PASS = (Domain(31_337, Address("0x" + pair * 20)) for pair in ("ab", "cd"))
EPOCH = 20_500
SIGNER, OTHER = b"\x01" * 20, b"\x02" * 20


def account(number: int) -> Address:
    """Somebody."""
    return Address(f"0x{number:040x}")


def proposal(**changes: Any) -> Proposal:
    """A proposal, with some values changed; those of its basis too."""
    basis = Basis(EPOCH, EPOCH - 2, Position(12, "ef" * 32), Block(31_337, 7, b"\x01" * 32), (Block(1, 8, b"\x02" * 32),))
    in_basis = {name: value for name, value in changes.items() if hasattr(basis, name) and name not in ("archive",)}
    values = {
        "registry": REGISTRY,
        "vip_pass": PASS,
        "published_at": 1_771_200_000,
        "archive": (b"\x03" * 32, f"{EPOCH}-0303030303030303"),
        "issuances": (Issuance(Role.CREATOR, (account(1), account(2)), 9), Issuance(Role.WORKER, (account(3),), 9)),
        "releases": (Release("max_score_jump.worker", "a new fleet — announced"),),
        **{name: value for name, value in changes.items() if name not in in_basis},
    }
    return Proposal(replace(basis, **in_basis), **values)


@given(
    issuances=st.lists(st.tuples(st.sampled_from(Role), st.sets(st.integers(1, 2**160 - 1), min_size=1, max_size=5)), max_size=4),
    reason=st.text(max_size=20),
    is_archived=st.booleans(),
)
def test_a_proposal_is_what_its_file_says(issuances: list[tuple[Role, set[int]]], reason: str, is_archived: bool) -> None:
    named = tuple(Issuance(role, tuple(account(number) for number in sorted(numbers)), 9) for role, numbers in issuances)
    one = proposal(issuances=named, releases=(Release("x", reason),), **({} if is_archived else {"archive": None}))
    assert Proposal.from_json(one.to_json()) == one


def test_a_hundred_thousand_issuances_of_one_account_fit() -> None:
    one = proposal(issuances=tuple(Issuance(Role.WORKER, (account(number),), 9) for number in range(1, 100_001)))
    assert len(one.to_json()) < mailboxes.MOST_PROPOSAL
    assert Proposal.from_json(one.to_json()).issuances == one.issuances


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("epoch",), 0),
        (("epoch",), "20500"),
        (("epoch",), True),
        (("testedFrom",), EPOCH + 1),
        (("testedFrom",), 0),
        (("chainId",), 0),
        (("registry",), "0x" + "AB" * 20),
        (("registry",), 7),
        (("publishedAt",), -1),
        (("publishedAt",), 1 << 64),
        (("cut",), "12"),
        (("cut",), "012:" + "ef" * 32),
        (("cut",), None),
        (("holders", "hash"), "0x01"),
        (("holders", "number"), 1.5),
        (("archive",), 0),
        (("archive",), False),
        (("archive", "hash"), "0x" + "03" * 31),
        (("archive", "name"), "../20500-0303030303030303"),
        (("archive", "name"), "20500-0303030303030303/x"),
        (("issuances",), ["creator 9"]),
        (("issuances",), [f"creator 9 {account(2)} {account(1)}"]),
        (("issuances",), [f"guest 9 {account(1)}"]),
        (("issuances",), [f"creator 09 {account(1)}"]),
        (("issuances",), [7]),
        (("releases",), [{"bound": "x"}]),
        (("format",), "pictor-proposal-v2"),
        (("more",), 1),
    ],
)
def test_a_file_that_is_not_to_the_letter_a_proposal_is_none(path: tuple[str, ...], value: Any) -> None:
    fields = json.loads(proposal().to_json())
    inner = fields
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    with pytest.raises(ProposalError):
        Proposal.from_json(canonical_json(fields))


@pytest.mark.parametrize("contents", [b"", b"junk", b"[]", b"null", b"\xff\xfe", b"[" * 999, b"9" * 5_000, b'{"a":' * 400 + b"1"])
def test_junk_is_no_proposal_and_nobody_s_signatures(contents: bytes) -> None:
    with pytest.raises(ProposalError):
        Proposal.from_json(contents)
    with pytest.raises((ValueError, RecursionError)):
        Signatures.from_json(contents)


def test_the_first_proposal_of_an_epoch_stands_and_a_second_oracle_adopts_it(tmp_path: Path) -> None:
    first, second = proposal(), proposal(published_at=1)
    assert Mailbox.open(tmp_path, REGISTRY).propose(first) == first
    assert Mailbox.open(tmp_path, REGISTRY).propose(second) == first
    assert Mailbox.open(tmp_path, REGISTRY).proposal(EPOCH) == first
    assert Mailbox.open(tmp_path, REGISTRY).epochs() == [EPOCH]


def test_what_is_no_proposal_of_this_epoch_and_registry_is_passed_over(tmp_path: Path) -> None:
    mailbox = Mailbox.open(tmp_path, REGISTRY)
    mailbox.propose(proposal())
    file = next(tmp_path.glob("*/proposals/*.json"))
    for contents in (
        b"junk",
        proposal(epoch=EPOCH + 1).to_json(),
        proposal(registry=Domain(31_337, account(9))).to_json(),
        b" " * (mailboxes.MOST_PROPOSAL + 1),
    ):
        file.write_bytes(contents)
        assert mailbox.proposal(EPOCH) is None
        with pytest.raises(ProposalError):
            mailbox.propose(proposal())
    (file.parent / "notes.txt").write_text("hello")
    (file.parent / "12.json").write_text("{}")
    assert mailbox.epochs() == [EPOCH]


def test_signatures_of_others_and_of_other_proposals_and_junk_are_passed_over(tmp_path: Path) -> None:
    mailbox, one = Mailbox.open(tmp_path, REGISTRY), proposal()
    good = Signatures(SIGNER, one.hash, {b"\x05" * 32: b"\x06" * 65})
    for left in (good, good, Signatures(OTHER, one.hash, {}), Signatures(SIGNER, b"\x07" * 32, {})):
        mailbox.sign(EPOCH, left)
    folder = next(tmp_path.glob("*/signatures/*"))
    (folder / "junk.json").write_bytes(b"\x00")
    (folder / "huge.json").write_bytes(b" " * (mailboxes.MOST_SIGNATURE * 5))
    (folder / "folder.json").mkdir()
    assert mailbox.signatures(one, [SIGNER]) == [good]


def test_nobody_can_take_the_place_of_a_signer(tmp_path: Path) -> None:
    mailbox, one = Mailbox.open(tmp_path, REGISTRY), proposal()
    mailbox.sign(EPOCH, Signatures(SIGNER, one.hash, {b"\x05" * 32: b"a stranger's"}))
    mine = Signatures(SIGNER, one.hash, {b"\x05" * 32: b"mine"})
    mailbox.sign(EPOCH, mine)
    assert mine in mailbox.signatures(one, [SIGNER])
