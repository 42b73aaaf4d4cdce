"""`ape run ingest` and `ape run ledger`: one clear line on bad input, exit codes that mean something, JSON where asked."""

import gzip
import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pictor.activity.ledger import Ledger
from scripts.ingest import cli as ingest_command
from scripts.ledger import cli as ledger_command
from tests.unit.feeds import BOB, CAROL, contents, sample, write
from tests.unit.test_ledger import rewrite

NOW = int(time.time())
BEAT = sample("heartbeats", at=NOW - 5)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return str(tmp_path / "ledger")


def ingest(url: str, *arguments: object, stdin: bytes | None = None) -> Result:
    return CliRunner(mix_stderr=False).invoke(ingest_command, ["--ledger", url, *map(str, arguments)], input=stdin)


def ledger(*arguments: object) -> Result:
    return CliRunner(mix_stderr=False).invoke(ledger_command, [str(argument) for argument in arguments])


def said(result: Result) -> dict[str, Any]:
    """The JSON that a command printed, as the last line of its output."""
    answer: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return answer


def test_it_ends_with_a_table_of_what_became_of_the_rows(url: str, tmp_path: Path) -> None:
    frame = sample("frames", at=NOW)
    rows = [frame, frame, {**frame, "job": "j-2"}, sample("frames", ref="f-2", at=5), sample("frames", ref="f-3", at=NOW, outcome="?")]
    result = ingest(url, write(tmp_path / "frames.csv", rows), write(tmp_path / "heartbeats.ndjson", [BEAT]))
    assert result.exit_code == 0
    lines = [line.split() for line in result.stdout.splitlines()]
    assert ["taken", "known", "already", "conflicts", "late", "quarantined"] in lines
    assert ["frames", "1", "1", "1", "1", "1"] in lines
    assert ["heartbeats", "1", "0", "0", "0", "0"] in lines
    for folder in ("conflicts", "quarantine"):
        [place] = [line[1] for line in lines if line and line[0] == folder]
        assert Path(place).is_file()
    assert lines[-1] == ["ledger", str(Ledger.open(url).head())]


def test_json_says_the_same(url: str, tmp_path: Path) -> None:
    answer = said(ingest(url, "--json", "--source", "feed", write(tmp_path / "heartbeats.csv", [BEAT, sample("heartbeats", at=-1)])))
    assert answer["tables"]["heartbeats"] == {"taken": 1, "known": 0, "conflicts": 0, "late": 0, "quarantined": 1}
    assert Path(answer["quarantine"][0]).is_file()
    assert (answer["conflicts"], answer["left_out"], answer["complete_until"]) == ([], [], None)
    assert answer["position"] == str(Ledger.open(url).head())
    assert Ledger.open(url).entries()[0].source == "feed"


@pytest.mark.parametrize("suffix", ["parquet", "csv", "ndjson"])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("arguments", [["-"], []])
def test_standard_input_is_read(url: str, tmp_path: Path, suffix: str, packed: bool, arguments: Sequence[str]) -> None:
    data = write(tmp_path / f"rows.{suffix}", [BEAT]).read_bytes()
    result = ingest(url, "--table", "heartbeats", *arguments, stdin=gzip.compress(data) if packed and suffix != "parquet" else data)
    assert result.exit_code == 0
    assert contents(Ledger.open(url), "heartbeats") == [BEAT]


def test_a_table_can_be_named(url: str, tmp_path: Path) -> None:
    assert ingest(url, "--table", "heartbeats", write(tmp_path / "export.csv", [BEAT])).exit_code == 0
    assert contents(Ledger.open(url), "heartbeats") == [BEAT]


def test_a_folder_is_read(url: str, tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    write(inbox / "heartbeats-b.csv", [sample("heartbeats", worker=CAROL, at=NOW)])
    write(inbox / "heartbeats-a.csv", [BEAT])
    assert ingest(url, inbox).exit_code == 0
    assert [row["worker"] for row in contents(Ledger.open(url), "heartbeats")] == [BOB, CAROL]  # in the order of their names


@pytest.mark.parametrize("text", ["1767225600", "2026-01-01T00:00:00Z"])
def test_a_source_says_how_far_it_is_complete(url: str, text: str) -> None:
    result = ingest(url, "--source", "feed", "--complete-until", text)
    assert result.exit_code == 0
    assert Ledger.open(url).complete_until(["feed"]) == {"feed": int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())}


def test_old_rows_need_a_declared_backfill(url: str, tmp_path: Path) -> None:
    old = write(tmp_path / "heartbeats.csv", [sample("heartbeats", at=NOW - 36 * 86_400)])
    assert said(ingest(url, "--json", old))["tables"]["heartbeats"]["late"] == 1
    assert said(ingest(url, "--json", "--backfill", old))["tables"]["heartbeats"]["taken"] == 1


def test_the_late_limit_is_the_policys(url: str, tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    shipped = Path(__file__).parents[2] / "policy" / "default.toml"
    policy.write_text(shipped.read_text().replace("late_limit = 3_024_000", "late_limit = 60"))
    rows = write(tmp_path / "heartbeats.csv", [sample("heartbeats", at=NOW - 120)])
    assert said(ingest(url, "--json", "--policy", policy, rows))["tables"]["heartbeats"]["late"] == 1


def test_a_file_left_out_is_named_and_the_exit_code_is_1(url: str, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    broken = tmp_path / "heartbeats-2.parquet"
    broken.write_bytes(b"PAR1")
    result = ingest(url, "--complete-until", NOW, empty, broken, write(tmp_path / "heartbeats-1.csv", [BEAT]))
    assert result.exit_code == 1
    assert f"left out     {empty}: no file of activity in this folder" in result.stdout
    assert f"left out     {broken}: is damaged or cut off" in result.stdout
    assert "not said: a file was left out" in result.stdout
    assert contents(Ledger.open(url), "heartbeats") == [BEAT]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "nothing to do"),
        (["-"], "standard input needs --table"),
        (["--complete-until", "soon"], "not a time: 'soon'"),
        (["--complete-until", str(NOW * 1000)], "milliseconds"),
        (["--table", "beats", "x.csv"], "beats"),
        (["--policy", "nowhere.toml", "--complete-until", "5"], "nowhere.toml"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(url: str, arguments: list[str], reason: str) -> None:
    result = ingest(url, *arguments)
    assert result.exit_code == 2
    assert reason in result.stderr
    assert "Traceback" not in result.stderr
    assert not Path(url, "entries").exists()


def test_a_ledger_that_cannot_be_written_is_one_line_and_exit_code_3(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = ingest(str(tmp_path / "file"), write(tmp_path / "heartbeats.csv", [BEAT]))
    assert result.exit_code == 3
    assert result.stderr.strip().splitlines()[-1].startswith("Error: ")
    result = ingest(str(tmp_path / "ledger"), "--source", "no name", write(tmp_path / "heartbeats.csv", [BEAT]))
    assert (result.exit_code, "not a source's name" in result.stderr) == (3, True)


@pytest.fixture
def filled(url: str, tmp_path: Path) -> Ledger:
    for i in range(3):
        ingest(url, write(tmp_path / f"frames-{i}.csv", [sample("frames", ref=f"f-{i}", at=NOW)]))
    return Ledger.open(url)


def test_verify_says_that_a_ledger_is_sound(filled: Ledger, url: str) -> None:
    result = ledger("verify", "--ledger", url)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1].split() == ["sound", "3", "entries,", "3", "rows,", "head", str(filled.head())]
    assert said(ledger("verify", "--ledger", url, "--json")) == {"position": str(filled.head()), "rows": 3, "faults": [], "reused_refs": {}}


def test_verify_names_the_faults_and_the_exit_code_is_1(filled: Ledger, url: str) -> None:
    rewrite(filled, 2, source="somebody")
    result = ledger("verify", "--ledger", url)
    assert result.exit_code == 1
    assert "entry 3 does not follow the entry before it" in result.stdout
    assert said(ledger("verify", "--ledger", url, "--json"))["faults"] == ["entry 3 does not follow the entry before it"]


def test_mirror_copies_what_is_missing(filled: Ledger, url: str, tmp_path: Path) -> None:
    to = tmp_path / "mirror"
    assert said(ledger("mirror", "--ledger", url, "--to", to, "--cut", "2", "--json")) == {"position": str(filled.position(2)), "added": 2}
    result = ledger("mirror", "--ledger", url, "--to", to)
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, f"1 entries copied, head {filled.head()}")


def test_mirror_refuses_a_rewritten_past_with_exit_code_1(filled: Ledger, url: str, tmp_path: Path) -> None:
    to = tmp_path / "mirror"
    ledger("mirror", "--ledger", url, "--to", to)
    rewrite(filled, 3, source="somebody")
    result = ledger("mirror", "--ledger", url, "--to", to)
    assert result.exit_code == 1
    assert "entry 3 was rewritten" in result.stderr


@pytest.mark.parametrize("command", [["verify"], ["mirror", "--to", "elsewhere"]])
def test_no_ledger_is_one_line_and_exit_code_3(tmp_path: Path, command: list[str]) -> None:
    with CliRunner().isolated_filesystem(tmp_path):
        result = ledger(*command, "--ledger", tmp_path / "nothing")
    assert result.exit_code == 3
    assert "no ledger here" in result.stderr
