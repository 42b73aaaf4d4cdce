"""Where oracle and attestors leave things for each other: a folder, or an object store (fsspec), that nobody has to trust.

    MAILBOX/11155111-0x…/                     chain and registry
      proposals/000000020500.json             one for each epoch, created exclusively: a second oracle adopts it
      signatures/000000020500/3f9a….json      what signers left, named by its contents: nobody can take another's place

Whatever else lies there (junk, somebody else's, oversized, damaged) is passed over with a word in the log: it stops nobody.
"""

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import structlog

from pictor.activity.storage import Storage, open_storage
from pictor.epoch.messages import Domain
from pictor.epoch.report import canonical_json, parse_json
from pictor.oracle.proposal import Proposal, ProposalError

FORMAT = "pictor-signatures-v1"
MOST_PROPOSAL = 64 << 20  # bytes of a file, enough for a million accounts; a larger one is nobody's
MOST_SIGNATURE = 4 << 10  # bytes for each message that is signed

log = structlog.get_logger()


@dataclass(frozen=True)
class Signatures:
    """What one signer says to a proposal: signatures by digest (32 bytes). `signer`: as the committee knows it."""

    signer: bytes
    proposal: bytes  # the hash of the proposal that they are of
    by_digest: Mapping[bytes, bytes]

    def to_json(self) -> bytes:
        """The file."""
        signed = {f"0x{digest.hex()}": f"0x{signature.hex()}" for digest, signature in self.by_digest.items()}
        fields = {"format": FORMAT, "signer": f"0x{self.signer.hex()}", "proposal": f"0x{self.proposal.hex()}", "signatures": signed}
        return canonical_json(fields)

    @classmethod
    def from_json(cls, contents: bytes) -> "Signatures":
        """What a file says. Raises ValueError."""
        try:
            fields = parse_json(contents)
            if fields["format"] != FORMAT:
                raise ValueError(f"format {fields['format']!r} is not {FORMAT}")
            signed = {_bytes(digest): _bytes(signature) for digest, signature in fields["signatures"].items()}
            return cls(_bytes(fields["signer"]), _bytes(fields["proposal"]), signed)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not signatures: {type(error).__name__}: {error}") from None


class Mailbox:
    """The mailbox of one registry."""

    def __init__(self, storage: Storage, registry: Domain) -> None:
        self._storage = storage
        self._registry = registry
        self._folder = f"{registry.chain_id}-{registry.contract}"

    @classmethod
    def open(cls, url: str | Path, registry: Domain) -> "Mailbox":
        """The mailbox at a local path or fsspec URL."""
        return cls(open_storage(url), registry)

    def propose(self, proposal: Proposal) -> Proposal:
        """Leaves a proposal, unless there is one of that epoch; the one that stands. Raises ProposalError if that is no proposal."""
        try:
            self._storage.create(self._proposal(proposal.epoch), proposal.to_json())
        except FileExistsError:
            standing = self.proposal(proposal.epoch)
            if standing is None:
                raise ProposalError(f"{self._storage.where(self._proposal(proposal.epoch))}: in the way, and no proposal") from None
            return standing
        return proposal

    def proposal(self, epoch: int) -> Proposal | None:
        """The proposal of an epoch, if there is one that makes sense."""
        name = self._proposal(epoch)
        contents = self._read(name, MOST_PROPOSAL)
        if contents is None:
            return None
        try:
            proposal = Proposal.from_json(contents)
        except ProposalError as error:
            log.warning("proposal ignored", file=self._storage.where(name), reason=str(error))
            return None
        if proposal.registry != self._registry or proposal.epoch != epoch:
            log.warning("proposal ignored", file=self._storage.where(name), reason=f"is of epoch {proposal.epoch}, {proposal.registry}")
            return None
        return proposal

    def epochs(self) -> list[int]:
        """The epochs that have a proposal, ascending."""
        stems = [Path(name).stem for name in self._storage.names(f"{self._folder}/proposals") if name.endswith(".json")]
        return sorted(int(stem) for stem in stems if stem.isdecimal() and len(stem) == 12)

    def sign(self, epoch: int, signatures: Signatures) -> None:
        """Leaves a signer's signatures. The same ones twice are left once."""
        contents = signatures.to_json()
        with suppress(FileExistsError):
            self._storage.create(f"{self._signatures(epoch)}/{sha256(contents).hexdigest()[:32]}.json", contents)

    def signatures(self, proposal: Proposal, signers: Collection[bytes]) -> list[Signatures]:
        """What `signers` have left for `proposal`. Whether the signatures are good is not checked here."""
        found = []
        for file in self._storage.names(self._signatures(proposal.epoch)):
            name = f"{self._signatures(proposal.epoch)}/{file}"
            contents = self._read(name, MOST_SIGNATURE * (2 + len(proposal.issuances)))
            if contents is None:
                continue
            try:
                signatures = Signatures.from_json(contents)
            except (ValueError, RecursionError) as error:
                log.warning("signatures ignored", file=self._storage.where(name), reason=str(error))
                continue
            if signatures.signer not in signers or signatures.proposal != proposal.hash:
                log.warning("signatures ignored", file=self._storage.where(name), reason="of a stranger, or of another proposal")
                continue
            found.append(signatures)
        return found

    def _read(self, name: str, most: int) -> bytes | None:
        try:
            size = self._storage.size(name)
            if size > most:
                log.warning("file ignored", file=self._storage.where(name), reason=f"has {size} bytes, more than {most}")
                return None
            return self._storage.read(name)
        except FileNotFoundError:
            return None
        except OSError as error:  # a folder in its place, no permission: still nobody's business but the log's
            log.warning("file ignored", file=self._storage.where(name), reason=str(error))
            return None

    def _proposal(self, epoch: int) -> str:
        return f"{self._folder}/proposals/{epoch:012d}.json"

    def _signatures(self, epoch: int) -> str:
        return f"{self._folder}/signatures/{epoch:012d}"


def _bytes(text: str) -> bytes:
    if not text.startswith("0x"):
        raise ValueError(f"{text!r} is not hex")
    return bytes.fromhex(text[2:])
