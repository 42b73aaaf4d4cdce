"""`ape run status`: what the chain alone says of a wallet."""

import json
from pathlib import Path

import click

from pictor.chain import Deployment
from pictor.chain.status import read_status
from pictor.units import Address
from scripts._ape import Account, ChainCommand, connected_chain, deployments_option


@click.command(cls=ChainCommand)
@click.argument("address", type=Account())
@click.option("--json", "as_json", is_flag=True, help="Print JSON: scores in micro-points, times in Unix seconds.")
@deployments_option
def cli(address: Address, as_json: bool, folder: Path) -> None:
    """Passes, standing, epoch and priority of the wallet ADDRESS, all at one block, from the chain and nothing else."""
    chain = connected_chain()
    status = read_status(Deployment.load(folder, chain.id).open(chain), address)
    click.echo(json.dumps(status.as_json(), indent=2) if as_json else "\n".join(status.lines()))
