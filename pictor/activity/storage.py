"""Where a ledger lies: a local folder or an object store (fsspec), with the few operations that a crash or a rival cannot break."""

import fcntl
import os
import shutil
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path, PurePosixPath
from uuid import uuid4

import fsspec


class StorageBusyError(RuntimeError):
    """Another process holds the lock."""


class Storage(ABC):
    """Named files below one root. A file appears whole or not at all, and never changes afterwards."""

    root: str
    folder: Path | None = None  # the root, if it is on this machine
    scratch: Path  # a local folder for what can be derived again: partial files, copies, indexes

    @abstractmethod
    def read(self, name: str) -> bytes:
        """The contents of a file. Raises FileNotFoundError."""

    @abstractmethod
    def size(self, name: str) -> int:
        """The length of a file in bytes. Raises FileNotFoundError."""

    @abstractmethod
    def exists(self, name: str) -> bool:
        """Whether the file is there."""

    @abstractmethod
    def names(self, folder: str) -> list[str]:
        """The names of the files in a folder, sorted; none if there is no such folder."""

    @abstractmethod
    def create(self, name: str, contents: bytes) -> None:
        """Write a file that must not exist yet. Raises FileExistsError, also when another process was faster."""

    @abstractmethod
    def adopt(self, name: str, file: Path) -> None:
        """Take over the finished local `file` under `name`, which says its contents; it is gone afterwards."""

    @abstractmethod
    def where(self, name: str) -> str:
        """The path or URL of a file, as people and other programs read it."""

    @contextmanager
    @abstractmethod
    def locked(self, wait: float) -> Iterator[None]:
        """Keep other writers out. Waits up to `wait` seconds. Raises StorageBusyError."""

    def partial(self) -> Path:
        """A fresh local path for a file in the making."""
        folder = self.scratch / "partial"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / uuid4().hex


def _sync(path: Path) -> None:
    """Have the file or folder on disk before going on."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class LocalStorage(Storage):
    """A folder. Files are written beside their place, synced, and then linked or renamed into it."""

    folder: Path

    def __init__(self, root: Path) -> None:
        self.folder = root.absolute()
        self.root = str(root)
        self.scratch = self.folder / "cache"

    def read(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()

    def size(self, name: str) -> int:
        return (self.folder / name).stat().st_size

    def exists(self, name: str) -> bool:
        return (self.folder / name).exists()

    def names(self, folder: str) -> list[str]:
        path = self.folder / folder
        return sorted(one.name for one in path.iterdir() if one.is_file()) if path.is_dir() else []

    def create(self, name: str, contents: bytes) -> None:
        partial = self.partial()
        try:
            partial.write_bytes(contents)
            _sync(partial)
            target = self._target(name)
            os.link(partial, target)  # unlike a rename, fails if the target is there
            _sync(target.parent)
        finally:
            partial.unlink(missing_ok=True)

    def adopt(self, name: str, file: Path) -> None:
        _sync(file)
        target = self._target(name)
        file.replace(target)
        _sync(target.parent)

    def _target(self, name: str) -> Path:
        target = self.folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        return target

    def where(self, name: str) -> str:
        return str(Path(self.root) / name)

    @contextmanager
    def locked(self, wait: float) -> Iterator[None]:
        self.scratch.mkdir(parents=True, exist_ok=True)
        give_up = time.monotonic() + wait
        with (self.scratch / "lock").open("a") as lock:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() >= give_up:
                        raise StorageBusyError(f"{self.root}: another process is writing to it") from None
                    time.sleep(0.05)
            # Whoever made these was killed: the lock is ours.
            shutil.rmtree(self.scratch / "partial", ignore_errors=True)
            yield


class RemoteStorage(Storage):
    """An object store. Its lock is the exclusive creation of the next entry: of two writers at once, one is refused."""

    def __init__(self, url: str) -> None:
        self.root = url.rstrip("/")
        self.fs, self.path = fsspec.url_to_fs(self.root)
        user_cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        self.scratch = user_cache / "pictor" / sha256(self.root.encode()).hexdigest()[:16]

    def _at(self, name: str) -> str:
        return str(PurePosixPath(self.path) / name)

    def read(self, name: str) -> bytes:
        return bytes(self.fs.cat_file(self._at(name)))

    def size(self, name: str) -> int:
        return int(self.fs.size(self._at(name)))

    def exists(self, name: str) -> bool:
        return bool(self.fs.exists(self._at(name)))

    def names(self, folder: str) -> list[str]:
        try:
            return sorted(PurePosixPath(one).name for one in self.fs.ls(self._at(folder), detail=False))
        except FileNotFoundError:
            return []

    def create(self, name: str, contents: bytes) -> None:
        self.fs.pipe_file(self._at(name), contents, mode="create")

    def adopt(self, name: str, file: Path) -> None:
        self.fs.put_file(str(file), self._at(name))
        file.unlink()

    def where(self, name: str) -> str:
        return f"{self.root}/{name}"

    @contextmanager
    def locked(self, wait: float) -> Iterator[None]:  # noqa: ARG002
        yield


def open_storage(url: str | Path) -> Storage:
    """The storage at a local path or an fsspec URL (`s3://…`, `gs://…`, `file:///…`)."""
    text = str(url)
    if text.startswith("file://"):
        text = text.removeprefix("file://")
    return RemoteStorage(text) if "://" in text else LocalStorage(Path(text))
