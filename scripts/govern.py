"""`ape run govern`: use the powers of governors, guardians and ADMIN, from an account of Ape or by a wallet of several owners."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
from ape.api import AccountAPI
from ape.cli import account_option

from pictor.chain import Call, Contracts, Deployment, send
from pictor.chain.governance import Outcome, cancellation, holders, next_step, require_admin_left, scheduled, written_call
from pictor.units import Address, to_checksum
from scripts._ape import Account, ApeSigner, ChainCommand, connected_chain, deployments_option


@click.command(cls=ChainCommand)
@click.argument("contract", required=False)
@click.argument("function", required=False)
@click.argument("arguments", nargs=-1)
@account_option(prompt=None)
@click.option("--from", "sender", type=Account(), help="Print what this address has to send, for a Safe, instead of sending anything.")
@click.option("--cancel", "scheduler", type=Account(), help="Take back the call that this address has scheduled.")
@click.option("--yes", is_flag=True, help="Send. Without it, say what would be sent.")
@deployments_option
def cli(
    contract: str | None,
    function: str | None,
    arguments: tuple[str, ...],
    account: AccountAPI | None,
    sender: Address | None,
    scheduler: Address | None,
    yes: bool,
    folder: Path,
) -> None:
    """Do the next step towards a call: ape run govern VIPPass setIssueLimit 2000 --account ALIAS

    Who has a delay schedules the call with this command, and when the delay is over calls with the same command; who has none calls
    at once. Lists are JSON, bytes hex, roles ADMIN, GOVERNOR, GUARDIAN. Without a CONTRACT: who has which power, and what is scheduled.
    """
    chain = connected_chain()
    deployment = Deployment.load(folder, chain.id)
    contracts = deployment.open(chain)
    if contract is None:
        _list(contracts, deployment.first_block)
        return
    if contract not in contracts.by_name() or function is None:
        raise click.UsageError(f"name one of {', '.join(contracts.by_name())} and a function of it")
    if (account is None) == (sender is None):
        raise click.UsageError("name an --account that sends, or an address with --from")
    caller = sender or Address(account.address.lower())  # type: ignore[union-attr]
    call = written_call(contracts.by_name()[contract], function, list(arguments))
    if scheduler is not None:
        todo = cancellation(contracts, caller, scheduler, call)
    else:
        require_admin_left(contracts, deployment.first_block, call)
        step = next_step(contracts, caller, call)
        if step.outcome is Outcome.WAIT or step.call is None:
            click.echo(f"{call.what} is scheduled, and can be called from {_time(step.ready_at)} on.")
            return
        todo = step.call
    if account is None:
        _show(todo)
    elif not yes:
        click.echo(f"Would send: {todo.what}. Nothing was sent; add --yes to send.")
    else:
        receipt = send(chain, ApeSigner(account), todo)
        click.echo(f"{todo.what}: 0x{receipt['transactionHash'].hex()} in block {receipt['blockNumber']}")


def _list(contracts: Contracts, first_block: int) -> None:
    for holder in holders(contracts, first_block):
        after = f"after {timedelta(seconds=holder.delay)}" if holder.delay else "at once"
        click.echo(f"{holder.power.name:8}  {to_checksum(holder.account)}, {after}")
    if contracts.committee:
        signers = sorted(contracts.committee.signers())
        click.echo(f"ATTESTOR  {contracts.committee.threshold()} of {len(signers)}: {', '.join(_signer(one) for one in signers)}")
    operations = scheduled(contracts, first_block)
    for one in operations:
        when = f"can be called from {_time(one.ready_at)} on" if one.ready_at else "was not called in time"
        click.echo(f"{one.what}, scheduled by {to_checksum(one.caller)}: {when}")
    if not operations:
        click.echo("Nothing is scheduled.")


def _show(call: Call) -> None:
    """A transaction as a wallet's web page takes it."""
    assert call.to is not None
    click.echo(f"{call.what}\nto     {to_checksum(call.to)}\nvalue  0\ndata   0x{call.data.hex()}")


def _signer(signer: bytes) -> str:
    """An account, or the key behind a verifier."""
    account = to_checksum(Address(f"0x{signer[:20].hex()}"))
    return account if len(signer) == 20 else f"{account} with key 0x{signer[20:].hex()}"


def _time(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"
