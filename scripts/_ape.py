"""Where Ape meets the library: networks become chains, accounts signers, compiled contracts artifacts, failures one clear line."""

import logging
from pathlib import Path
from typing import Any

import click
from ape import Project, networks
from ape.api import AccountAPI, ProviderAPI
from ape.cli import ConnectedProviderCommand
from ape.exceptions import ApeException
from ape.logging import logger
from web3.providers.base import JSONBaseProvider

from pictor.chain import FOLDER, NODE_FAILURES, Chain, ChainError
from pictor.chain.artifacts import Artifact
from pictor.chain.fallback import FallbackProvider
from pictor.chain.interfaces import Interface
from pictor.chain.node import failure
from pictor.chain.transport import ATTEMPTS, HttpNode
from pictor.units import Address, AddressError, UnitError, parse_address, to_checksum

ROOT = Path(__file__).resolve().parent.parent


class ChainCommand(ConnectedProviderCommand):
    """A command on a network of Ape. What goes wrong is told in one line, with exit code 1; usage errors have 2."""

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command."""
        # Ape's remarks go to standard output, which is for answers.
        logger._logger.setLevel(max(logger._logger.level, logging.ERROR))
        try:
            return super().invoke(ctx)
        except (ChainError, UnitError, ApeException, *NODE_FAILURES) as error:
            raise click.ClickException(failure(error)) from error


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


def connected_chain(fallback_network: str | None = None) -> Chain:
    """The chain that the command is connected to; `fallback_network`: another node of it, for when the first is ill."""
    if fallback_network is None:
        return Chain(node_of(networks.provider))
    second = networks.get_provider_from_choice(fallback_network)
    return Chain(FallbackProvider(node_of(networks.provider, attempts=1), node_of(second, attempts=1)))


def node_of(provider: ProviderAPI, attempts: int = ATTEMPTS) -> JSONBaseProvider:
    """The node of one of Ape's providers, whose own would wait half an hour for an answer."""
    url = getattr(provider, "http_uri", None)
    if url is None:
        web3_provider: JSONBaseProvider = provider.web3.provider
        return web3_provider
    network = provider.network
    return HttpNode(url, networks.get_request_headers(network.ecosystem.name, network.name, provider.name), attempts=attempts)


class ApeSigner:
    """An account of Ape: a key file, a hardware wallet, a KMS. A key file is unlocked once, when it has something to sign."""

    def __init__(self, account: AccountAPI) -> None:
        self._account = account
        self._unlocked = False

    @property
    def address(self) -> Address:
        """See Signer."""
        return Address(self._account.address.lower())

    def sign(self, transaction: dict[str, Any]) -> bytes:
        """See Signer."""
        if not self._unlocked and hasattr(self._account, "set_autosign"):
            self._account.set_autosign(True)  # or it would ask for each transaction anew
            self._unlocked = True
        fields = {("sender" if key == "from" else key): value for key, value in transaction.items()}
        signed = self._account.sign_transaction(networks.provider.network.ecosystem.create_transaction(**fields))
        if signed is None:
            raise ChainError(f"{to_checksum(self.address)} did not sign")
        return bytes(signed.serialize_transaction())


def artifacts(names: tuple[str, ...], anew: bool = False) -> dict[str, Artifact]:
    """Compiled contracts by name; `anew`: whatever was compiled before.

    Ape compiles a file that has changed, but not those that import it.
    """
    # All at once: asked for one by one, Ape compiles the first that has changed and takes the rest for compiled.
    contracts = Project(ROOT).load_contracts(use_cache=not anew)
    return {name: _artifact(contracts[name]) for name in names}


def _artifact(compiled: Any) -> Artifact:
    abi = tuple(entry.model_dump(mode="json", by_alias=True, exclude_none=True) for entry in compiled.abi)
    return Artifact(
        Interface(compiled.name, abi),
        bytes(compiled.deployment_bytecode.to_bytes()),
        bytes(compiled.runtime_bytecode.to_bytes()),
    )
