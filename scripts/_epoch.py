"""What `score` and `explain` share: the options that name an epoch of a ledger, and how they are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pictor.policy import DEFAULT_PATH

if TYPE_CHECKING:
    import pyarrow as pa

    from pictor.activity.rollups import Cut, Rollups
    from pictor.policy import Policy

Command = TypeVar("Command", bound=Callable[..., Any])


def blocks(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[int, int]:
    """`CHAIN:N`, as often as there are chains."""
    found = {}
    for value in values:
        chain, _colon, block = value.partition(":")
        if not (chain.isascii() and chain.isdigit() and block.isascii() and block.isdigit()):
            raise click.BadParameter(f"{value!r} is not CHAIN:N")
        found[int(chain)] = int(block)
    return found


_OPTIONS = (
    click.option("--policy", "policy_file", default=DEFAULT_PATH, type=click.Path(path_type=Path), help="The rules."),
    click.option("--cut", metavar="POSITION", help="Count the ledger up to here (NUMBER or NUMBER:HASH) instead of to its head."),
    click.option(
        "--block", "blocks", multiple=True, callback=blocks, metavar="CHAIN:N",
        help="Count a chain's recharges up to this block; with one chain named, only those that are named.",
    ),
    click.option("--rollups", type=click.Path(path_type=Path), metavar="DIR",
        help="Folder of the rollups.  [default: in the ledger's cache]"),
    click.option("--engine", default="duckdb", show_default=True, metavar="NAME", help="duckdb, sail, or sc://HOST:PORT (Spark Connect)."),
)  # fmt: skip


def epoch_options(command: Command) -> Command:
    """Add them to a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@dataclass(frozen=True)
class Chosen:
    """One epoch of a ledger, ready to be scored."""

    rollups: Rollups
    policy: Policy
    holders: pa.Table
    cut: Cut


def choose(
    url: str, policy_file: Path, epoch: int, holders: Path, cut: str | None, blocks: dict[int, int], rollups_folder: Path | None
) -> Chosen:
    """Read what the options name, and bring the rollups up to the cut. Raises the errors that `failures` tells."""
    from pictor.activity.ledger import Ledger
    from pictor.activity.recharges import RechargeLog
    from pictor.activity.rollups import Cut, Rollups
    from pictor.policy import load_policies
    from pictor.scoring.files import read_holders

    policy = load_policies(policy_file).at(epoch)
    passes = read_holders(holders)
    ledger = Ledger.open(url)
    recharges = RechargeLog.open(ledger.storage.folder / "recharges") if ledger.storage.folder else None
    rollups = Rollups.open(ledger, rollups_folder, recharges)
    if recharges and (unread := [chain for chain in blocks if chain not in recharges.chains() or recharges.head(chain) < blocks[chain]]):
        raise click.UsageError(f"--block: the recharges of chain {unread[0]} are not read up to block {blocks[unread[0]]}")
    position = (ledger.locate(cut) if cut else ledger.head()).number
    heads = {chain: recharges.head(chain) for chain in recharges.chains()} if recharges else {}
    chosen = Cut(position, blocks or heads)
    rollups.update(Cut(max(position, rollups.cut.position), chosen.blocks))
    return Chosen(rollups, policy, passes, chosen)


@contextmanager
def failures() -> Iterator[None]:
    """One clear line, and the exit code: 1 for bad input, 3 for what could not be read or written."""
    from pictor.activity.ledger import LedgerError
    from pictor.activity.recharges import RechargeLogError
    from pictor.activity.rollups import RollupsError
    from pictor.policy import PolicyError
    from pictor.scoring import EngineError, HoldersError
    from pictor.units import UnitError

    try:
        yield
    except (LedgerError, RollupsError, RechargeLogError, EngineError, OSError) as error:
        failure = click.ClickException(str(error))
        failure.exit_code = 3
        raise failure from None
    except (PolicyError, HoldersError, UnitError) as error:
        raise click.ClickException(str(error)) from None
