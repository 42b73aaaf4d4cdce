"""`ape run ingest`: take files of activity into the ledger."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from pictor.policy import DEFAULT_PATH, PolicyError
from pictor.units import UnitError

if TYPE_CHECKING:
    from pictor.activity.ingest import Summary

TABLES = ("recharges", "spends", "frames", "heartbeats", "gpus", "links")


@click.command(name="ingest", short_help="Take files of activity into the ledger")
@click.option("--ledger", "url", required=True, metavar="DIR", help="Folder or fsspec URL of the ledger; made if there is none yet.")
@click.option("--source", default="manual", show_default=True, metavar="NAME", help="Who sends this.")
@click.option("--table", "table_name", type=click.Choice(TABLES), help="What the files hold, if their names do not begin with it.")
@click.option("--backfill", is_flag=True, help="These are old rows, declared so: none is too late, and all history is searched for them.")
@click.option(
    "--complete-until", "complete", metavar="TIME", help="The source has now sent everything before TIME (Unix seconds or ISO 8601)."
)
@click.option("--policy", "policy_file", default=DEFAULT_PATH, type=click.Path(path_type=Path), help="Where the late limit is from.")
@click.option("--json", "as_json", is_flag=True, help="Print what became of the rows as JSON.")
@click.argument("files", nargs=-1, metavar="[FILE]...")
def cli(
    url: str,
    source: str,
    table_name: str | None,
    backfill: bool,
    complete: str | None,
    policy_file: Path,
    as_json: bool,
    files: tuple[str, ...],
) -> None:
    """Check FILEs (Parquet, CSV or NDJSON; a folder of them; - for standard input) and append their rows to the ledger.

    A file's table is told by the start of its name, or by --table. Rows that cannot be taken are kept aside with reasons, and
    stop no other. Without FILE, standard input is read if --table is given; else --complete-until is all that is said.

    Exit code 0: every file was taken (the table says which rows were kept aside). 1: a file was left out. 2: wrong use. 3: the ledger
    could not be opened or written to.
    """
    from pictor.activity.ledger import LedgerError  # here: Ape loads every script before it runs one

    if not files and not table_name and not complete:
        raise click.UsageError("nothing to do: give FILEs, or - with --table, or --complete-until")
    if not files and table_name:
        files = ("-",)
    if "-" in files and not table_name:
        raise click.UsageError("standard input needs --table")
    try:
        summary = _ingest(url, source, table_name, backfill, complete, policy_file, files)
    except (UnitError, PolicyError) as error:
        raise click.UsageError(str(error)) from None
    except LedgerError as error:
        failure = click.ClickException(str(error))
        failure.exit_code = 3
        raise failure from None
    click.echo(json.dumps(summary.as_json()) if as_json else _table(summary))
    if summary.left_out:
        sys.exit(1)


def _ingest(
    url: str, source: str, table_name: str | None, backfill: bool, complete: str | None, policy_file: Path, files: tuple[str, ...]
) -> Summary:
    from pictor.activity import intake
    from pictor.activity.ingest import ingest
    from pictor.activity.ledger import Ledger
    from pictor.activity.lines import FileError
    from pictor.activity.schemas import TABLES
    from pictor.policy import load_policies
    from pictor.units import last_ended_epoch, parse_time

    now = int(time.time())
    policies = load_policies(policy_file)
    policy = policies.at(last_ended_epoch(now, policies.epoch_length))
    complete_until = parse_time(complete) if complete else None
    table = TABLES[table_name] if table_name else None
    sources, left_out = [], []
    with TemporaryDirectory() as spool:
        for file in files:
            try:
                if file == "-" and table:
                    sources.append(intake.spooled(click.get_binary_stream("stdin"), table, Path(spool) / "rows"))
                else:
                    found, strange = intake.find(Path(file), table)
                    sources += found
                    left_out += strange
            except FileError as problem:
                left_out.append((file, str(problem)))
        ledger = Ledger.open(url, create=True)
        progress: Any = click.progressbar(length=sum(map(intake.size_of, sources)), label="reading", file=sys.stderr)
        with progress:
            return ingest(
                ledger,
                sources,
                now=now,
                late_limit=policy.activity.late_limit,
                source=source,
                backfill=backfill,
                complete_until=complete_until,
                left_out=left_out,
                progress=progress.update,
            )


def _table(summary: Summary) -> str:
    lines = [f"{'':<12}" + "".join(f"{name:>14}" for name in ("taken", "known already", "conflicts", "late", "quarantined"))]
    for name, counts in summary.tables.items():
        row = (counts.taken, counts.known, counts.conflicts, counts.late, counts.quarantined)
        if any(row):
            lines.append(f"{name:<12}" + "".join(f"{count:>14,}" for count in row))
    lines += [f"left out     {file}: {reason}" for file, reason in summary.left_out]
    lines += [f"conflicts    {file}" for file in summary.conflicts]
    lines += [f"quarantine   {file}" for file in summary.quarantine]
    if summary.complete_until is not None:
        lines.append(f"complete     until {summary.complete_until}")
    elif summary.refused_complete:
        lines.append("complete     not said: a file was left out")
    lines.append(f"ledger       {summary.position}")
    return "\n".join(lines)
