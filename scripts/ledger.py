"""`ape run ledger`: check a whole ledger, or copy one."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click


@click.group(name="ledger", short_help="Check a ledger, or copy one")
def cli() -> None:
    """Check a ledger, or copy one.

    Exit code 0: all is well. 1: the ledger is not what it says. 2: wrong use. 3: it could not be read, or its copy not be written.
    """


@contextmanager
def _failures() -> Iterator[None]:
    from pictor.activity.ledger import BrokenLedgerError, LedgerError

    try:
        yield
    except (LedgerError, OSError) as error:
        failure = click.ClickException(str(error))
        failure.exit_code = 1 if isinstance(error, BrokenLedgerError) else 3
        raise failure from None


@cli.command()
@click.option("--ledger", "url", required=True, metavar="DIR", help="Folder or fsspec URL of the ledger.")
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
def verify(url: str, as_json: bool) -> None:
    """Check chain, hashes, counts and every row of every batch.

    Refs that were used again after they were forgotten are reported; they are no fault.
    """
    from pictor.activity.audit import audit
    from pictor.activity.ledger import Ledger

    with _failures():
        ledger = Ledger.open(url)
        progress: Any = click.progressbar(length=ledger.size(), label="checking", file=sys.stderr)
        with progress:
            found = audit(ledger, progress.update)
    if as_json:
        answer = {"position": str(found.position), "rows": found.rows, "faults": found.faults, "reused_refs": found.reused_refs}
        click.echo(json.dumps(answer))
    else:
        for fault in found.faults:
            click.echo(f"fault      {fault}")
        for table, count in found.reused_refs.items():
            click.echo(f"{table:<10} {count:,} refs were used again after they were forgotten: each use counts as a fact of its own")
        click.echo(
            f"{'broken' if found.faults else 'sound':<10} {found.position.number:,} entries, {found.rows:,} rows, head {found.position}"
        )
    if found.faults:
        sys.exit(1)


@cli.command()
@click.option("--ledger", "url", required=True, metavar="DIR", help="Folder or fsspec URL of the ledger to copy.")
@click.option("--to", "target_url", required=True, metavar="DIR", help="Where the mirror lies; made if there is none yet.")
@click.option("--cut", metavar="POSITION", help="Copy up to here (NUMBER or NUMBER:HASH) instead of the head.")
@click.option("--json", "as_json", is_flag=True, help="Print the mirror's new head as JSON.")
def mirror(url: str, target_url: str, cut: str | None, as_json: bool) -> None:
    """Copy what a ledger has and the mirror lacks. Every entry is checked before it is taken, and a rewritten past is refused."""
    from pictor.activity.ledger import Ledger
    from pictor.activity.mirror import mirror as copy

    with _failures():
        source, target = Ledger.open(url), Ledger.open(target_url, create=True)
        stop = source.locate(cut) if cut else source.head()
        before = target.size()
        progress: Any = click.progressbar(length=max(stop.number - before, 0), label="copying", file=sys.stderr)
        with progress:
            head = copy(source, target, stop, progress.update)
    added = head.number - before
    click.echo(json.dumps({"position": str(head), "added": added}) if as_json else f"{added:,} entries copied, head {head}")
