"""What oracle and attestor show of themselves, beside what every service does. docs/operating.md says what to do about each."""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge

from pictor.oracle.attest import Attestation, Verdict
from pictor.oracle.cycle import Issuing, Outcome, Result, Syncing
from pictor.oracle.view import View
from pictor.units import Address


class _Metrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._finalised = self.gauge("pictor_finalized_timestamp_seconds", "The time of the newest finalised block.")
        self._ledger = self.gauge("pictor_ledger_position", "Entries of the ledger.")

    def gauge(self, name: str, text: str, labels: Sequence[str] = ()) -> Gauge:
        return Gauge(name, text, labels, registry=self._registry)

    def counter(self, name: str, text: str, label: str, values: Sequence[str]) -> Counter:
        counter = Counter(name, text, [label], registry=self._registry)
        for value in values:
            counter.labels(value)
        return counter

    def _see(self, view: View) -> None:
        self._finalised.set(view.chain.block("finalized").timestamp)
        self._ledger.set(view.ledger.size())


class OracleMetrics(_Metrics):
    """Of an oracle."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)
        self._cycles = self.counter("pictor_cycles", "Cycles, by what became of the report.", "outcome", [one.name for one in Outcome])
        self._closed = self.gauge("pictor_closed_epoch", "The newest epoch that is closed.")
        self._posted = self.gauge("pictor_posted_epoch", "The last epoch that was posted, void or not.")
        self._active = self.gauge("pictor_active_report_timestamp_seconds", "When the active report was submitted; 0: there is none.")
        self._held = self.gauge("pictor_held", "1 for each bound that holds the newest epoch's report back.", ["bound"])
        self._missing = self.gauge("pictor_missing_signature", "1 for each attestor who has not signed the newest report.", ["signer"])
        self._passes = self.gauge("pictor_passes_left", "Passes that are attested and not issued.")
        self._standings = self.gauge("pictor_standings_to_sync", "Standings that belong into storage and are not there.")
        self._paused = self.gauge("pictor_paused", "1 if a contract that is needed is paused.")
        self._balance = self.gauge("pictor_balance_ether", "What the paying account has.")

    def see(self, result: Result, view: View, payer: Address | None) -> None:
        """Takes in what a cycle came to, and how the chain is then."""
        self._see(view)
        self._cycles.labels(result.outcome.name).inc()
        registry = view.contracts().registry
        active = registry.active_report()
        self._closed.set(result.epoch or 0)
        self._posted.set(registry.last_epoch())
        self._active.set(active.submitted_at if active else 0)
        self._held.clear()
        for detail in result.details if result.outcome is Outcome.HELD else ():
            self._held.labels(detail.partition(":")[0]).set(1)
        self._missing.clear()
        for signer in result.missing:
            self._missing.labels(signer).set(1)
        self._passes.set(result.passes_left)
        self._standings.set(result.to_sync)
        self._paused.set(result.outcome is Outcome.PAUSED or result.issuing is Issuing.PAUSED or result.syncing is Syncing.PAUSED)
        if payer is not None:
            self._balance.set(view.chain.balance(payer) / 10**18)


class AttestorMetrics(_Metrics):
    """Of an attestor."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)
        self._verdicts = self.counter(
            "pictor_verdicts", "Looks at the newest proposal, by verdict.", "verdict", [one.name for one in Verdict]
        )
        self._refused = self.gauge("pictor_refused_epoch", "The newest epoch whose proposal was refused.")
        self._signed = self.gauge("pictor_signed_epoch", "The newest epoch whose proposal is signed.")

    def see(self, said: Attestation, view: View) -> None:
        """Takes in a verdict."""
        self._see(view)
        self._verdicts.labels(said.verdict.name).inc()
        if said.verdict is Verdict.REFUSED and said.epoch:
            self._refused.set(said.epoch)
        if said.verdict in (Verdict.SIGNED, Verdict.SIGNED_ALREADY) and said.epoch:
            self._signed.set(said.epoch)
