"""Where Ape meets the library: networks become chains, accounts signers, compiled contracts artifacts, failures one clear line."""

import logging
from pathlib import Path
from typing import Any

import click
from ape import Project, networks
from ape.api import AccountAPI
from ape.cli import ConnectedProviderCommand
from ape.exceptions import ApeException
from ape.logging import logger

from pictor.chain import FOLDER, NODE_FAILURES, Chain, ChainError
from pictor.chain.artifacts import Artifact
from pictor.chain.interfaces import Interface
from pictor.units import Address, AddressError, UnitError, parse_address, to_checksum

ROOT = Path(__file__).resolve().parent.parent


class ChainCommand(ConnectedProviderCommand):
    """A command on a network of Ape. What goes wrong is told in one line, with exit code 1; usage errors have 2."""

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command."""
        # Standard output is for answers, and Ape's remarks are none.
        logger._logger.setLevel(max(logger._logger.level, logging.WARNING))
        try:
            return super().invoke(ctx)
        except (ChainError, UnitError, ApeException, *NODE_FAILURES) as error:
            lines = str(error).strip().splitlines() or [type(error).__name__]
            raise click.ClickException(lines[0]) from error


class Account(click.ParamType):
    """An address on the command line."""

    name = "address"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Address:
        """The address, with a mixed-case checksum checked."""
        try:
            account = parse_address(value)
        except AddressError as error:
            self.fail(str(error), param, ctx)
        if not int(account, 16):
            self.fail("the zero address is nobody's", param, ctx)
        return account


def deployments_option(command: Any) -> Any:
    """`--deployments`: the folder of the deployments' files."""
    folder = click.Path(path_type=Path, file_okay=False)
    return click.option("--deployments", "folder", type=folder, default=FOLDER, show_default=True, help="Where deployments are kept.")(
        command
    )


def connected_chain() -> Chain:
    """The chain that the command is connected to."""
    return Chain(networks.provider.web3.provider)


class ApeSigner:
    """An account of Ape: a key file, a hardware wallet, a KMS."""

    def __init__(self, account: AccountAPI, unattended: bool = False) -> None:
        """`unattended`: a key file is unlocked once, and then signs without asking for each transaction."""
        self._account = account
        if unattended and hasattr(account, "set_autosign"):
            account.set_autosign(True)

    @property
    def address(self) -> Address:
        """See Signer."""
        return Address(self._account.address.lower())

    def sign(self, transaction: dict[str, Any]) -> bytes:
        """See Signer."""
        fields = {("sender" if key == "from" else key): value for key, value in transaction.items()}
        signed = self._account.sign_transaction(networks.provider.network.ecosystem.create_transaction(**fields))
        if signed is None:
            raise ChainError(f"{to_checksum(self.address)} did not sign")
        return bytes(signed.serialize_transaction())


def artifacts(names: tuple[str, ...]) -> dict[str, Artifact]:
    """Compiled contracts by name."""
    contracts = Project(ROOT).contracts
    return {name: _artifact(contracts[name]) for name in names}


def _artifact(compiled: Any) -> Artifact:
    abi = tuple(entry.model_dump(mode="json", by_alias=True, exclude_none=True) for entry in compiled.abi)
    return Artifact(
        Interface(compiled.name, abi),
        bytes(compiled.deployment_bytecode.to_bytes()),
        bytes(compiled.runtime_bytecode.to_bytes()),
    )
