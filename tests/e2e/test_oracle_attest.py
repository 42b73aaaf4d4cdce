"""What an attestor refuses, and why it says it does: its own ledger, its own node and its own guard are all that it believes."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from pictor.activity.ledger import Ledger
from pictor.activity.mirror import mirror
from pictor.epoch.messages import Issuance
from pictor.oracle.attest import Attestation, Verdict
from pictor.oracle.cycle import Outcome
from pictor.oracle.proposal import Proposal
from pictor.units import DAY, Role
from tests.e2e.oracles import CREATORS, FIRST, WORKERS, Network, activity, network, undone
from tests.e2e.support import address, tell


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """A chain with the contracts, for all tests of this file."""
    with network(tmp_path_factory.mktemp("network")) as net:
        yield net


@pytest.fixture
def net(shared: Network, tmp_path: Path) -> Iterator[Network]:
    """A network of its own for each test, with activity."""
    with undone(shared, tmp_path) as net:
        net.hear(activity(FIRST - 1), FIRST * DAY - DAY // 2, complete_until=FIRST * DAY - 1)
        yield net


def refused(said: Attestation, *starts: str) -> None:
    """It was refused, for these reasons and no others."""
    assert said.verdict is Verdict.REFUSED, said
    assert len(said.reasons) == len(starts), said.reasons
    for reason, start in zip(said.reasons, starts, strict=True):
        assert reason.startswith(start), said.reasons


def proposed(net: Network, **changes: object) -> Proposal:
    """Lets an honest oracle propose, and puts a proposal with some values changed in its place."""
    net.oracle().run()
    file = max((net.folder / "mailbox").glob("*/proposals/*.json"))
    honest = Proposal.from_json(file.read_bytes())
    values = {name: getattr(honest, name) for name in honest.__dataclass_fields__} | changes
    forged = Proposal(**values)
    file.write_bytes(forged.to_json())
    return forged


def test_a_batch_that_was_held_for_longer_than_grace_must_not_be_left_out(net: Network) -> None:
    short = Ledger.open(net.folder / "short", create=True)
    mirror(net.ledger, short)
    net.hear({"heartbeats": activity(FIRST - 1, [], [address("left out")])["heartbeats"]}, FIRST * DAY - DAY // 2)
    attestor, newcomer = net.attestor(0), net.attestor(1)
    assert attestor.attend().verdict is Verdict.NOTHING_TO_SIGN
    net.end_epoch(FIRST, complete=False)
    tell(net.chain, "evm_setNextBlockTimestamp", FIRST * DAY + 21_600)
    tell(net.chain, "anvil_mine", "0x3")
    assert net.oracle(ledger=short).run().outcome is Outcome.NO_MEMBERS
    refused(attestor.attend(), f"cut: {short.size()} leaves out entries up to {net.ledger.size()}")
    assert newcomer.attend().verdict is Verdict.SIGNED  # it has held nothing for long


def test_a_rewritten_ledger_is_refused(net: Network) -> None:
    attestor = net.attestor(0)
    attestor.attend()
    shutil.rmtree(net.folder / "ledger")
    net.hear(activity(FIRST - 1, CREATORS[:1]), FIRST * DAY - DAY // 2)
    net.end_epoch(FIRST)
    net.oracle().run()
    refused(attestor.attend(), f"{net.folder}/ledger: entry 1 was rewritten: ")


def test_what_an_attestor_cannot_get_it_does_not_sign(net: Network) -> None:
    net.end_epoch(FIRST)
    net.oracle().run()
    next((net.folder / "ledger" / "batches").iterdir()).unlink()
    said = net.attestor(0).attend()
    assert said.verdict is Verdict.REFUSED
    assert "missing, the batch of entry" in said.reasons[0]


def test_who_has_not_earned_a_pass_is_not_signed_for(net: Network) -> None:
    net.end_epoch(FIRST)
    guest = address("guest")
    deadline = FIRST * DAY + 30 * DAY
    many = tuple(sorted((*WORKERS, guest)))
    proposed(net, issuances=(Issuance(Role.WORKER, many, deadline + 1), Issuance(Role.CREATOR, tuple(sorted(CREATORS)), deadline)))
    refused(net.attestor(0).attend(), "issuances[0].deadline: ", f"issuances[0]: {guest} has not earned a pass of a worker")


def test_fewer_issuances_than_could_be_are_signed(net: Network) -> None:
    net.end_epoch(FIRST)
    proposed(net, issuances=(Issuance(Role.CREATOR, (CREATORS[0],), FIRST * DAY + DAY),))
    assert net.attestor(0).attend().verdict is Verdict.SIGNED


def test_an_archive_that_is_not_there_is_not_signed(net: Network) -> None:
    net.with_members()
    net.end_epoch(FIRST + 1)
    proposed(net)
    shutil.rmtree(net.archives)
    said = net.attestor(0).attend()
    assert (said.verdict, "there is no archive here" in said.reasons[0]) == (Verdict.REFUSED, True)


def test_a_second_report_for_an_epoch_is_refused_although_it_would_be_right(net: Network) -> None:
    net.with_members()
    net.end_epoch(FIRST + 1)
    net.oracle().run()
    assert net.sign(0) == [Verdict.SIGNED]
    next((net.folder / "mailbox").glob(f"*/proposals/*{FIRST + 1}.json")).unlink()
    net.hear(activity(FIRST, CREATORS[:1], WORKERS[:1]), (FIRST + 1) * DAY + 20)
    net.oracle().run()
    refused(net.attestor(0).attend(), f"epoch {FIRST + 1}: another report was signed for it")
    assert net.sign(1) == [Verdict.SIGNED]


def test_a_report_that_no_operator_released_is_refused(net: Network) -> None:
    net.with_members()
    net.end_epoch(FIRST + 1)
    proposed(net)
    said = net.attestor(1, policy=net.policy.replace("max_account_share = 9_000", "max_account_share = 100")).attend()
    assert any(reason.startswith("out of bounds, and not released: max_account_share.creator") for reason in said.reasons)


def test_blocks_that_this_node_does_not_have_are_refused(net: Network) -> None:
    net.end_epoch(FIRST)
    honest = proposed(net)
    other = honest.basis.holders.__class__(honest.basis.holders.chain_id, honest.basis.holders.number, b"\x09" * 32)
    proposed(net, basis=honest.basis.__class__(honest.epoch, honest.basis.tested_from, honest.basis.cut, other, ()))
    refused(net.attestor(0).attend(), "holders: ")
