"""The diary of a deployment: every transaction is written here, signed, before it is sent.

Whatever happens after that, the same transaction can be sent again, and takes effect once: so a deployment that was killed at any
moment goes on where it stopped. The file, `deployments/<chainId>.journal.json`, holds no secret, and goes when the deployment is done.
"""

import json
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from pictor.chain.errors import DeploymentError
from pictor.chain.files import locked, sync_folder, write_json
from pictor.chain.sending import Signed
from pictor.units import Address, to_checksum

VERSION = 1


@dataclass(frozen=True)
class Identity:
    """What a diary is about. `configuration` hashes what is deployed, `genesis` is the hash of the chain's block 0."""

    chain_id: int
    genesis: bytes
    deployer: Address
    configuration: bytes


@dataclass
class Journal:
    """The transactions of each step: more than one where a later one, with higher fees, was to take the place of those before."""

    path: Path
    identity: Identity
    steps: dict[str, list[Signed]] = field(default_factory=dict)

    @classmethod
    def open(cls, folder: Path, identity: Identity) -> Self:
        """The diary begun in `folder`, or a new one. Raises DeploymentError if the one there is about something else."""
        path = folder / f"{identity.chain_id}.journal.json"
        try:
            content = json.loads(path.read_text())
        except FileNotFoundError:
            return cls(path, identity)
        except (OSError, ValueError) as error:
            raise DeploymentError(f"{path}: not to be read: {error}") from error
        try:
            if content["version"] != VERSION:
                raise DeploymentError(f"{path}: version {content['version']} is not {VERSION}, which this program knows")
            found = Identity(
                content["chain_id"],
                bytes.fromhex(content["genesis"]),
                Address(content["deployer"].lower()),
                bytes.fromhex(content["configuration"]),
            )
            steps = {name: [Signed.of(one) for one in sent] for name, sent in content["steps"].items()}
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise DeploymentError(f"{path}: not a journal: {type(error).__name__}: {error}") from error
        _require_same(path, identity, found)
        return cls(path, identity, steps)

    def add(self, step: str, signed: Signed) -> None:
        """Writes a transaction down. It may be sent when this has returned."""
        self.steps.setdefault(step, []).append(signed)
        self._save()

    def forget(self, step: str) -> None:
        """Strikes out a step whose transactions have failed, or can never be mined."""
        if self.steps.pop(step, None):
            self._save()

    def close(self) -> None:
        """Removes the diary: the deployment is on record elsewhere."""
        if self.path.exists():
            self.path.unlink()
            sync_folder(self.path.parent)

    def _save(self) -> None:
        content: dict[str, Any] = {
            "version": VERSION,
            "chain_id": self.identity.chain_id,
            "genesis": self.identity.genesis.hex(),
            "deployer": to_checksum(self.identity.deployer),
            "configuration": self.identity.configuration.hex(),
            "steps": {name: [one.entry() for one in sent] for name, sent in self.steps.items()},
        }
        write_json(self.path, content)


def alone(folder: Path) -> AbstractContextManager[None]:
    """Keeps a second deployment out of `folder` for as long as this one runs."""
    return locked(folder, DeploymentError(f"another deployment is at work in {folder}"))


def _require_same(path: Path, asked: Identity, found: Identity) -> None:
    if found == asked:
        return
    begun = f"{path} is a deployment that was begun"
    if found.chain_id != asked.chain_id or found.genesis != asked.genesis:
        raise DeploymentError(f"{begun} on another chain (a local one that was restarted?): move it away to begin anew")
    if found.deployer != asked.deployer:
        raise DeploymentError(f"{begun} by {to_checksum(found.deployer)}: go on with that account, or move it away to begin anew")
    raise DeploymentError(f"{begun} with another configuration or other contracts: go on with those, or move it away to begin anew")
