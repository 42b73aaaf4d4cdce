"""The promise that an attestor never signs two reports for one epoch of one contract, kept on the disk.

    GUARD/11155111-0x….json     one file for each chain and contract
      {"epoch": 20500, "digest": "0x…"}

The file is the low watermark: an epoch below it is never signed again, the epoch itself only with the same digest, so that an attestor
killed between signing and publishing can sign again. It is on the disk before the signature is made. To lose it is to lose the promise:
keep it with the key, and never run one key with two guards.
"""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pictor.chain.files import write_json
from pictor.epoch.messages import Domain, Report


class GuardError(Exception):
    """The guard refuses a report, or cannot be read. The message says which and why."""


@dataclass(frozen=True)
class Mark:
    """The newest report that was signed."""

    epoch: int
    digest: bytes


class Guard:
    """The guard of one attestor, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def mark(self, domain: Domain) -> Mark | None:
        """The newest report that was signed for a contract. Raises GuardError for a file that cannot be read: nothing is signed then."""
        path = self._path(domain)
        try:
            fields = json.loads(path.read_text())
            epoch, digest = fields["epoch"], bytes.fromhex(fields["digest"].removeprefix("0x"))
            if type(epoch) is not int or epoch < 1 or len(digest) != 32:
                raise ValueError(f"epoch {epoch!r}, digest of {len(digest)} bytes")
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise GuardError(f"{path}: not to be read, so nothing is signed: {error}") from error
        return Mark(epoch, digest)

    def allow(self, report: Report, domain: Domain) -> None:
        """Notes that `report` is about to be signed, on the disk; then it may be. Raises GuardError if it must not be."""
        digest = report.digest(domain)
        with self._locked():
            mark = self.mark(domain)
            if mark is not None and report.epoch < mark.epoch:
                raise GuardError(f"epoch {report.epoch}: epoch {mark.epoch} was signed already, and epochs only rise")
            if mark is not None and report.epoch == mark.epoch and digest != mark.digest:
                raise GuardError(
                    f"epoch {report.epoch}: another report was signed for it, 0x{mark.digest.hex()}, so 0x{digest.hex()} is not"
                )
            if mark is None or report.epoch > mark.epoch:
                write_json(self._path(domain), {"epoch": report.epoch, "digest": f"0x{digest.hex()}"})

    def _path(self, domain: Domain) -> Path:
        return self._folder / f"{domain.chain_id}-{domain.contract}.json"

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
