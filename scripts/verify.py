"""`ape run verify`: check an epoch from the outside."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from pictor.chain import Deployment
from pictor.units import Address, format_micro, to_checksum
from scripts._ape import Account, connected_chain, deployments_option
from scripts._oracle import OracleCommand, sources_of

if TYPE_CHECKING:
    from pictor.epoch.archive import Archive
    from pictor.oracle.verify import Posted, Proven

EXIT_UNREAD = 3  # something could not be read, so nothing is said of the epoch


class VerifyCommand(OracleCommand):
    """What could not be read has an exit code of its own: it is no difference."""

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command."""
        try:
            return super().invoke(ctx)
        except click.UsageError:
            raise
        except click.ClickException as error:
            error.exit_code = EXIT_UNREAD
            raise


@click.command(cls=VerifyCommand, short_help="Check an epoch from the outside")
@click.option("--epoch", type=click.IntRange(min=1), help="Default: that of the active report.")
@click.option("--archive", "url", metavar="URL", default="archives", show_default=True, help="The epoch's archive, or the folder of all.")
@click.option("--ledger", "ledger_url", metavar="DIR", help="A ledger, or a mirror of it: check from the very beginning.")
@click.option("--account", "account", type=Account(), help="Print this member's proof, and have the contract check it.")
@click.option("--source-network", "source_networks", multiple=True, metavar="NETWORK", help="A network of Ape whose recharges count.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@deployments_option
def cli(
    epoch: int | None,
    url: str,
    ledger_url: str | None,
    account: Address | None,
    source_networks: tuple[str, ...],
    as_json: bool,
    folder: Path,
) -> None:
    """Derive an epoch's points, ranks, tree, root and signatures again, and compare them with the chain.

    Exit code 0: all is as the report says. 1: it is not, and the first difference is shown. 2: wrong use. 3: something could not be read.
    """
    from pictor.oracle.verify import DifferenceError, Posted, prove

    chain = connected_chain()
    deployment = Deployment.load(folder, chain.id)
    posted = Posted.find(deployment, chain, epoch)
    checks: list[str] = []
    difference, proven = None, []
    if not as_json:
        click.echo(f"epoch {posted.report.epoch} on chain {chain.id}")
    with TemporaryDirectory(prefix="pictor-verify-") as scratch, posted.archive(url) as archive:
        try:
            for check in _checks(posted, archive, deployment, ledger_url, source_networks, Path(scratch)):
                checks.append(check)
                if not as_json:
                    click.echo(f"  ok  {check}")
            proven = prove(posted, archive, account) if account else []
        except DifferenceError as error:
            difference = str(error)
    if as_json:
        told = {"epoch": posted.report.epoch, "state": posted.life(), "checks": checks, "difference": difference}
        click.echo(json.dumps(told | ({"account": account, "standings": [_as_json(one) for one in proven]} if account else {}), indent=2))
    elif difference:
        click.echo(f"  DIFFERS  {difference}")
    elif account:
        click.echo("\n".join(_lines(account, proven)))
    sys.exit(1 if difference else 0)


def _checks(
    posted: Posted, archive: Archive, deployment: Deployment, ledger_url: str | None, networks: tuple[str, ...], scratch: Path
) -> Iterator[str]:
    from pictor.activity.ledger import Ledger
    from pictor.oracle.verify import verify, verify_from_ledger
    from pictor.oracle.view import View

    yield from verify(posted, archive, deployment, scratch)
    if ledger_url is not None:
        chain = posted.registry.chain
        view = View.open(deployment, chain, sources_of(chain, networks), Ledger.open(ledger_url), archive.policy_text(), scratch)
        yield from verify_from_ledger(archive, view)


def _lines(account: Address, proven: list[Proven]) -> Iterator[str]:
    if not proven:
        yield f"{to_checksum(account)} has no standing in this report"
    for one in proven:
        priority = "prioritised" if one.prioritized else "not prioritised"
        place = f"rank {one.standing.rank}, score {format_micro(one.standing.score)}, {priority}"
        yield f"{to_checksum(account)}, {one.role.name.lower()}: {place}"
        yield f"  ({one.standing.pass_id}, {one.standing.score}, {one.standing.rank})"
        yield f"  [{', '.join(f'0x{node.hex()}' for node in one.proof)}]"
        yield f"  {one.said}"


def _as_json(one: Proven) -> dict[str, Any]:
    standing = {"passId": str(one.standing.pass_id), "score": one.standing.score, "rank": one.standing.rank}
    proof = [f"0x{node.hex()}" for node in one.proof]
    return {"role": one.role.name.lower(), "standing": standing, "proof": proof, "prioritized": one.prioritized, "contract": one.said}
