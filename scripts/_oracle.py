"""What `attest` and `oracle` share: the options that say what a party has, and its view made of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from ape import networks
from ape.api import AccountAPI

from pictor.chain import Chain, ChainError, Deployment
from pictor.policy import DEFAULT_PATH
from scripts._ape import ApeSigner, ChainCommand, connected_chain, deployments_option, node_of

if TYPE_CHECKING:
    from eth_account.messages import SignableMessage

    from pictor.chain.sender import JournalledSender
    from pictor.oracle.view import View

EXIT_OPERATOR = 3  # somebody must look at it
EXIT_WAITING = 4  # nothing is wrong, and it is not done yet


class OracleCommand(ChainCommand):
    """A command of a party. What goes wrong is told in one line, with exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command."""
        from pictor.oracle.view import FAILURES

        try:
            return super().invoke(ctx)
        except FAILURES as error:
            lines = str(error).strip().splitlines() or [type(error).__name__]
            raise click.ClickException(lines[0]) from error


def party_options(command: Any) -> Any:
    """The options that say what a party has."""
    file = click.Path(path_type=Path, dir_okay=False)
    for option in reversed(
        (
            click.option("--ledger", "ledger_url", required=True, metavar="DIR", help="Folder or fsspec URL of the ledger."),
            click.option("--mailbox", "mailbox_url", required=True, metavar="DIR", help="Where oracle and attestors leave their files."),
            click.option("--archives", required=True, metavar="DIR", help="Where the epochs' archives lie."),
            click.option(
                "--state",
                type=click.Path(path_type=Path, file_okay=False),
                required=True,
                help="A folder of this party's own, to be kept: guard, rollups, what was read from chains.",
            ),
            click.option("--policy", "policy_file", type=file, default=DEFAULT_PATH, help="The rules."),
            click.option(
                "--source-network",
                "source_networks",
                multiple=True,
                metavar="NETWORK",
                help="A network of Ape whose recharges the policy counts, if it is not the one of the contracts. Can be repeated.",
            ),
            click.option(
                "--fallback-network",
                metavar="NETWORK",
                help="A second node of the same chain, as a network of Ape: it answers while that of --network is ill.",
            ),
            deployments_option,
        )
    ):
        command = option(command)
    return command


def sender_options(command: Any) -> Any:
    """The options that say how transactions are sent."""
    for option in reversed(
        (
            click.option(
                "--max-fee",
                type=click.FloatRange(min=0, min_open=True),
                default=100,
                show_default=True,
                metavar="GWEI",
                help="The most that a unit of gas may cost. Where it costs more, nothing is sent until it costs less.",
            ),
            click.option(
                "--confirmations",
                type=click.IntRange(min=1),
                default=2,
                show_default=True,
                help="Blocks, its own included, until a transaction counts.",
            ),
            click.option(
                "--replace-after",
                type=click.FloatRange(min=0, min_open=True),
                default=120,
                show_default=True,
                metavar="SECONDS",
                help="When a transaction that is not mined is replaced by one with higher fees.",
            ),
        )
    ):
        command = option(command)
    return command


def service_options(command: Any) -> Any:
    """The options of what goes on for ever."""
    for option in reversed(
        (
            click.option("--every", type=click.FloatRange(min=0.1), default=15, show_default=True, help="Seconds between two looks."),
            click.option("--listen", metavar="HOST:PORT", help="Answer /metrics (Prometheus), /healthz and /readyz here."),
            click.option("--log", type=click.Choice(("text", "json")), default="text", show_default=True, help="What logs look like."),
        )
    ):
        command = option(command)
    return command


def sender_of(chain: Chain, account: AccountAPI, options: Mapping[str, Any]) -> JournalledSender:
    """The sender that the options say, of a party with `state`."""
    from pictor.chain.sender import JournalledSender, Terms

    terms = Terms(round(options["max_fee"] * 10**9), options["confirmations"], options["replace_after"])
    return JournalledSender(chain, ApeSigner(account), options["state"] / "sender", terms)


def sources_of(chain: Chain, source_networks: tuple[str, ...]) -> dict[int, Chain]:
    """The chains whose recharges can count, by id: that of the contracts, and others."""
    sources = {chain.id: chain}
    for network in source_networks:
        with networks.parse_network_choice(network) as provider:
            source = Chain(node_of(provider))
        sources[source.id] = source
    return sources


def view_of(
    ledger_url: str,
    state: Path,
    policy_file: Path,
    source_networks: tuple[str, ...],
    fallback_network: str | None,
    folder: Path,
    *,
    create: bool,
) -> View:
    """The view of the party, checked. `create`: the ledger is a mirror, and made if there is none yet."""
    from pictor.activity.ledger import Ledger
    from pictor.oracle.view import View
    from pictor.policy import load_policies

    load_policies(policy_file)  # to name the file in what may be wrong
    chain = connected_chain(fallback_network)
    sources = sources_of(chain, source_networks)
    ledger = Ledger.open(ledger_url, create=create)
    view = View.open(Deployment.load(folder, chain.id), chain, sources, ledger, policy_file.read_text(encoding="utf-8"), state)
    view.check()
    return view


class ApeMessageSigner:
    """An account of Ape that signs messages: a key file, a hardware wallet, a KMS."""

    def __init__(self, account: AccountAPI, *, unattended: bool) -> None:
        """`unattended`: a key file is unlocked once, and then signs without asking for each message."""
        self._account = account
        if unattended and hasattr(account, "set_autosign"):
            account.set_autosign(True)

    @property
    def signer(self) -> bytes:
        """See MessageSigner."""
        return bytes.fromhex(self._account.address[2:])

    def sign_message(self, message: SignableMessage) -> bytes:
        """See MessageSigner."""
        signature = self._account.sign_message(message)
        if signature is None:
            raise ChainError(f"{self._account.address} did not sign")
        joined = bytes(signature.encode_rsv())
        # Some devices count the last byte from 0, contracts from 27.
        return joined if joined[-1] >= 27 else joined[:-1] + bytes([joined[-1] + 27])
