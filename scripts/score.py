"""`ape run score`: who is eligible and what the standings are in one epoch, with no chain at all."""

from __future__ import annotations

import json
from pathlib import Path

import click

from scripts._epoch import choose, epoch_options, failures


@click.command(name="score", short_help="Score one epoch of a ledger")
@click.option("--ledger", "url", required=True, metavar="DIR", help="Folder or fsspec URL of the ledger.")
@click.option("--epoch", required=True, type=click.IntRange(min=1), help="Its number: it ends EPOCH × epoch_length after 1970.")
@click.option("--holders", required=True, type=click.Path(path_type=Path), metavar="FILE", help="CSV account,role,issued_at of the passes.")
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="Where the two files go.")
@epoch_options
@click.option("--json", "as_json", is_flag=True, help="Print what was written as JSON.")
def cli(
    url: str, epoch: int, holders: Path, out: Path, policy_file: Path, cut: str | None, blocks: dict[int, int],
    rollups: Path | None, engine: str, as_json: bool,
) -> None:  # fmt: skip
    """Write OUT/eligible.csv (all who meet the conditions at the epoch's end) and OUT/standings.csv (points by criterion, score and rank of
    every holder; micro-points).

    Exit code 0: both files are written. 1: the policy or the holders are refused. 2: wrong use. 3: something could not be read or written.
    On an error neither file is changed.
    """
    from pictor.scoring import score_epoch
    from pictor.scoring.files import write_scores

    with failures():
        chosen = choose(url, policy_file, epoch, holders, cut, blocks, rollups)
        scores = score_epoch(chosen.rollups, chosen.policy, epoch, chosen.holders, chosen.cut, engine)
        write_scores(scores, out)
    told = {
        "epoch": epoch,
        "end": scores.end,
        "position": scores.cut.position,
        "blocks": {str(chain): block for chain, block in scores.cut.blocks.items()},
        "policy_hash": chosen.policy.hash().hex(),
        "eligible": scores.eligible.num_rows,
        "standings": scores.standings.num_rows,
        "out": str(out),
    }
    click.echo(
        json.dumps(told)
        if as_json
        else f"epoch {epoch}: {scores.eligible.num_rows:,} eligible, {scores.standings.num_rows:,} standings, in {out} "
        f"(ledger up to {scores.cut.position:,})"
    )
