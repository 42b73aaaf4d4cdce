"""`ape run simulate`: write the activity of a simulated network, ready to be ingested and scored."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import get_args

import click

from pictor.activity.simulate import DAY, Format, Network, Simulated, SimulationError, simulate


def _utc_date(_: click.Context, __: click.Parameter, text: str | None) -> date:
    try:
        return date.fromisoformat(text) if text else datetime.now(UTC).date()
    except ValueError as error:
        raise click.ClickException(f"--end: {text!r} is no date like 2026-06-01") from error


@click.command(name="simulate", short_help="Write the activity of a simulated network")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=Path("out/network"), show_default=True, help="A new folder."
)
@click.option("--members", type=int, default=1_000, show_default=True, help="Accounts in all, 100 to 1000000.")
@click.option("--days", type=int, default=45, show_default=True, help="Simulated days.")
@click.option("--end", callback=_utc_date, metavar="DATE", help="The UTC midnight at which they end; today's, if not given.")
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed and options give the same rows.")
@click.option("--daily", type=int, default=1, show_default=True, help="How many of the last days get a folder of their own.")
@click.option("--on-chain", type=int, default=0, show_default=True, help="Percent of the creators whose recharges go to transfers.csv.")
@click.option("--format", "form", type=click.Choice(get_args(Format)), default="parquet", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print what was written as JSON.")
def cli(out: Path, members: int, days: int, end: date, seed: int, daily: int, on_chain: int, form: Format, as_json: bool) -> None:
    """Write the activity of a simulated network below OUT: all it did before the last days, what it hands in on each of these, and who
    holds a pass. It has creators and workers of many habits, outages, failing GPUs, refunds, credits, wash traders, lost wallets, and
    feeds that repeat themselves, come late or are typed wrongly."""
    try:
        network = Network(members, end, seed=seed, days=days, daily=daily, on_chain=on_chain, format=form)
        with click.progressbar(length=days + 1, label="simulating", file=click.get_text_stream("stderr"), item_show_func=str) as bar:
            simulated = simulate(network, out, lambda part: bar.update(1, part))
    except SimulationError as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"cannot write to {out}: {error.strerror or error}") from error
    if as_json:
        click.echo(json.dumps({"out": str(out), "epoch": network.stop // DAY, **simulated.as_dict()}))
    else:
        _tell(network, out, simulated)


def _tell(network: Network, out: Path, simulated: Simulated) -> None:
    click.echo(f"{out}: {network.members:,} members, {simulated.workers:,} of them workers, {network.days} days until {network.end}")
    for table, rows in simulated.rows.items():
        click.echo(f"  {table:<12}{rows:>14,} rows")
    click.echo(f"  {simulated.bytes / 1e6:,.1f} MB, {simulated.holders:,} holders, {simulated.moved:,} lost wallets")
    if network.on_chain:
        click.echo(f"  {simulated.transfers:,} on-chain recharges, written apart in {out / 'transfers.csv'}")
    click.echo("Take it into a ledger, folder by folder, and score the epoch that ends with it:")
    ledger, scores = out.parent / "ledger", out.parent / "score"
    for folder in simulated.folders:
        click.echo(f"  ape run ingest --ledger {ledger} {'--backfill ' if folder == 'history' else ''}{out / folder}")
    click.echo(f"  ape run score --ledger {ledger} --epoch {network.stop // DAY} --holders {out / 'holders.csv'} --out {scores}")
