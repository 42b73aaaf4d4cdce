"""`deployments/<chainId>.json`: which contracts are this project's on a chain, and how to know that they still are.

    {
      "version": 1,
      "chain_id": 11155111,
      "configuration": "0x…",                 hash of what was deployed: configuration, deployer and code
      "contracts": {
        "VIPPass": {
          "address": "0x…",                   checksummed
          "transaction": "0x…",               that created it
          "block": 6543210,                   which held that transaction
          "arguments": {"authority": "0x…"},  of the constructor; bytes as hex
          "code_hash": "0x…"                  Keccak-256 of the runtime code
        },
        …
      }
    }

The file is written when all contracts are there, belong together, and were read back from the chain; never before.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from eth_utils.crypto import keccak

from pictor.chain.contracts import GATEWAYS, Contracts, Gateway
from pictor.chain.errors import CodeDiffersError, DeploymentError, NoCodeError, WrongChainError
from pictor.chain.files import write_json
from pictor.chain.node import Block, Chain
from pictor.units import Address, AddressError, parse_address, to_checksum

VERSION = 1
FOLDER = Path("deployments")
REQUIRED = ("Powers", "VIPPass", "ScoreRegistry", "PassArt")


@dataclass(frozen=True)
class DeployedContract:
    """One contract. `arguments` are JSON values by parameter; `code_hash` is the Keccak-256 of the runtime code."""

    address: Address
    transaction: bytes
    block: int
    arguments: Mapping[str, Any]
    code_hash: bytes


@dataclass(frozen=True)
class Deployment:
    """The contracts of one chain, by name: those of REQUIRED, and AttestorCommittee and P256Verifier where they were deployed."""

    chain_id: int
    configuration: bytes
    contracts: Mapping[str, DeployedContract]

    @property
    def first_block(self) -> int:
        """No event of these contracts is older."""
        return min(contract.block for contract in self.contracts.values())

    @staticmethod
    def path(folder: Path, chain_id: int) -> Path:
        """Where the deployment of a chain is kept."""
        return folder / f"{chain_id}.json"

    @classmethod
    def load(cls, folder: Path, chain_id: int) -> Self:
        """The deployment on a chain. Raises DeploymentError if there is none, or its file makes no sense."""
        path = cls.path(folder, chain_id)
        try:
            content = json.loads(path.read_text())
        except FileNotFoundError:
            raise DeploymentError(f"no deployment on chain {chain_id} is known: there is no {path}") from None
        except (OSError, ValueError) as error:
            raise DeploymentError(f"{path}: not to be read: {error}") from error
        try:
            if content["version"] != VERSION:
                raise DeploymentError(f"{path}: version {content['version']} is not {VERSION}, which this program knows")
            deployment = cls(
                content["chain_id"],
                _bytes32(content["configuration"]),
                {name: _contract(entry) for name, entry in content["contracts"].items()},
            )
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise DeploymentError(f"{path}: not a deployment: {type(error).__name__}: {error}") from error
        if deployment.chain_id != chain_id:
            raise DeploymentError(f"{path}: is of chain {deployment.chain_id}")
        if missing := [name for name in REQUIRED if name not in deployment.contracts]:
            raise DeploymentError(f"{path}: has no {', '.join(missing)}")
        return deployment

    def save(self, folder: Path) -> Path:
        """Writes the file in one step, and returns its path."""
        path = self.path(folder, self.chain_id)
        write_json(
            path,
            {
                "version": VERSION,
                "chain_id": self.chain_id,
                "configuration": f"0x{self.configuration.hex()}",
                "contracts": {
                    name: {
                        "address": to_checksum(contract.address),
                        "transaction": f"0x{contract.transaction.hex()}",
                        "block": contract.block,
                        "arguments": dict(contract.arguments),
                        "code_hash": f"0x{contract.code_hash.hex()}",
                    }
                    for name, contract in self.contracts.items()
                },
            },
        )
        return path

    def open(self, chain: Chain, block: Block | None = None) -> Contracts:
        """The contracts, pinned to `block` or to the latest.

        Raises WrongChainError, NoCodeError or CodeDiffersError if they are not these.
        """
        if chain.id != self.chain_id:
            raise WrongChainError(self.chain_id, chain.id)
        block = block or chain.block()
        for name, contract in self.contracts.items():
            code = chain.code(contract.address, block)
            if not code:
                raise NoCodeError(name, to_checksum(contract.address), block.number)
            if keccak(code) != contract.code_hash:
                raise CodeDiffersError(name, to_checksum(contract.address), contract.code_hash, keccak(code))
        return self.gateways(chain, block)

    def gateways(self, chain: Chain, block: Block) -> Contracts:
        """The contracts, pinned to `block`, unchecked."""

        def gateway(name: str) -> Any:
            kind: type[Gateway] = GATEWAYS[name]
            return kind(chain, self.contracts[name].address, block) if name in self.contracts else None

        return Contracts(*(gateway(name) for name in ("Powers", "AttestorCommittee", "VIPPass", "ScoreRegistry", "PassArt")))


def _contract(entry: Any) -> DeployedContract:
    try:
        address = parse_address(entry["address"])
    except AddressError as error:
        raise ValueError(str(error)) from error
    if type(entry["block"]) is not int or not isinstance(entry["arguments"], dict):
        raise ValueError(f"{entry['address']}: block {entry['block']!r}, arguments {entry['arguments']!r}")
    return DeployedContract(address, _bytes32(entry["transaction"]), entry["block"], entry["arguments"], _bytes32(entry["code_hash"]))


def _bytes32(text: str) -> bytes:
    value = bytes.fromhex(text.removeprefix("0x"))
    if len(value) != 32:
        raise ValueError(f"{text} is not 32 bytes")
    return value
