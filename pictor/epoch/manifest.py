"""`manifest.json`: which files an archive has, with length and SHA-256 of each. Its own SHA-256 is the archive's hash."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import file_digest, sha256
from pathlib import Path
from types import MappingProxyType

from pictor.epoch.report import canonical_json, parse_json
from pictor.epoch.tree import NODE

FORMAT = "pictor-archive-v1"
MANIFEST = "manifest.json"
MAX_MEMBERS = 1 << 24
MIB = 1 << 20
# The files beside the manifest, and the most bytes of each that anybody is asked to load.
FILES: Mapping[str, int] = MappingProxyType(
    {
        "policy.toml": MIB,
        "inputs.parquet": 2_048 * MIB,
        "standings.parquet": 2_048 * MIB,
        "issued.parquet": 1_024 * MIB,
        "tree.bin": 2 * NODE * MAX_MEMBERS,
        "report.json": MIB,
    }
)


class ArchiveError(Exception):
    """An archive that cannot be written, read or believed. The message names the file and the reason."""


class MissingFileError(ArchiveError):
    """A file of the archive is not there, or there is no archive at all."""


class ExtraFileError(ArchiveError):
    """There is a file that no archive has."""


class TruncatedFileError(ArchiveError):
    """A file is shorter than the manifest says."""


class OversizedFileError(ArchiveError):
    """A file is longer than the manifest says, or than any archive needs."""


class WrongHashError(ArchiveError):
    """A file, or the manifest, is not the one that was meant."""


class BadFileError(ArchiveError):
    """A file is what the manifest says, but not what it must be."""


@dataclass(frozen=True)
class Part:
    """What the manifest says of a file. `bytes`: how many; `sha256`: hex."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """The parts of the archive of `epoch`, by the names of `FILES`."""

    epoch: int
    parts: Mapping[str, Part]

    @classmethod
    def of(cls, epoch: int, folder: Path) -> "Manifest":
        """The manifest of the files in `folder`."""
        return cls(epoch, {name: Part((folder / name).stat().st_size, hash_of(folder / name)) for name in FILES})

    def to_json(self) -> bytes:
        """The file: one form only."""
        parts = {name: {"bytes": part.bytes, "sha256": part.sha256} for name, part in self.parts.items()}
        return canonical_json({"format": FORMAT, "epoch": self.epoch, "files": parts})

    def hash(self) -> bytes:
        """32 bytes: the archive's hash."""
        return sha256(self.to_json()).digest()

    @classmethod
    def read(cls, folder: Path, archive_hash: bytes | None = None) -> "Manifest":
        """The manifest in `folder`; with `archive_hash` (32 bytes), that one and no other. Raises the kinds of ArchiveError."""
        path = folder / MANIFEST
        if not path.is_file():
            raise MissingFileError(f"{path}: missing: there is no archive here")
        if path.stat().st_size > MIB:
            raise OversizedFileError(f"{path}: is longer than {MIB} bytes")
        contents = path.read_bytes()
        if archive_hash is not None and sha256(contents).digest() != archive_hash:
            raise WrongHashError(f"{path}: is of archive 0x{sha256(contents).hexdigest()}, not 0x{archive_hash.hex()}")
        try:
            fields = parse_json(contents)
            manifest = cls(fields["epoch"], {name: Part(part["bytes"], part["sha256"]) for name, part in fields["files"].items()})
        except (ValueError, TypeError, KeyError, AttributeError):
            raise BadFileError(f"{path}: not a manifest of format {FORMAT}") from None
        manifest._check(path)
        if manifest.to_json() != contents:
            raise BadFileError(f"{path}: not in the form that a manifest of format {FORMAT} has")
        return manifest

    def _check(self, path: Path) -> None:
        for name in FILES:
            if name not in self.parts:
                raise MissingFileError(f"{path}: does not name {name}")
        for name, part in self.parts.items():
            if name not in FILES:
                raise ExtraFileError(f"{path}: names {name!r}, which no archive has")
            if type(part.bytes) is not int or part.bytes < 0 or type(part.sha256) is not str:
                raise BadFileError(f"{path}: {name}: {part}")
            if part.bytes > FILES[name]:
                raise OversizedFileError(f"{path}: {name} is to have {part.bytes} bytes; {FILES[name]} is the most")

    def compare(self, folder: Path) -> None:
        """Raises the kinds of ArchiveError unless `folder` holds these files, to the bit, and no others."""
        for path in folder.iterdir():
            if path.name not in FILES and path.name != MANIFEST:
                raise ExtraFileError(f"{path}: is no part of an archive")
        for name, part in self.parts.items():
            path = folder / name
            if not path.is_file():
                raise MissingFileError(f"{path}: missing")
            found = path.stat().st_size
            if found != part.bytes:
                kind = TruncatedFileError if found < part.bytes else OversizedFileError
                raise kind(f"{path}: has {found} bytes, the manifest says {part.bytes}")
            if hash_of(path) != part.sha256:
                raise WrongHashError(f"{path}: not the contents that the manifest vouches for")


def hash_of(path: Path) -> str:
    """SHA-256 of a file, hex."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
