"""The oracle's cycle on a chain of its own, with attestors: from activity to posted, issued and synced."""

from pathlib import Path

from pictor.oracle.attest import Verdict
from pictor.oracle.cycle import Issuing, Outcome, Syncing
from pictor.units import DAY, Role
from tests.e2e.oracles import CREATORS, FIRST, WORKERS, activity, network


def test_two_epochs_from_first_activity_to_prioritised_members(tmp_path: Path) -> None:
    with network(tmp_path) as net:
        net.hear(activity(FIRST - 1), FIRST * DAY)
        oracle, attestors = net.oracle(), [net.attestor(i) for i in range(3)]
        assert oracle.run().outcome is Outcome.NOT_CLOSED
        net.end_epoch(FIRST)
        result = oracle.run()
        assert result.outcome is Outcome.NO_MEMBERS, result
        for attestor in attestors:
            said = attestor.attend()
            assert said.verdict is Verdict.SIGNED, said
        result = oracle.run()
        assert (result.outcome, result.issuing, result.passes_left) == (Outcome.NO_MEMBERS, Issuing.DONE, 0)
        assert net.contracts.vip_pass.members(Role.CREATOR) == len(CREATORS)
        assert net.contracts.vip_pass.members(Role.WORKER) == len(WORKERS)

        net.end_epoch(FIRST + 1)
        result = oracle.run()
        assert result.outcome is Outcome.AWAITING_SIGNATURES, result.details
        for attestor in attestors:
            said = attestor.attend()
            assert said.verdict is Verdict.SIGNED, said
            assert attestor.attend().verdict is Verdict.SIGNED_ALREADY
        result = oracle.run()
        assert (result.outcome, result.syncing, result.to_sync) == (Outcome.POSTED, Syncing.DONE, 0)
        net.end_epoch(FIRST + 2, complete=False)
        assert net.contracts.registry.is_prioritized(CREATORS[-1], Role.CREATOR)
        assert net.contracts.registry.is_prioritized(WORKERS[-1], Role.WORKER)
        assert not net.contracts.registry.is_prioritized(WORKERS[0], Role.WORKER)
