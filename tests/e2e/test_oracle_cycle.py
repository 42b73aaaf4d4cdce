"""The oracle's cycle on a chain of its own, with attestors: proposed once, signed by enough or not posted, killed and run again."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from pictor.oracle.attest import Verdict
from pictor.oracle.cycle import Issuing, Outcome, Result, Syncing
from pictor.oracle.proposal import Release
from pictor.units import DAY, Role
from tests.e2e.oracles import CREATORS, FIRST, WORKERS, Network, activity, network, policy, undone
from tests.e2e.support import ROOT, address, tell


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """A chain with the contracts, for all tests of this file."""
    with network(tmp_path_factory.mktemp("network")) as net:
        yield net


@pytest.fixture
def net(shared: Network, tmp_path: Path) -> Iterator[Network]:
    """A network of its own for each test."""
    with undone(shared, tmp_path) as net:
        yield net


# ------------------------------------------------------------------------------------------------------ all is well


def test_from_first_activity_to_prioritised_members(net: Network) -> None:
    net.hear(activity(FIRST - 1), FIRST * DAY)
    oracle, attestors = net.oracle(), [net.attestor(i) for i in range(3)]
    assert oracle.run().outcome is Outcome.NOT_CLOSED
    net.end_epoch(FIRST)
    assert oracle.run().outcome is Outcome.NO_MEMBERS
    assert [one.attend().verdict for one in attestors] == [Verdict.SIGNED] * 3
    result = oracle.run()
    assert (result.outcome, result.issuing, result.passes_left) == (Outcome.NO_MEMBERS, Issuing.DONE, 0)
    assert net.contracts.vip_pass.members(Role.CREATOR) == len(CREATORS)
    assert net.contracts.vip_pass.members(Role.WORKER) == len(WORKERS)

    net.end_epoch(FIRST + 1)
    assert oracle.run().outcome is Outcome.AWAITING_SIGNATURES
    assert [one.attend().verdict for one in attestors] == [Verdict.SIGNED] * 3
    assert [one.attend().verdict for one in attestors] == [Verdict.SIGNED_ALREADY] * 3
    result = oracle.run()
    assert (result.outcome, result.syncing, result.to_sync) == (Outcome.POSTED, Syncing.DONE, 0)
    net.end_epoch(FIRST + 2, complete=False)
    assert net.contracts.registry.is_prioritized(CREATORS[-1], Role.CREATOR)
    assert net.contracts.registry.is_prioritized(WORKERS[-1], Role.WORKER)
    assert not net.contracts.registry.is_prioritized(WORKERS[0], Role.WORKER)


def test_an_epoch_waits_for_its_sources_until_grace_has_passed(net: Network) -> None:
    net.hear(activity(FIRST - 1), FIRST * DAY, complete_until=FIRST * DAY - 1)
    net.end_epoch(FIRST, complete=False)
    result = net.oracle().run()
    assert (result.outcome, result.details) == (Outcome.NOT_CLOSED, ("source manual",))
    tell(net.chain, "evm_setNextBlockTimestamp", FIRST * DAY + 21_600)
    tell(net.chain, "evm_mine")
    assert net.oracle().run().outcome is Outcome.NO_MEMBERS


def test_without_a_sender_nothing_is_written_or_sent(net: Network) -> None:
    net.with_members()
    net.end_epoch(FIRST + 1)
    before, files = net.transactions("oracle"), sorted((net.folder / "mailbox").rglob("*.json"))
    result = net.oracle("looker", pays=False).run()
    assert result.outcome is Outcome.WOULD_PROPOSE
    assert any(f"{len(CREATORS)} creators, {len(WORKERS)} workers" in detail for detail in result.details)
    assert (net.transactions("oracle"), sorted((net.folder / "mailbox").rglob("*.json"))) == (before, files)
    assert not (net.folder / "archives").exists()


def test_missed_epochs_are_tested_each_at_its_own_end_and_only_the_newest_is_reported(net: Network) -> None:
    net.with_members()
    late = address("worker who has gone again")
    net.hear({"heartbeats": activity(FIRST)["heartbeats"] + activity(FIRST, [], [late])["heartbeats"]}, (FIRST + 1) * DAY)
    rare = policy().replace("window = 2_592_000", "window = 86_400").replace("max_offline = 2_592_000", "max_offline = 86_400")
    net = net.changed(policy=rare)
    net.end_epoch(FIRST + 3)  # nobody was there at the ends of the two before
    oracle = net.oracle("back again")
    oracle._sender = net.oracle()._sender
    assert oracle.run().outcome is Outcome.AWAITING_SIGNATURES
    proposal = net.mailbox(net.view("reader")).proposal(FIRST + 3)
    assert proposal is not None
    assert proposal.basis.tested_from == FIRST + 1
    assert [one.accounts for one in proposal.issuances] == [(late,)]
    assert net.sign(0, 1, 2) == [Verdict.SIGNED] * 3
    assert oracle.run().outcome is Outcome.POSTED
    assert net.contracts.vip_pass.is_vip(late, Role.WORKER)


# ------------------------------------------------------------------------------------------------------ who signs


def test_one_attestor_lies_and_one_is_down_and_the_epoch_is_posted(net: Network) -> None:
    net.with_members()
    net.end_epoch(FIRST + 1)
    oracle = net.oracle()
    oracle.run()
    other_rules = net.attestor(4, policy=policy().replace("pass_points = 100 ", "pass_points = 90 "))
    said = other_rules.attend()
    assert said.verdict is Verdict.REFUSED
    assert any(reason.startswith("policy_hash: ") for reason in said.reasons)
    assert any(reason.startswith("standings: ") and "pass 100000000, here 90000000" in reason for reason in said.reasons)
    forge(net, 3)
    assert net.sign(0, 1) == [Verdict.SIGNED] * 2
    result = oracle.run()
    assert result.outcome is Outcome.AWAITING_SIGNATURES
    assert set(result.missing) == {address(f"attestor {i}") for i in (2, 3, 4)}
    assert net.sign(2) == [Verdict.SIGNED]
    assert oracle.run().outcome is Outcome.POSTED


def forge(net: Network, number: int) -> None:
    """An attestor leaves what it has from another one as its own signatures."""
    folder = next((net.folder / "mailbox").glob("*/signatures/"))
    some = next(folder.rglob("*.json"))
    for epoch in sorted((net.folder / "mailbox").glob("*/proposals/*.json")):
        target = folder / epoch.stem / f"{number:032x}.json"
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(some.read_bytes())


def test_with_too_few_signatures_nothing_is_posted_and_the_next_epoch_is(net: Network) -> None:
    net.with_members()
    net.end_epoch(FIRST + 1)
    assert net.oracle().run().outcome is Outcome.AWAITING_SIGNATURES
    assert net.sign(0, 1) == [Verdict.SIGNED] * 2
    result = net.oracle().run()
    assert (result.outcome, set(result.missing)) == (Outcome.AWAITING_SIGNATURES, {address(f"attestor {i}") for i in (2, 3, 4)})
    assert net.contracts.registry.last_epoch() == 0
    net.end_epoch(FIRST + 2)
    assert net.oracle().run().outcome is Outcome.AWAITING_SIGNATURES
    assert net.sign(0, 1, 4) == [Verdict.SIGNED] * 3
    assert net.oracle().run().outcome is Outcome.POSTED
    assert net.contracts.registry.last_epoch() == FIRST + 2


# ------------------------------------------------------------------------------------------------------ bounds


def test_a_held_epoch_goes_out_when_released_and_does_not_block_the_next(net: Network) -> None:
    net.with_members()
    net.end_epoch(FIRST + 1)
    net.oracle().run()
    net.sign(0, 1, 2)
    assert net.oracle().run().outcome is Outcome.POSTED
    net.hear(activity(FIRST + 1, CREATORS[:1], []), (FIRST + 2) * DAY)
    rich = {**activity(FIRST + 1, [], []), "recharges": [{**one, "amount": 10**14} for one in activity(FIRST + 1)["recharges"]]}
    net.hear({"recharges": [{**one, "ref": f"rich {one['ref']}"} for one in rich["recharges"]]}, (FIRST + 2) * DAY)
    net.end_epoch(FIRST + 2)
    result = net.oracle().run()
    assert result.outcome is Outcome.HELD
    assert any(detail.startswith("max_score_jump.creator: ") for detail in result.details)
    net.end_epoch(FIRST + 3)
    assert net.oracle().run().outcome is Outcome.HELD
    released = net.oracle(releases=(Release("max_score_jump.creator", "a great campaign"), Release("max_account_share.worker", "unused")))
    assert released.run().outcome is Outcome.AWAITING_SIGNATURES
    proposal = net.mailbox(net.view("reader")).proposal(FIRST + 3)
    assert proposal is not None
    assert proposal.releases == (Release("max_score_jump.creator", "a great campaign"),)
    assert net.sign(0, 1, 2) == [Verdict.SIGNED] * 3
    assert net.oracle().run().outcome is Outcome.POSTED


# ------------------------------------------------------------------------------------------------------ killed, and two at once


class Mortal:
    """An oracle whose cycles are killed."""

    def __init__(self, net: Network) -> None:
        command = [sys.executable, "-m", "tests.e2e.oracle_process", str(net.folder), net.url, "oracle"]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True)
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.orders, self.answers = self.process.stdin, self.process.stdout

    def cycle(self, fatal: int) -> str | None:
        """One cycle, killed at step `fatal`, or what it came to if it ended before."""
        self.orders.write(f"{fatal}\n")
        self.orders.flush()
        said = None
        while (line := self.answers.readline().strip()) not in (str(-signal.SIGKILL), "0"):
            assert line not in ("", "1"), "the cycle failed"
            said = line
        return None if line != "0" else said

    def cycles(self, stride: int) -> str:
        """Cycles that are killed after more and more steps, until one comes to its end; what that says."""
        fatal = stride
        while not (said := self.cycle(fatal)):
            fatal += stride
        assert fatal > stride
        return said


@pytest.fixture
def mortal(net: Network) -> Iterator[Mortal]:
    """An oracle whose cycles are killed."""
    one = Mortal(net)
    yield one
    one.process.kill()
    one.process.wait()


def test_killed_at_any_step_and_run_again_the_outcome_is_the_same(net: Network, mortal: Mortal) -> None:
    net.hear(activity(FIRST - 1), FIRST * DAY)
    net.end_epoch(FIRST)
    assert mortal.cycles(4) == "NO_MEMBERS DONE DONE"
    assert net.sign(0, 1, 2) == [Verdict.SIGNED] * 3
    assert mortal.cycles(5) == "NO_MEMBERS DONE DONE"
    assert net.transactions("oracle") == 2  # one for each role's passes
    net.end_epoch(FIRST + 1)
    assert mortal.cycles(7) == "AWAITING_SIGNATURES DONE DONE"
    assert net.sign(0, 1, 2) == [Verdict.SIGNED] * 3
    assert mortal.cycles(3) == "POSTED DONE DONE"
    assert net.transactions("oracle") == 4  # the report, and the best of both roles
    assert net.contracts.vip_pass.members(Role.CREATOR) == len(CREATORS)
    assert len(list((net.folder / "mailbox").glob("*/proposals/*.json"))) == 2


def test_two_oracles_at_once_make_one_proposal_and_one_post(net: Network) -> None:
    net.with_members()
    net.end_epoch(FIRST + 1)
    results: list[Result | BaseException] = []

    def both() -> None:
        def work(name: str) -> None:
            try:
                results.append(net.oracle(name).run())
            except BaseException as error:
                results.append(error)

        threads = [Thread(target=work, args=(name,)) for name in ("oracle", "other oracle")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    both()
    assert [one.outcome for one in results if isinstance(one, Result)] == [Outcome.AWAITING_SIGNATURES] * 2, results
    assert net.sign(0, 1, 2) == [Verdict.SIGNED] * 3
    results.clear()
    both()
    assert [one.outcome for one in results if isinstance(one, Result)] == [Outcome.POSTED] * 2, results
    assert len(net.contracts.registry.events(net.deployment.first_block, "Submitted")) == 1
    assert len(list((net.folder / "mailbox").glob("*/proposals/*.json"))) == 2


# ------------------------------------------------------------------------------------------------------ passes


def test_passes_are_issued_within_the_gas_budget_and_the_rest_in_the_next_epoch(net: Network) -> None:
    net = net.changed(policy=policy(gas_budget="480_000"))  # seven passes in a batch, and not two batches
    crowd = [address(f"crowd {i}") for i in range(12)]
    net.hear(activity(FIRST - 1, crowd, []), FIRST * DAY)
    net.end_epoch(FIRST)
    oracle = net.oracle()
    oracle.run()
    assert net.sign(0, 1, 2) == [Verdict.SIGNED] * 3
    result = oracle.run()
    assert (result.issuing, result.passes_left) == (Issuing.BUDGET, 5)
    assert (net.oracle().run().issuing, net.transactions("oracle")) == (Issuing.BUDGET, 1)
    net.end_epoch(FIRST + 1)
    result = net.oracle().run()
    assert (result.issuing, result.passes_left) == (Issuing.DONE, 0)
    assert net.contracts.vip_pass.members(Role.CREATOR) == len(crowd)
