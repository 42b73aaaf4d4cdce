"""`ape run attest`: recompute what the oracle proposes, and sign it if it is the same."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
from ape.api import AccountAPI
from ape.cli import account_option

from scripts._oracle import EXIT_OPERATOR, EXIT_WAITING, ApeMessageSigner, OracleCommand, party_options, service_options, view_of

if TYPE_CHECKING:
    from pictor.oracle.attest import Attestor
    from pictor.oracle.view import View


@click.command(cls=OracleCommand, short_help="Recompute an epoch and sign it")
@account_option()
@click.option("--source", metavar="DIR", help="The operator's ledger, that --ledger mirrors. Without it, somebody else must mirror.")
@party_options
@click.option("--watch", is_flag=True, help="Go on until SIGTERM: an attestor's whole job.")
@service_options
@click.option("--json", "as_json", is_flag=True, help="Print the verdict as a line of JSON.")
def cli(
    account: AccountAPI,
    source: str | None,
    ledger_url: str,
    mailbox_url: str,
    archives: str,
    state: Path,
    policy_file: Path,
    source_networks: tuple[str, ...],
    fallback_network: str | None,
    folder: Path,
    watch: bool,
    every: float,
    listen: str | None,
    log: str,
    as_json: bool,
) -> None:
    """Recompute the newest proposal from an own mirror of the ledger and an own node, say what differs, and sign if nothing does.

    Exit code 0: signed, or nothing to sign. 1: it could not be done. 2: wrong use. 3: refused, or this account is no attestor.
    4: the epoch is not closed yet as this attestor sees it.
    """
    from pictor.activity.ledger import Ledger
    from pictor.oracle.attest import Attestation, Attestor, Held, Verdict
    from pictor.oracle.guard import Guard
    from pictor.oracle.mailbox import Mailbox

    view = view_of(ledger_url, state, policy_file, source_networks, fallback_network, folder, create=source is not None)
    attestor = Attestor(
        view,
        Mailbox.open(mailbox_url, view.registry),
        archives,
        Guard(state / "guard"),
        ApeMessageSigner(account, unattended=watch),
        Held(state / "held.json"),
        Ledger.open(source) if source else None,
    )

    def tell(said: Attestation) -> None:
        if as_json:
            click.echo(json.dumps({"verdict": said.verdict.name, "epoch": said.epoch, "reasons": said.reasons}))
            return
        click.echo(f"{'' if said.epoch is None else f'epoch {said.epoch}: '}{said.verdict.value}")
        for reason in said.reasons:
            click.echo(f"  {reason}")

    if watch:
        _watch(attestor, view, every, listen, log)
        return
    said = attestor.attend()
    tell(said)
    bad = {Verdict.REFUSED: EXIT_OPERATOR, Verdict.NO_SIGNER: EXIT_OPERATOR, Verdict.NOT_CLOSED: EXIT_WAITING}
    sys.exit(bad.get(said.verdict, 0))


def _watch(attestor: Attestor, view: View, every: float, listen: str | None, log: str) -> None:
    """The service."""
    import structlog

    from pictor.oracle.attest import Attestation, Verdict
    from pictor.oracle.metrics import AttestorMetrics
    from pictor.oracle.service import Health, listening, log_to, serve

    log_to(as_json=log == "json")
    health: Health[Attestation] = Health()
    metrics = AttestorMetrics(health.registry)

    def work() -> Attestation:
        said = attestor.attend()
        metrics.see(said, view)
        return said

    def tell(said: Attestation) -> None:
        about = {"epoch": said.epoch, "verdict": said.verdict.name} | ({"reasons": said.reasons} if said.reasons else {})
        logger = structlog.get_logger()
        (logger.error if said.verdict in (Verdict.REFUSED, Verdict.NO_SIGNER) else logger.info)(said.verdict.value, **about)

    with listening(listen, health):
        serve(work, tell, every, view.folder, health)
