"""The archive of an epoch: a folder that anyone can fetch, with all that is needed to check the epoch's report.

    ARCHIVES/20500-3f9ac1…/     the epoch, and the first 16 digits of the archive's hash
      policy.toml               the rules, all versions
      inputs.parquet            what the points were made of: one row for each scored holder of a role
      standings.parquet         points, score and rank of each
      issued.parquet            who is issued a pass with this epoch without asking for it
      tree.bin                  the Merkle tree of the standings
      report.json               what the report says, and what it was made from
      manifest.json             length and hash of each of the files above

The manifest is written last, and exclusively: without one, a folder is no archive. As the folder's name says what is in it, a writer who
is killed, or who writes at the same time as another, does no harm. The tables stand in the order of pass ids.
"""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa

from pictor.activity.ledger import Position
from pictor.activity.storage import StorageBusyError, open_storage
from pictor.epoch.manifest import (
    FILES,
    MANIFEST,
    MAX_MEMBERS,
    MIB,
    ArchiveError,
    BadFileError,
    Manifest,
    MissingFileError,
)
from pictor.epoch.messages import Domain, Report
from pictor.epoch.report import Block, Statement, StatementError
from pictor.epoch.standings import (
    INPUTS,
    ISSUED,
    STANDINGS,
    Leaves,
    Standing,
    StandingsError,
    arranged,
    check_keys,
    check_standings,
    leaf_number,
    leaves_of,
)
from pictor.epoch.tables import TableFile, write_table
from pictor.epoch.tree import MerkleTree, TreeError
from pictor.policy import Policy, PolicyError, parse_policies
from pictor.units import Address, Role, split_pass_id

TABLES: Mapping[str, pa.Schema] = {"inputs": INPUTS, "standings": STANDINGS, "issued": ISSUED}


@dataclass(frozen=True)
class Contents:
    """What an archive is made of; `compose` makes one whose parts agree. `policy`: TOML. Tables: INPUTS, STANDINGS, ISSUED."""

    policy: str
    inputs: pa.Table
    standings: pa.Table
    issued: pa.Table
    tree: MerkleTree
    statement: Statement


@dataclass(frozen=True)
class Written:
    """An archive that is in place: the hash that its report has to carry (32 bytes), and where it lies."""

    hash: bytes
    url: str


def archive_name(epoch: int, archive_hash: bytes) -> str:
    """The folder of an archive, below that of all archives."""
    return f"{epoch}-{archive_hash.hex()[:16]}"


def compose(
    epoch: int,
    registry: Domain,
    policy: str,
    inputs: pa.Table,
    standings: pa.Table,
    issued: pa.Table,
    cut: Position,
    holders: Block,
    recharges: tuple[Block, ...],
) -> Contents:
    """The contents of an epoch's archive. The tables have at least the columns of INPUTS, STANDINGS and ISSUED, their rows any order.

    Raises StandingsError, TreeError (nobody is scored), StatementError or PolicyError.
    """
    standings = arranged(standings, STANDINGS)
    leaves = leaves_of(standings)
    tree = leaves.tree()
    rules = parse_policies(policy).at(epoch)
    workers = len(leaves) - leaves.creators
    statement = Statement(epoch, registry, tree.root, rules.hash(), leaves.creators, workers, cut, holders, recharges)
    return Contents(policy, arranged(inputs, INPUTS), standings, arranged(issued, ISSUED), tree, statement)


def write_archive(contents: Contents, archives: str | Path) -> Written:
    """Writes an archive into a folder of its own below `archives`, a local path or fsspec URL. If it is there already, that is all.

    Raises ArchiveError if it cannot be written; what is there of it then is no archive.
    """
    storage = open_storage(archives)
    try:
        with storage.locked(60):
            made = storage.partial()
            made.mkdir()
            try:
                _write_files(contents, made)
                manifest = Manifest.of(contents.statement.epoch, made)
                name = archive_name(manifest.epoch, manifest.hash())
                if not storage.exists(f"{name}/{MANIFEST}"):
                    for file in FILES:
                        storage.adopt(f"{name}/{file}", made / file)
                    storage.create(f"{name}/{MANIFEST}", manifest.to_json())
            except FileExistsError:
                pass  # of two at once the other was faster, and wrote the same
            finally:
                shutil.rmtree(made, ignore_errors=True)
    except StorageBusyError as error:
        raise ArchiveError(str(error)) from None
    except OSError as error:
        raise ArchiveError(f"{archives}: {error.strerror or error}") from None
    return Written(manifest.hash(), storage.where(name))


def _write_files(contents: Contents, folder: Path) -> None:
    (folder / "policy.toml").write_text(contents.policy, encoding="utf-8", newline="")
    for name in TABLES:
        write_table(getattr(contents, name), folder / f"{name}.parquet")
    (folder / "tree.bin").write_bytes(contents.tree.nodes)
    (folder / "report.json").write_bytes(contents.statement.to_json())


@contextmanager
def open_archive(url: str | Path, archive_hash: bytes | None = None) -> Iterator["Archive"]:
    """The archive in the folder `url`: a local path, or an fsspec URL, from which its files are fetched first.

    With `archive_hash` (32 bytes), that archive and no other. Raises the kinds of ArchiveError.
    """
    if "://" not in str(url):
        yield Archive(Path(url), archive_hash)
        return
    with tempfile.TemporaryDirectory(prefix="pictor-archive-") as folder:
        _fetch(str(url), Path(folder), archive_hash)
        yield Archive(Path(folder), archive_hash)


def _fetch(url: str, folder: Path, archive_hash: bytes | None) -> None:
    """Copies the files of an archive, and no more of each than the manifest says."""
    try:
        fs, root = fsspec.url_to_fs(url.rstrip("/"))
        _copy(fs, root, MANIFEST, folder, MIB)
        for name, part in Manifest.read(folder, archive_hash).parts.items():
            _copy(fs, root, name, folder, part.bytes)
    except FileNotFoundError as error:
        raise MissingFileError(f"{url}: missing: {error.filename or error}") from None
    except ArchiveError:
        raise
    except Exception as error:  # a file system raises whatever its client does
        raise ArchiveError(f"{url}: {error}") from None


def _copy(fs: Any, root: str, name: str, folder: Path, length: int) -> None:
    with fs.open(f"{root}/{name}", "rb") as source, (folder / name).open("wb") as copy:
        left = length + 1  # one more, to tell a longer file from a whole one
        while left and (block := source.read(min(left, MIB))):
            left -= copy.write(block)


class Archive:
    """An archive on this machine, whose files are those of its manifest and have the right shape.

    Tables are read when they are asked for; proofs and rows are found in place. Whether the parts agree with each other is for
    `check()` to say; whether they are true, for whoever derives them again.
    """

    def __init__(self, folder: Path, archive_hash: bytes | None = None) -> None:
        """The archive in `folder`, which holds nothing else; with `archive_hash` (32 bytes), that one and no other.

        Raises the kinds of ArchiveError.
        """
        self._folder = folder
        manifest = Manifest.read(folder, archive_hash)
        manifest.compare(folder)
        self.hash = manifest.hash()
        self.statement = self._statement(manifest.epoch)
        self.members = self.statement.creators + self.statement.workers
        self.policy = self._policy()
        self.tree = self._tree()
        self._files = {name: self._file(name) for name in TABLES}

    def _statement(self, epoch: int) -> Statement:
        path = self._folder / "report.json"
        try:
            statement = Statement.from_json(path.read_bytes())
        except StatementError as error:
            raise BadFileError(f"{path}: {error}") from None
        if statement.epoch != epoch:
            raise BadFileError(f"{path}: is of epoch {statement.epoch}, the manifest of epoch {epoch}")
        return statement

    def _policy(self) -> Policy:
        path = self._folder / "policy.toml"
        try:
            policy = parse_policies(self.policy_text()).at(self.statement.epoch)
        except (PolicyError, UnicodeDecodeError) as error:
            raise BadFileError(f"{path}: {error}") from None
        if policy.hash() != self.statement.policy_hash:
            raise BadFileError(f"{path}: has hash 0x{policy.hash().hex()}, the report 0x{self.statement.policy_hash.hex()}")
        return policy

    def policy_text(self) -> str:
        """The rules, all versions, as TOML."""
        return (self._folder / "policy.toml").read_text(encoding="utf-8")

    def _tree(self) -> MerkleTree:
        path = self._folder / "tree.bin"
        try:
            tree = MerkleTree.open(path)
        except TreeError as error:
            raise BadFileError(str(error)) from None
        if len(tree) != self.members or tree.root != self.statement.root:
            raise BadFileError(f"{path}: has {len(tree)} leaves and root 0x{tree.root.hex()}, which is not what the report says")
        return tree

    def _file(self, name: str) -> TableFile:
        path = self._path(name)
        file = TableFile(path, TABLES[name], MAX_MEMBERS)
        if name != "issued" and len(file) != self.members:
            raise BadFileError(f"{path}: has {len(file)} rows, the report {self.members} standings")
        return file

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.parquet"

    @property
    def report(self) -> Report:
        """The message that this archive stands behind."""
        return self.statement.report(self.hash)

    def table(self, name: str) -> pa.Table:
        """The table `inputs`, `standings` or `issued`. Raises BadFileError if it cannot be read."""
        return self._files[name].read()

    def row(self, name: str, role: Role, account: Address) -> dict[str, Any] | None:
        """The row of a pass in one of the tables, without reading the rest; None if there is none. Raises BadFileError."""
        return self._files[name].row(role, account)

    def proof(self, standing: Standing) -> list[bytes]:
        """The proof of a standing of this archive."""
        role, _ = split_pass_id(standing.pass_id)
        return self.tree.proof(leaf_number(role, standing.rank, self.statement.creators))

    def check(self) -> Leaves:
        """Whether the parts agree with each other; gives the leaves of the tree. Raises BadFileError with the first that does not."""
        tables = {name: self.table(name) for name in TABLES}
        for name, table in tables.items():
            try:
                check_keys(table)
                if name == "standings":
                    check_standings(table, self.policy.priority_share)
            except StandingsError as error:
                raise BadFileError(f"{self._path(name)}: {error}") from None
        keys = {name: table.select(["account", "role"]) for name, table in tables.items()}
        if not keys["inputs"].equals(keys["standings"]):
            raise BadFileError(f"{self._path('inputs')}: has not the rows of standings.parquet")
        leaves = leaves_of(tables["standings"])
        if leaves.creators != self.statement.creators:
            raise BadFileError(f"{self._path('standings')}: has {leaves.creators} creators, the report {self.statement.creators}")
        if not np.array_equal(np.frombuffer(leaves.tree().nodes, np.uint8), np.frombuffer(self.tree.nodes, np.uint8)):
            raise BadFileError(f"{self._folder / 'tree.bin'}: is not the tree of standings.parquet")
        return leaves
