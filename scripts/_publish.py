"""Publishing sources on the block explorer of an Ape network, by the plugin that the extra `deploy` brings."""

from importlib import import_module
from typing import Any

from ape import Project, chain, networks

from pictor.chain import ChainError
from pictor.units import Address, to_checksum
from scripts._ape import ROOT


class Publisher:
    """The block explorer of the network that a command is connected to."""

    def __init__(self) -> None:
        """Raises ChainError if there is none."""
        network = networks.provider.network
        try:
            self._verify: Any = import_module("ape_etherscan.verify")
        except ImportError:
            raise ChainError("publishing needs the extra `deploy`: run `make deploy-tools` first") from None
        if network.explorer is None:
            raise ChainError(f"Ape knows no block explorer of {network.ecosystem.name}:{network.name}, so nothing can be published there")
        self._explorer: Any = network.explorer
        self._project = Project(ROOT)

    def publish(self, name: str, address: Address) -> None:
        """Publishes the sources of a contract, and waits for the explorer to compile them. Raises what it has against them."""
        compiled = self._project.contracts[name]
        chain.contracts[to_checksum(address)] = compiled

        verifier = self._verify.SourceVerifier(to_checksum(address), self._explorer._client_factory, project=self._project)
        verifier._get_standard_input_json = lambda *_, **__: self._standard_input(verifier)
        verifier.attempt_verification()

    def _standard_input(self, verifier: Any) -> dict[str, Any]:
        """What the compiler was given. The plugin's own method leaves out the sources that lie in node_modules."""
        [standard_input] = verifier.compiler_api.get_standard_input_json([verifier.source_path], project=self._project).values()
        # A whole compilation has all remappings, used or not, and their list goes into the hash at the end of the code.
        standard_input["settings"]["remappings"] = sorted(map(str, self._project.config.solidity.import_remapping))
        return dict(standard_input)
