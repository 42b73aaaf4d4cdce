"""`ape run oracle`: bring epochs from the ledger to the chain."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click
from ape.api import AccountAPI
from ape.cli import account_option

from pictor.units import Address, ether, to_checksum
from scripts._oracle import EXIT_OPERATOR, EXIT_WAITING, OracleCommand, party_options, sender_of, sender_options, service_options, view_of

if TYPE_CHECKING:
    from pictor.oracle.cycle import Cycle, Result
    from pictor.oracle.view import View

json_option = click.option("--json", "as_json", is_flag=True, help="Print the answer as a line of JSON.")
yes_option = click.option("--yes", is_flag=True, help="Publish and send. Without it nothing is, and what would be is told.")


@click.group(name="oracle", short_help="Bring epochs from the ledger to the chain")
def cli() -> None:
    """Bring epochs from the ledger to the chain: scores posted, passes issued, standings synced.

    A cycle can be killed at any time and run again, and several oracles can run at once.
    """


@cli.command(cls=OracleCommand)
@account_option(prompt=None)
@party_options
@sender_options
@yes_option
@click.option("--release", "releases", multiple=True, metavar="BOUND=REASON", help="Let a report that is held go out. Can be repeated.")
@click.option("--wait", type=float, default=0, show_default=True, help="Seconds to wait for closing, signatures and activation.")
@json_option
def once(account: AccountAPI | None, yes: bool, releases: tuple[str, ...], wait: float, as_json: bool, **party: Any) -> None:
    """Run one cycle.

    Exit code 0: all is done, or would be. 1: it could not be done. 2: wrong use. 3: an operator must look. 4: it waits for something.
    """
    cycle = _cycle(account, yes, releases, party)
    until = time.monotonic() + wait
    result = cycle.run()
    while _exit_code(result) == EXIT_WAITING and time.monotonic() < until:
        time.sleep(1)
        result = cycle.run()
    _tell(result, as_json)
    sys.exit(_exit_code(result))


@cli.command(cls=OracleCommand)
@account_option(prompt=None)
@party_options
@sender_options
@yes_option
@service_options
def run(account: AccountAPI | None, yes: bool, every: float, listen: str | None, log: str, **party: Any) -> None:
    """Run cycles until SIGTERM. What a cycle comes to is logged when it is news."""
    from pictor.oracle.metrics import OracleMetrics
    from pictor.oracle.service import Health, listening, log_to, serve

    log_to(as_json=log == "json")
    cycle = _cycle(account, yes, (), party)
    health: Health[Result] = Health()
    metrics = OracleMetrics(health.registry)
    payer = None if account is None else Address(account.address.lower())

    def work() -> Result:
        result = cycle.run()
        metrics.see(result, cycle.view, payer)
        return result

    with listening(listen, health):
        serve(work, _log, every, party["state"], health)


@cli.command(cls=OracleCommand)
@account_option(prompt=None)
@party_options
def check(account: AccountAPI | None, **party: Any) -> None:
    """Check that contracts, policy, ledger, nodes and messages belong together, and show who attests. Exit code 1: they do not."""
    from pictor.oracle.closing import newest_closed
    from pictor.oracle.moved import moved_passes
    from pictor.oracle.quorum import Quorum

    view = _view(party)
    contracts = view.contracts()
    click.echo(f"chain {view.chain.id}, block {contracts.block.number}, finalised {view.chain.block('finalized').number}")
    click.echo(f"ledger at {view.ledger.head()}")
    closing = newest_closed(view, view.now())
    click.echo(f"newest closed epoch: {closing.epoch}" + "".join(f"; the next waits for {point}" for point in closing.waits_for))
    for gateway in (contracts.registry, contracts.vip_pass):
        quorum = Quorum.behind(view.chain, gateway.attestor(), contracts.block)
        click.echo(f"{gateway.NAME}: {quorum.threshold} of {len(quorum.signers)} attest{', paused' if gateway.paused() else ''}")
    for signer in sorted(quorum.signers):
        click.echo(f"  0x{signer.hex()}")
    if account is not None:
        click.echo(f"{account.address} has {ether(view.chain.balance(Address(account.address.lower())))}")
    view.rollups.update()
    for moved in moved_passes(view):
        click.echo(f"{to_checksum(moved.account)} is now {to_checksum(moved.to)}, and still holds a pass of a {moved.role.name.lower()}:")
        click.echo(f"  ape run govern VIPPass revoke {moved.pass_id} 'moved to {to_checksum(moved.to)}' --account GUARDIAN --yes")


def _cycle(account: AccountAPI | None, yes: bool, releases: tuple[str, ...], party: dict[str, Any]) -> Cycle:
    from pictor.oracle.cycle import Cycle
    from pictor.oracle.mailbox import Mailbox
    from pictor.oracle.proposal import Release

    if yes and account is None:
        raise click.UsageError("--yes needs an --account that pays")
    view = _view(party)
    sender = sender_of(view.chain, account, party) if yes and account is not None else None
    released = []
    for text in releases:
        bound, _, reason = text.partition("=")
        if not bound.strip() or not reason.strip():
            raise click.UsageError(f"--release {text}: give BOUND=REASON")
        released.append(Release(bound.strip(), reason.strip()))
    return Cycle(view, Mailbox.open(party["mailbox_url"], view.registry), party["archives"], sender, released)


def _view(party: dict[str, Any]) -> View:
    names = ("ledger_url", "state", "policy_file", "source_networks", "fallback_network", "folder")
    return view_of(*(party[name] for name in names), create=False)


def _exit_code(result: Result) -> int:
    from pictor.oracle.cycle import Issuing, Outcome, Syncing

    if result.outcome in (Outcome.HELD, Outcome.BAD_PROPOSAL, Outcome.VOID, Outcome.PAUSED):
        return EXIT_OPERATOR
    if result.issuing is Issuing.PAUSED or result.syncing in (Syncing.PAUSED, Syncing.NO_ARCHIVE):
        return EXIT_OPERATOR
    waiting = (Outcome.NOT_CLOSED, Outcome.AWAITING_SIGNATURES, Outcome.AWAITING_ACTIVATION)
    return EXIT_WAITING if result.outcome in waiting else 0


def _log(result: Result) -> None:
    """One line for the report, and one each for passes and standings that are not done."""
    import structlog

    from pictor.oracle.cycle import Issuing, Outcome, Syncing

    log = structlog.get_logger()
    about: dict[str, Any] = {"epoch": result.epoch, "outcome": result.outcome.name}
    about |= {name: value for name, value in (("details", result.details), ("missing", result.missing)) if value}
    needs_operator = _exit_code(result) == EXIT_OPERATOR
    tell = log.error if needs_operator else log.warning if result.outcome is Outcome.AWAITING_SIGNATURES else log.info
    tell(result.outcome.value, **about)
    if result.issuing is not Issuing.DONE:
        log.info(f"passes: {result.issuing.value}", issuing=result.issuing.name, left=result.passes_left)
    if result.syncing is not Syncing.DONE:
        log.info(f"standings: {result.syncing.value}", syncing=result.syncing.name, left=result.to_sync)


def _tell(result: Result, as_json: bool) -> None:
    if as_json:
        names = {name: getattr(result, name).name for name in ("outcome", "issuing", "syncing")}
        click.echo(json.dumps({**asdict(result), **names}))
        return
    click.echo(f"{'' if result.epoch is None else f'epoch {result.epoch}: '}{result.outcome.value}")
    for detail in result.details:
        click.echo(f"  {detail}")
    for signer in result.missing:
        click.echo(f"  not signed by {signer}")
    click.echo(f"passes: {result.issuing.value}" + (f" ({result.passes_left})" if result.passes_left else ""))
    click.echo(f"standings: {result.syncing.value}" + (f" ({result.to_sync})" if result.to_sync else ""))
