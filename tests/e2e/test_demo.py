"""The demo, with few members: what it claims is true, and it leaves nothing running."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tests.e2e.support import ape_run


def running() -> Iterator[str]:
    """The command lines of all processes, where the system tells them."""
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it has ended meanwhile
            yield process.read_text()


def test_the_tour_from_a_network_to_verified_members(tmp_path: Path) -> None:
    said = ape_run("demo", "--members", "300", "--out", str(tmp_path / "demo"), home=tmp_path)
    assert said.code == 0, said.out + said.err
    for claim in (
        "read back: code, roles, delays, committee and parameters are what was asked for",
        "attestor 4, outvoted: ",
        "rank 1, is not prioritised",
        "guardian veto: is prioritised",
        "a stranger, for ",
        "void, “better rank, lower score”",
        "the oracle: posted, and void",
        "active is epoch 20605",
        "signed by 3 of 5 attestors (3 needed)",
        "comes to the same counts and standings",
        "the contract says: it is in this report",
        "1 in all; `ape run govern VIPPass revoke",
    ):
        assert claim in said.out, said.out
    assert {path.name for path in (tmp_path / "demo").glob("pass-*.svg")} == {"pass-creator.svg", "pass-worker.svg"}
    assert not [one for one in running() if str(tmp_path) in one]


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    said = ape_run("demo", "--out", str(tmp_path), home=tmp_path / "home")
    assert (said.code, said.err.strip()) == (1, f"Error: {tmp_path} holds something else than a demo's output")
    assert (tmp_path / "letter.txt").read_text() == "mine"
