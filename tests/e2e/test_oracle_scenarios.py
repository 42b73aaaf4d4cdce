"""What can go wrong between oracle, attestors and chain in the middle of an epoch; and that it, or the next one, comes through."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from eth_abi.abi import encode
from eth_account.messages import SignableMessage
from eth_utils.crypto import keccak

from pictor.activity.ledger import Ledger
from pictor.activity.mirror import mirror
from pictor.chain import Call, governance, send
from pictor.epoch.messages import Domain
from pictor.oracle.attest import Attestor, Held, Verdict
from pictor.oracle.cycle import Outcome
from pictor.oracle.guard import Guard
from pictor.oracle.verify import Posted
from pictor.units import DAY, Address, Role, to_checksum
from scripts._stage import deploy_usdt
from tests.e2e.oracles import CREATORS, FIRST, WORKERS, LocalMessageSigner, Network, activity, network, undone
from tests.e2e.support import World, address, signer, tell
from tests.e2e.test_govern import do

EPOCH = FIRST + 1
TREASURY = address("treasury")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """A chain with the contracts, for all tests of this file."""
    with network(tmp_path_factory.mktemp("network")) as net:
        yield net


@pytest.fixture
def net(shared: Network, tmp_path: Path) -> Iterator[Network]:
    """A network of its own for each test, whose members have passes."""
    with undone(shared, tmp_path) as net:
        yield net.with_members()


def test_a_row_that_comes_between_two_attestors_runs_changes_nothing(net: Network) -> None:
    net.end_epoch(EPOCH)
    net.oracle().run()
    assert net.sign(0) == [Verdict.SIGNED]
    net.hear(activity(FIRST, CREATORS[:2], WORKERS[:2]), EPOCH * DAY + 20)
    assert net.sign(1, 2) == [Verdict.SIGNED] * 2
    assert net.oracle().run().outcome is Outcome.POSTED


def test_an_attestor_whose_source_lacks_a_batch_signs_when_that_has_come(net: Network) -> None:
    stale = Ledger.open(net.folder / "stale", create=True)
    mirror(net.ledger, stale)
    net.hear(activity(FIRST, CREATORS[:1], []), EPOCH * DAY)
    net.end_epoch(EPOCH)
    net.oracle().run()

    def attend() -> Verdict:
        own = net.view("attestor 0", Ledger.open(net.folder / "attestor 0" / "ledger", create=True))
        parts = (Guard(net.folder / "guard"), LocalMessageSigner("attestor 0"), Held(net.folder / "held.json"), stale)
        said = Attestor(own, net.mailbox(own), net.archives, *parts).attend()
        assert said.verdict is Verdict.SIGNED or len(said.reasons) == 1
        return said.verdict

    assert attend() is Verdict.REFUSED
    mirror(net.ledger, stale)
    assert attend() is Verdict.SIGNED


def test_an_epoch_whose_blocks_have_changed_since_is_not_signed_and_the_next_one_is(net: Network) -> None:
    snapshot = tell(net.chain, "evm_snapshot")
    net.end_epoch(EPOCH)
    net.oracle().run()
    tell(net.chain, "evm_revert", snapshot)
    tell(net.chain, "anvil_mine", "0x1")  # one block more before the epoch's end: another last one
    net.end_epoch(EPOCH, complete=False)
    said = net.attestor(0).attend()
    assert said.verdict is Verdict.REFUSED
    assert said.reasons[0].startswith("holders: ")
    net.end_epoch(EPOCH + 1)
    net.oracle().run()
    assert net.sign(0, 1, 2) == [Verdict.SIGNED] * 3
    assert net.oracle().run().outcome is Outcome.POSTED


def test_a_payment_that_a_reorganisation_has_changed_counts_as_it_is_at_last(net: Network) -> None:
    token = deploy_usdt(net.chain, signer("deployer"))
    chains = f'[{{ chain_id = {net.chain.id}, token = "{token}", treasury = "{TREASURY}", first_block = 0 }}]'
    rules = net.policy.replace("\nchains = []", f"\nchains = {chains}").replace("max_account_share = 9_000", "max_account_share = 10_000")
    net = net.changed(policy=rules)

    def pay(amount: int) -> None:
        tell(net.chain, "anvil_setBalance", to_checksum(CREATORS[0]), hex(10**18))
        for name, to in (("mint", CREATORS[0]), ("transfer", TREASURY)):
            data = keccak(text=f"{name}(address,uint256)")[:4] + encode(["address", "uint256"], [to_checksum(to), amount])
            send(net.chain, signer("creator 0"), Call(token, data, name))

    oracle, attestors = net.oracle(), [net.attestor(number) for number in (0, 1, 2)]
    tell(net.chain, "evm_setNextBlockTimestamp", FIRST * DAY + 7_200)
    tell(net.chain, "evm_mine")
    snapshot = tell(net.chain, "evm_snapshot")
    pay(6_000 * 10**6)
    oracle.run()
    for one in attestors:
        one.attend()
    tell(net.chain, "evm_revert", snapshot)
    pay(7_000 * 10**6)
    net.end_epoch(EPOCH)
    assert oracle.run().outcome is Outcome.AWAITING_SIGNATURES
    assert [one.attend().verdict for one in attestors] == [Verdict.SIGNED] * 3
    assert oracle.run().outcome is Outcome.POSTED
    with Posted.find(net.deployment, net.chain, EPOCH).archive(net.archives) as archive:
        row = archive.row("inputs", Role.CREATOR, CREATORS[0])
    assert row is not None
    assert row["recharged"] == 7_000 * 10**6


def test_rules_that_change_from_an_epoch_on_are_needed_from_then_on(net: Network) -> None:
    head, _, version = net.policy.partition("[[version]]")
    newer = version.replace("from_epoch = 0", f"from_epoch = {EPOCH + 1}").replace("pass_points = 100 ", "pass_points = 50 ")
    now = net.changed(policy=f"{head}[[version]]{version}\n[[version]]{newer}")
    now.end_epoch(EPOCH)
    now.oracle().run()
    assert net.sign(0) == [Verdict.SIGNED]  # by the older file, which says the same of this epoch
    assert now.sign(1, 2) == [Verdict.SIGNED] * 2
    assert now.oracle().run().outcome is Outcome.POSTED
    now.end_epoch(EPOCH + 1)
    now.oracle().run()
    said = net.attestor(0).attend()
    assert said.verdict is Verdict.REFUSED
    assert any(reason.startswith("policy_hash: ") for reason in said.reasons)
    assert now.sign(0, 1, 2) == [Verdict.SIGNED] * 3
    assert now.oracle().run().outcome is Outcome.POSTED


def test_a_committee_that_is_rotated_in_the_middle_of_an_epoch(net: Network) -> None:
    world = World(net.chain, net.deployment, net.folder)
    call = ("AttestorCommittee", "rotate", f'["{address("attestor 9")}"]', f'["{address("attestor 0")}"]', "3")
    assert do(world, "governor", *call) is governance.Outcome.SCHEDULE
    epoch = FIRST + 3
    net.end_epoch(epoch)
    net.oracle().run()
    assert net.sign(0, 1) == [Verdict.SIGNED] * 2
    assert do(world, "governor", *call) is governance.Outcome.CALL
    assert net.sign(2) == [Verdict.SIGNED]
    result = net.oracle().run()  # three have signed, and one of them is no member any more
    assert result.outcome is Outcome.AWAITING_SIGNATURES
    assert set(result.missing) == {address(f"attestor {number}") for number in (3, 4, 9)}
    assert net.sign(0, 9) == [Verdict.NO_SIGNER, Verdict.SIGNED]
    assert net.oracle().run().outcome is Outcome.POSTED


class Stopped(BaseException):
    """The end of a process, at a certain line."""


class DyingSigner(LocalMessageSigner):
    """Somebody whose machine stops when there is something to sign."""

    def sign_message(self, _: SignableMessage) -> bytes:
        """See MessageSigner."""
        raise Stopped


def test_an_attestor_that_stopped_between_guard_and_signature_signs_the_same_report_later(net: Network) -> None:
    net.end_epoch(EPOCH)
    net.oracle().run()
    view = net.view("attestor 0", Ledger.open(net.folder / "attestor 0" / "ledger", create=True))
    guard = Guard(net.folder / "attestor 0" / "guard")
    parts = (guard, DyingSigner("attestor 0"), Held(net.folder / "attestor 0" / "held.json"), net.ledger)
    with pytest.raises(Stopped):
        Attestor(view, net.mailbox(view), net.archives, *parts).attend()
    domain = Domain(net.chain.id, Address(net.contracts.registry.address))
    mark = guard.mark(domain)
    assert mark is not None
    assert net.sign(0) == [Verdict.SIGNED]
    assert guard.mark(domain) == mark
