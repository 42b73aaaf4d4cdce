"""An archive is written whole or not at all, and what is loaded is what was written: anything else is refused, and named."""

import json
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import partial
from hashlib import sha256
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pictor.activity.storage import LocalStorage
from pictor.epoch.archive import Archive, Contents, archive_name, open_archive, write_archive
from pictor.epoch.manifest import (
    FILES,
    ArchiveError,
    BadFileError,
    ExtraFileError,
    Manifest,
    MissingFileError,
    OversizedFileError,
    TruncatedFileError,
    WrongHashError,
)
from pictor.epoch.messages import Report
from pictor.epoch.report import Statement, StatementError
from pictor.epoch.standings import COUNTS, StandingsError, leaves_of, standing_of
from pictor.epoch.tree import TreeError, proves
from pictor.policy import PolicyError, parse_policies
from pictor.scoring import points_and_ranks
from pictor.scoring.standings import TOTALS
from pictor.units import Address, Role
from tests.unit.epochs import EPOCH, POLICY, contents, tables

CONTENTS = contents()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An archive, written."""
    return Path(write_archive(CONTENTS, tmp_path / "archives").url)


def test_what_is_loaded_is_what_was_written(tmp_path: Path) -> None:
    written = write_archive(CONTENTS, tmp_path / "archives")
    with open_archive(written.url, written.hash) as archive:
        assert archive.hash == written.hash
        assert archive.statement == CONTENTS.statement
        assert archive.policy == parse_policies(POLICY).at(EPOCH)
        assert bytes(archive.tree.nodes) == bytes(CONTENTS.tree.nodes)
        for name in ("inputs", "standings", "issued"):
            assert archive.table(name).equals(getattr(CONTENTS, name))
        leaves = archive.check()
        assert leaves.tree().root == archive.report.root


def test_the_report_says_what_is_in_the_archive(folder: Path) -> None:
    archive = Archive(folder)
    manifest_hash = sha256((folder / "manifest.json").read_bytes()).digest()
    assert archive.report == Report(EPOCH, CONTENTS.tree.root, parse_policies(POLICY).at(EPOCH).hash(), manifest_hash, 30, 70)


def test_the_manifest_has_length_and_hash_of_every_other_file(folder: Path) -> None:
    files = json.loads((folder / "manifest.json").read_bytes())["files"]
    assert {path.name for path in folder.iterdir()} == {*files, "manifest.json"} == {*FILES, "manifest.json"}
    for name, part in files.items():
        contents = (folder / name).read_bytes()
        assert part == {"bytes": len(contents), "sha256": sha256(contents).hexdigest()}


def test_the_order_of_rows_on_the_way_in_makes_no_difference(tmp_path: Path) -> None:
    backwards = {name: table.take(pa.array(range(len(table) - 1, -1, -1))) for name, table in tables(30, 70).items()}
    assert write_archive(contents(**backwards), tmp_path).hash == write_archive(CONTENTS, tmp_path).hash


def test_tables_are_sorted_by_pass_id_in_groups_of_at_most_8192_rows(tmp_path: Path) -> None:
    url = write_archive(contents(9_000, 11_000), tmp_path).url
    for name in ("inputs", "standings"):
        file = pq.ParquetFile(Path(url) / f"{name}.parquet")
        assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [8_192, 8_192, 3_616]
        ids = [(row["role"], row["account"]) for row in file.read(["role", "account"]).to_pylist()]
        assert ids == sorted(ids)


def test_a_row_and_its_proof_are_found_without_reading_the_rest(tmp_path: Path) -> None:
    made = contents(9_000, 11_000)
    archive = Archive(Path(write_archive(made, tmp_path).url))
    rows = made.standings.to_pylist()
    for row in [rows[0], rows[8_191], rows[8_192], rows[8_999], rows[9_000], rows[-1], *rows[5::2_000]]:
        role, account = Role(row["role"]), Address(row["account"])
        assert archive.row("standings", role, account) == row
        assert archive.row("inputs", role, account) is not None
        standing = standing_of(row)
        assert proves(archive.report.root, standing.leaf(), archive.proof(standing))
    assert archive.row("standings", Role.CREATOR, Address("0x" + "12" * 20)) is None
    other = next(row for row in rows if row["role"] == 2)
    assert archive.row("standings", Role.CREATOR, Address(other["account"])) is None


def test_standings_are_derived_again_from_nothing_but_the_archive(tmp_path: Path) -> None:
    policy = parse_policies(POLICY).at(EPOCH)
    random = np.random.default_rng(3)
    totals = tables(40, 60)["inputs"]
    for name in COUNTS:
        counts = pa.array(random.integers(-10 if name == "recharged" else 0, 50, len(totals)) * 10**5, pa.int64())
        totals = totals.set_column(totals.schema.names.index(name), totals.schema.field(name), counts)
    made = contents(inputs=totals, standings=points_and_ranks(totals, policy))
    archive = Archive(Path(write_archive(made, tmp_path).url))
    archive.check()
    again = leaves_of(points_and_ranks(archive.table("inputs"), archive.policy))
    assert again.tree().root == archive.report.root
    assert set(TOTALS) == set(COUNTS)


# Writing


def test_written_again_it_stays_as_it_is(tmp_path: Path) -> None:
    first = write_archive(CONTENTS, tmp_path)
    times = {path: path.stat().st_mtime_ns for path in Path(first.url).iterdir()}
    assert write_archive(CONTENTS, tmp_path) == first
    assert {path: path.stat().st_mtime_ns for path in Path(first.url).iterdir()} == times


def test_other_contents_of_the_same_epoch_lie_beside_it(tmp_path: Path) -> None:
    first, second = write_archive(CONTENTS, tmp_path), write_archive(contents(creators=29), tmp_path)
    assert first.url != second.url
    for written in (first, second):
        assert Path(written.url).name == archive_name(EPOCH, written.hash) == f"{EPOCH}-{written.hash.hex()[:16]}"
        Archive(Path(written.url), written.hash).check()


class KilledError(BaseException):
    """What a test does to a writer."""


@pytest.mark.parametrize("step", range(len(FILES) + 1))
def test_a_writer_killed_between_any_two_files_leaves_no_archive_and_the_next_one_makes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    done = 0

    def counted(work: Callable[..., None]) -> Callable[..., None]:
        def do(*arguments: Any) -> None:
            nonlocal done
            if done == step:
                raise KilledError
            done += 1
            work(*arguments)

        return do

    with monkeypatch.context() as patch:
        patch.setattr(LocalStorage, "adopt", counted(LocalStorage.adopt))
        patch.setattr(LocalStorage, "create", counted(LocalStorage.create))
        patch.setattr(shutil, "rmtree", Mock())  # the dead do not tidy up
        with pytest.raises(KilledError):
            write_archive(CONTENTS, tmp_path)
    assert list((tmp_path / "cache").glob("partial/*"))
    for path in tmp_path.glob(f"{EPOCH}-*"):
        with pytest.raises(MissingFileError, match=r"manifest\.json: missing: there is no archive here"):
            Archive(path)
    Archive(Path(write_archive(CONTENTS, tmp_path).url)).check()
    assert not list((tmp_path / "cache").glob("partial/*"))


def _write(made: Contents, archives: Path) -> None:
    write_archive(made, archives)


def test_two_at_once_write_one_archive(tmp_path: Path) -> None:
    writers = [threading.Thread(target=_write, args=(CONTENTS, tmp_path)) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    (path,) = tmp_path.glob(f"{EPOCH}-*")
    Archive(path).check()


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ArchiveError, match="file: Not a directory"):
        write_archive(CONTENTS, tmp_path / "file")


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (tables(0, 0), TreeError, "no standings"),
        ({"standings": tables(3, 3)["standings"].drop_columns(["score"])}, StandingsError, "score"),
        ({"epoch": 0}, StatementError, "epoch: 0"),
        ({"policy": "epoch_length = 7"}, PolicyError, "priority_share: missing"),
    ],
)
def test_contents_that_make_no_archive_are_refused(change: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        contents(**change)


# Loading what is not what was written


def remade(folder: Path, **parts: Any) -> Path:
    """The manifest made anew, as a forger would: so that it fits the files that are there; `parts` replaces what it says."""
    fields = json.loads((folder / "manifest.json").read_bytes())
    fields["files"] = json.loads(Manifest.of(fields["epoch"], folder).to_json())["files"] | parts
    (folder / "manifest.json").write_text(json.dumps(fields, sort_keys=True, indent=2) + "\n")
    return folder


@pytest.mark.parametrize("name", [*FILES, "manifest.json"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(MissingFileError, match=rf"{name}: missing"):
        Archive(folder)


def test_a_folder_that_is_not_there_is_no_archive(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="there is no archive here"):
        Archive(tmp_path / "nothing")


@pytest.mark.parametrize("name", FILES)
def test_a_truncated_file_is_named(folder: Path, name: str) -> None:
    contents = (folder / name).read_bytes()
    (folder / name).write_bytes(contents[:-1])
    with pytest.raises(TruncatedFileError, match=rf"{name}: has {len(contents) - 1} bytes, the manifest says {len(contents)}"):
        Archive(folder)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_too_long_is_named(folder: Path, name: str) -> None:
    with (folder / name).open("ab") as file:
        file.write(b"\n")
    with pytest.raises(OversizedFileError, match=rf"{name}: has \d+ bytes, the manifest says"):
        Archive(folder)


@pytest.mark.parametrize("name", FILES)
def test_a_file_with_one_other_bit_is_named(folder: Path, name: str) -> None:
    contents = bytearray((folder / name).read_bytes())
    contents[len(contents) // 2] ^= 1
    (folder / name).write_bytes(contents)
    with pytest.raises(WrongHashError, match=rf"{name}: not the contents that the manifest vouches for"):
        Archive(folder)


@pytest.mark.parametrize("name", ["notes.txt", ".hidden", "manifest.json.bak"])
def test_a_file_that_no_archive_has_is_named(folder: Path, name: str) -> None:
    (folder / name).write_text("")
    with pytest.raises(ExtraFileError, match=rf"{name}: is no part of an archive"):
        Archive(folder)


def test_another_archive_than_the_one_meant_is_refused(folder: Path) -> None:
    with pytest.raises(WrongHashError, match=rf"manifest\.json: is of archive 0x[0-9a-f]{{64}}, not 0x{'00' * 32}"):
        Archive(folder, bytes(32))


@pytest.mark.parametrize(
    "manifest",
    [b"", b"{}", b"[]", b"null", b"\xff", b"[" * 100_000, b'{"epoch": 1, "files": []}', b'{"epoch": 1, "files": {"tree.bin": 7}}'],
)
def test_junk_for_a_manifest_is_refused(folder: Path, manifest: bytes) -> None:
    (folder / "manifest.json").write_bytes(manifest)
    with pytest.raises(BadFileError, match=r"manifest\.json: not a manifest of format pictor-archive-v1"):
        Archive(folder)


def test_a_manifest_in_another_form_is_refused(folder: Path) -> None:
    (folder / "manifest.json").write_text(json.dumps(json.loads((folder / "manifest.json").read_text())))
    with pytest.raises(BadFileError, match="not in the form"):
        Archive(folder)


def test_a_manifest_that_is_too_long_is_not_read(folder: Path) -> None:
    (folder / "manifest.json").write_bytes(b" " * (1 << 20) + b"{}")
    with pytest.raises(OversizedFileError, match=r"manifest\.json: is longer than 1048576 bytes"):
        Archive(folder)


@pytest.mark.parametrize(
    ("part", "error", "message"),
    [
        ({"tree.bin": {"bytes": 1 << 40, "sha256": "00"}}, OversizedFileError, r"tree\.bin is to have 1099511627776 bytes; 1073741824 is"),
        ({"tree.bin": {"bytes": -1, "sha256": "00"}}, BadFileError, "tree.bin"),
        ({"tree.bin": {"bytes": 1.5, "sha256": "00"}}, BadFileError, "tree.bin"),
        ({"tree.bin": {"bytes": 1, "sha256": 7}}, BadFileError, "tree.bin"),
        ({"../../etc/passwd": {"bytes": 1, "sha256": "00"}}, ExtraFileError, "names '../../etc/passwd', which no archive has"),
    ],
)
def test_a_manifest_that_asks_for_the_impossible_is_refused(
    folder: Path, part: dict[str, Any], error: type[ArchiveError], message: str
) -> None:
    with pytest.raises(error, match=message):
        Archive(remade(folder, **part))


def rewrite(table: str, change: Callable[[pa.Table], pa.Table], **options: Any) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        path = folder / f"{table}.parquet"
        pq.write_table(change(pq.read_table(path)), path, **{"row_group_size": 8_192, **options})

    return spoil


def edit(name: str, old: str, new: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new, 1))

    return spoil


def flip_tree(place: int) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        nodes = bytearray((folder / "tree.bin").read_bytes())
        nodes[32 * place] ^= 1
        (folder / "tree.bin").write_bytes(nodes)

    return spoil


def cut_tree(folder: Path) -> None:
    (folder / "tree.bin").write_bytes((folder / "tree.bin").read_bytes()[:-64])


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (edit("policy.toml", "pass_points = 100", "pass_points = 101"), BadFileError, r"policy\.toml: has hash 0x.*, the report 0x"),
        (edit("policy.toml", "grace", "grease"), BadFileError, r"policy\.toml: version\[0\]\.grease: unknown key"),
        (edit("report.json", '"epoch": 20500', '"epoch": 20501'), BadFileError, "is of epoch 20501, the manifest of epoch 20500"),
        (edit("report.json", '"workers": 70', '"workers": 69'), BadFileError, r"tree\.bin: has 100 leaves and root .*, which is not"),
        (edit("report.json", '"epoch"', '"epos"'), BadFileError, r"report\.json: epoch: missing"),
        (cut_tree, BadFileError, r"tree\.bin: has 99 leaves"),
        (flip_tree(0), BadFileError, r"tree\.bin: has 100 leaves and root"),
        (rewrite("standings", lambda table: table.slice(1)), BadFileError, r"standings\.parquet: has 99 rows, the report 100 standings"),
        (rewrite("inputs", lambda table: table.slice(1)), BadFileError, r"inputs\.parquet: has 99 rows"),
        (rewrite("standings", lambda table: table.drop_columns(["rank"])), BadFileError, "has not the columns account"),
        (rewrite("issued", lambda table: table.append_column("job", table["account"])), BadFileError, "has not the columns account"),
        (rewrite("inputs", lambda table: table, write_statistics=False), BadFileError, "group 0 does not say which passes it spans"),
        (lambda folder: (folder / "issued.parquet").write_bytes(b"PAR1 or not"), BadFileError, r"issued\.parquet: "),
    ],
)
def test_files_that_fit_the_manifest_but_have_not_the_right_shape_are_refused(
    folder: Path, spoil: Callable[[Path], None], error: type[ArchiveError], message: str
) -> None:
    spoil(folder)
    with pytest.raises(error, match=message):
        Archive(remade(folder))


def test_row_groups_that_are_too_large_are_refused(tmp_path: Path) -> None:
    folder = Path(write_archive(contents(5_000, 5_000), tmp_path).url)
    rewrite("standings", lambda table: table, row_group_size=10_000)(folder)
    with pytest.raises(OversizedFileError, match=r"standings\.parquet: group 0 has 10000 rows"):
        Archive(remade(folder))


def test_a_row_group_that_would_fill_the_memory_is_refused(folder: Path) -> None:
    def swell(table: pa.Table) -> pa.Table:
        return table.set_column(0, table.schema.field("account"), pa.array(["x" * 100_000] * len(table)))

    rewrite("inputs", swell, use_dictionary=False)(folder)
    with pytest.raises(OversizedFileError, match=r"inputs\.parquet: group 0 has 100 rows in \d{8} bytes"):
        Archive(remade(folder))


def change_row(number: int, **values: Any) -> Callable[[pa.Table], pa.Table]:
    def change(table: pa.Table) -> pa.Table:
        rows = table.to_pylist()
        rows[number] |= values
        return pa.Table.from_pylist(rows, table.schema)

    return change


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (flip_tree(1), r"tree\.bin: is not the tree of standings\.parquet"),
        (flip_tree(198), r"tree\.bin: is not the tree of standings\.parquet"),
        (rewrite("standings", change_row(3, score=1 << 50)), r"standings\.parquet: .*has a score that is not the sum"),
        (rewrite("standings", lambda table: table.take(pa.array(range(99, -1, -1)))), "does not come after the row before it"),
        (rewrite("issued", change_row(1, account="0x" + "00" * 20)), r"issued\.parquet: .*has no account"),
        (rewrite("issued", lambda table: pa.concat_tables([table, table])), r"issued\.parquet: .*does not come after"),
        (rewrite("inputs", change_row(99, account="0x" + "ff" * 20)), r"inputs\.parquet: has not the rows of standings\.parquet"),
        (rewrite("inputs", change_row(29, role=2)), r"inputs\.parquet: "),
    ],
)
def test_parts_that_do_not_agree_are_found_by_the_check(folder: Path, spoil: Callable[[Path], None], message: str) -> None:
    spoil(folder)
    archive = Archive(remade(folder))
    with pytest.raises(BadFileError, match=message):
        archive.check()


def test_another_split_of_the_same_members_is_found_by_the_check(folder: Path) -> None:
    edit("report.json", '"creators": 30', '"creators": 31')(folder)
    edit("report.json", '"workers": 70', '"workers": 69')(folder)
    with pytest.raises(BadFileError, match="has 30 creators, the report 31"):
        Archive(remade(folder)).check()


# From elsewhere


@pytest.fixture
def server(folder: Path) -> Iterator[str]:
    """A plain web server over the archive's folder."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *arguments: Any) -> None:
            pass

        def do_GET(self) -> None:
            if self.path.startswith("/broken"):
                self.send_error(500)
            else:
                super().do_GET()

    class Server(ThreadingHTTPServer):
        def handle_error(self, *arguments: Any) -> None:
            pass  # a reader that has seen enough hangs up

    with Server(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


def test_an_archive_is_loaded_from_a_web_server(server: str, folder: Path) -> None:
    with open_archive(server, Archive(folder).hash) as archive:
        assert archive.statement == CONTENTS.statement
        assert archive.check().creators == 30


def test_an_archive_is_written_to_an_object_store_and_loaded_from_it() -> None:
    written = write_archive(CONTENTS, "memory://archives")
    assert written.url == f"memory://archives/{archive_name(EPOCH, written.hash)}"
    assert write_archive(CONTENTS, "memory://archives") == written
    with open_archive(written.url, written.hash) as archive:
        assert archive.check().tree().root == CONTENTS.tree.root


def test_a_file_url_is_a_folder(folder: Path) -> None:
    with open_archive(f"file://{folder}") as archive:
        assert archive.statement == CONTENTS.statement


@pytest.mark.parametrize(
    ("name", "change", "error"),
    [
        ("manifest.json", None, MissingFileError),
        ("tree.bin", None, MissingFileError),
        ("tree.bin", lambda contents: contents[:-1], TruncatedFileError),
        ("tree.bin", lambda contents: contents + b"x", OversizedFileError),
        ("report.json", lambda contents: contents.replace(b"20500", b"20501"), WrongHashError),
        ("manifest.json", lambda contents: contents + b" " * (2 << 20), OversizedFileError),
    ],
)
def test_what_comes_from_elsewhere_is_checked_in_the_same_way(
    server: str, folder: Path, name: str, change: Callable[[bytes], bytes] | None, error: type[ArchiveError]
) -> None:
    contents = (folder / name).read_bytes()
    (folder / name).unlink()
    if change:
        (folder / name).write_bytes(change(contents))
    with pytest.raises(error), open_archive(server):
        pass


def test_no_more_is_fetched_than_the_manifest_says(server: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (folder / "tree.bin").open("ab") as file:
        file.truncate(500 << 20)
    copy = tmp_path / "copy"
    copy.mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(tempfile, "TemporaryDirectory", lambda **_: nullcontext(str(copy)))
        with pytest.raises(OversizedFileError), open_archive(server):
            pass
    assert (copy / "tree.bin").stat().st_size == len(CONTENTS.tree.nodes) + 1


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/archive", "nosuchprotocol://archive", "memory://nothing/here", "{server}/broken"])
def test_a_place_that_gives_no_archive_is_named(server: str, url: str) -> None:
    url = url.format(server=server)
    with pytest.raises(ArchiveError, match=url), open_archive(url):
        pass


# report.json


def test_a_statement_survives_the_way_there_and_back() -> None:
    assert Statement.from_json(CONTENTS.statement.to_json()) == CONTENTS.statement


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"chainId": 31337', '"chainId": 31338', "is not the registry's"),
        ('"chainId": 137', '"chainId": 1', r"recharges: chains \[1, 1\] are not in ascending order"),
        ('"number": 1000', '"number": -1', "not a block"),
        ('"number": 1000', '"number": 1000.0', "not a block"),
        ('"number": 1000', '"number": "1000"', "not a block"),
        ('"cut": "12:', '"cut": "012:', "'012:"),
        ('"root": "0x', '"root": "', "is not of the form"),
        ('"creators": 30', '"creators": 4294967296', "creators: 4294967296"),
        ('"epoch": 20500', '"epoch": 20500.0', "epoch: 20500.0"),
        ('"epoch": 20500', '"epoch": 20500, "more": 1', "in the form that it has"),
        ('"format": "pictor-report-v1"', '"format": "pictor-report-v2"', "format pictor-report-v1"),
        ('"address": "0xab', '"address": "0xAB', "wrong checksum"),
        ("{", "[", "not a report of format"),
    ],
)
def test_a_statement_that_no_report_can_be_made_of_is_refused(old: str, new: str, message: str) -> None:
    text = CONTENTS.statement.to_json().decode()
    assert old in text
    with pytest.raises(StatementError, match=message):
        Statement.from_json(text.replace(old, new, 1).encode())
