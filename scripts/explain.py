"""`ape run explain`: how an account's score came to be, and what is still missing for a pass."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from scripts._epoch import choose, epoch_options, failures

if TYPE_CHECKING:
    from pictor.policy import Policy
    from pictor.scoring.explain import Explanation, Progress, Standing


@click.command(name="explain", short_help="Tell how an account's score came to be")
@click.argument("account")
@click.option("--ledger", "url", metavar="DIR", help="Folder or fsspec URL of the ledger.")
@click.option("--epoch", type=click.IntRange(min=1), help="Its number: it ends EPOCH × epoch_length after 1970.")
@click.option("--holders", type=click.Path(path_type=Path), metavar="FILE", help="CSV account,role,issued_at of the passes.")
@click.option("--archive", type=click.Path(path_type=Path, exists=True, file_okay=False), metavar="DIR", help="Or the archive of an epoch.")
@epoch_options
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON (micro-points, micro-USDT, minutes).")
def cli(
    account: str, url: str | None, epoch: int | None, holders: Path | None, archive: Path | None, policy_file: Path, cut: str | None,
    blocks: dict[int, int], rollups: Path | None, engine: str, as_json: bool,
) -> None:  # fmt: skip
    """Tell how ACCOUNT's score came to be, criterion by criterion, its rank and its distance to the line of those who are prioritised, and
    what is still missing for a pass.

    Give --ledger, --epoch and --holders, or --archive (which knows holders only). Exit code 0: told. 1: bad input. 2: wrong use. 3:
    something could not be read.
    """
    from pictor.policy import load_policies
    from pictor.scoring.explain import explain, explain_archive
    from pictor.units import epoch_end, parse_address

    with failures():
        address = parse_address(account)
        if archive:
            import pyarrow.parquet as pq

            epoch = int(json.loads((archive / "report.json").read_text())["epoch"])
            policy = load_policies(archive / "policy.toml").at(epoch)
            totals, standings = pq.read_table(archive / "inputs.parquet"), pq.read_table(archive / "standings.parquet")
            told = explain_archive(address, epoch, epoch_end(epoch, policy.epoch_length), totals, standings, policy)
        elif url and epoch and holders:
            chosen = choose(url, policy_file, epoch, holders, cut, blocks, rollups)
            policy = chosen.policy
            told = explain(address, chosen.rollups, policy, epoch, chosen.holders, chosen.cut, engine)
        else:
            raise click.UsageError("give --ledger, --epoch and --holders, or --archive")
    click.echo(json.dumps(asdict(told)) if as_json else "\n".join(_lines(told, policy)))


def _lines(told: Explanation, policy: Policy) -> list[str]:
    from pictor.units import to_checksum

    end = datetime.fromtimestamp(told.end, UTC)
    lines = [f"{to_checksum(told.account)} in epoch {told.epoch}, which ended {end:%Y-%m-%d %H:%M} UTC"]
    if told.moved_to:
        return [*lines, f"It is now {to_checksum(told.moved_to)}: all its activity counts there."]
    if told.never:
        return [*lines, "It is one of the accounts that never become members."]
    if told.moved_from:
        lines.append(f"What {', '.join(to_checksum(one) for one in told.moved_from)} did counts as its own.")
    for standing in told.standings:
        lines += ["", *_standing(standing, policy)]
    held = {standing.role for standing in told.standings}
    for progress in told.progress:
        if progress.role not in held:
            lines += ["", *_progress(progress)]
    return lines if len(lines) > 1 else [*lines, "It has no standing in this archive."]


def _standing(standing: Standing, policy: Policy) -> list[str]:
    counts, days = standing.counts, policy.worker.window // 86_400
    said = {
        "spending": f"{_micro(counts['recharged'])} USDT of paid recharges, net of refunds"
        + (", this month" if policy.creator.spending_window == "month" else ""),
        "completed_jobs": f"{counts['frames']:,} frames rendered successfully",
        "average_uptime": f"{_hours(counts['online_minutes'])} h online in the last {days} days",
        "job_completion": f"{counts['completed']:,} frames completed, {counts['failed']:,} jobs failed",
        "gpu_performance": f"{_micro(counts['gpu_minutes'] // 60)} h online, each times the GPU's factor",
        "pass": "held",
    }
    of_role = ("spending", "completed_jobs") if standing.role == 1 else ("average_uptime", "job_completion", "gpu_performance")
    lines = [f"{standing.role.name.capitalize()}: rank {standing.rank:,} of {standing.members:,}, {_line(standing)}"]
    lines += [f"  {name.replace('_', ' '):<16} {_micro(standing.points[name]):>16}  {said[name]}" for name in (*of_role, "pass")]
    lines.append(f"  {'score':<16} {_micro(standing.score):>16}")
    if counts["self_dealt"]:
        lines.append(f"  {counts['self_dealt']:,} frames had it as creator and worker: they count for neither")
    return lines


def _line(standing: Standing) -> str:
    ranks = "rank 1 is" if standing.line == 1 else f"ranks 1 to {standing.line:,} are"
    if standing.prioritized:
        ahead = "" if standing.distance is None else f"; {_micro(standing.distance)} points ahead of rank {standing.line + 1:,}"
        return f"prioritised ({ranks}{ahead})"
    behind = "" if standing.distance is None else f"; {_micro(-standing.distance)} points behind rank {standing.line:,}"
    return f"not prioritised ({ranks}{behind})"


def _progress(progress: Progress) -> list[str]:
    have, of = progress.have, progress.of
    if progress.role == 1:
        counted = [
            f"{_micro(have[name])} of {_micro(of[name])} USDT {word}" for name, word in (("recharged", "recharged"), ("spent", "spent"))
        ]
    else:
        counted = [
            f"{_hours(have['online'])} of {_hours(of['online'])} h",
            f"longest gap {_hours(have['longest_gap'])} h (at most {_hours(of['longest_gap'])} h)",
        ]
    state = "meets the conditions for a pass" if progress.eligible else "no pass yet"
    return [f"{progress.role.name.capitalize()}: {state}", f"  {'; '.join(counted)}"]


def _hours(minutes: int) -> str:
    """Whole hours, rounded down; with the minutes where there are any."""
    return f"{minutes // 60:,}" if minutes % 60 == 0 else f"{minutes // 60:,}:{minutes % 60:02}"


def _micro(value: int) -> str:
    from pictor.units import format_micro

    return format_micro(value)
