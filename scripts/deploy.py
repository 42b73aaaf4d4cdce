"""`ape run deploy`: put the contracts on a chain."""

from pathlib import Path

import click
from ape.api import AccountAPI
from ape.cli import account_option
from web3.types import TxReceipt

from pictor.chain import Deployment
from pictor.chain.deploy import DEPLOYED, Deployer, Rehearsal, load_config
from pictor.units import Address, ether, gwei, to_checksum
from scripts._ape import ApeSigner, ChainCommand, artifacts, connected_chain, deployments_option
from scripts._publish import Publisher


@click.command(cls=ChainCommand)
@account_option()
@click.option("--config", "config_file", type=click.Path(path_type=Path), required=True, help="What to deploy; see deploy.example.toml.")
@deployments_option
@click.option("--yes", is_flag=True, help="Send. Without it everything is rehearsed on a fork of the chain, and nothing sent.")
@click.option("--publish", is_flag=True, help="Publish the sources on the network's block explorer afterwards.")
def cli(account: AccountAPI, config_file: Path, folder: Path, yes: bool, publish: bool) -> None:
    """Deploy the contracts, or go on with a deployment that was interrupted.

    The account pays, and has no power any more when all is done. Everything is read back from the chain before
    deployments/<chainId>.json is written.
    """
    config = load_config(config_file)
    publisher = Publisher() if publish else None
    sending = yes and not Deployment.path(folder, config.chain_id).exists()
    if sending:
        click.echo("Compiling everything anew, half a minute: what is sent comes from the sources as they are.")
    deployer = Deployer(connected_chain(), config, artifacts(DEPLOYED, anew=sending), Address(account.address.lower()), folder)
    deployment = deployer.recorded()
    if deployment:
        click.echo(f"Deployed already, see {Deployment.path(folder, config.chain_id)}.")
    else:
        rehearsal = deployer.rehearse()
        _show(rehearsal, account)
        rehearsal.require_funds(deployer.deployer)
        if not yes:
            click.echo("Nothing was sent. Add --yes to send.")
            return
        deployment = deployer.run(ApeSigner(account), rehearsal, _report)
        click.echo(f"Deployed and read back; on record in {Deployment.path(folder, config.chain_id)}.")
    if publisher:
        for name, contract in deployment.contracts.items():
            publisher.publish(name, contract.address)
            click.echo(f"Published {name}.")


def _show(rehearsal: Rehearsal, account: AccountAPI) -> None:
    for step in rehearsal.steps:
        where = f"  {to_checksum(step.address)}" if step.address else ""
        click.echo(f"{'sent already' if step.done else f'{step.gas:,} gas':>15}  {step.what}{where}")
    most = f"at most {ether(rehearsal.most)} at {gwei(rehearsal.fees.most)}"
    click.echo(f"{rehearsal.gas:>11,} gas  in all, {most}; {account.address} has {ether(rehearsal.balance)}")


def _report(step: str, receipt: TxReceipt) -> None:
    click.echo(f"{step}: 0x{receipt['transactionHash'].hex()} in block {receipt['blockNumber']}")
