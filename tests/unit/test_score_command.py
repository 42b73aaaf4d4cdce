"""`ape run score` and `ape run explain`: the promised form, one line on bad input, nothing half written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pictor.scoring.explain import longest_gap
from pictor.units import DAY, HOUR, MINUTE
from scripts import explain, score
from tests.unit.test_rollups import ALICE, BOB, CAROL, DAVE, EPOCH, Network, T, network

__all__ = ["network"]


@pytest.fixture
def played(network: Network) -> Network:
    """Alice pays and orders, Bob renders 412 hours of 480; Carol has a pass from after the epoch's end."""
    network.send(
        "recharges", {"account": ALICE, "amount": 6_000_000_000, "at": T - 40 * DAY}, {"account": ALICE, "amount": 1_500_000, "at": T - 1}
    )
    network.send("spends", {"account": ALICE, "amount": 5_000_000_000, "at": T - DAY})
    network.send("frames", *({"creator": ALICE, "worker": BOB, "outcome": "completed", "at": T - DAY} for _ in range(12)))
    network.send("frames", {"creator": ALICE, "worker": BOB, "outcome": "failed", "at": T - DAY})
    network.send("frames", {"creator": BOB, "worker": BOB, "outcome": "completed", "at": T - DAY})
    beats = [{"worker": BOB, "at": T - 30 * DAY + i * MINUTE} for i in range(400 * 60)]
    beats += [{"worker": BOB, "at": T - 30 * DAY + (400 + 31) * HOUR + i * MINUTE} for i in range(12 * 60)]
    network.send("heartbeats", *beats)
    (network.folder / "holders.csv").write_text(f"account,role,issued_at\n{ALICE},creator,5\n{BOB.upper()},worker,6\n{CAROL},creator,{T}\n")
    return network


def run(command: object, played: Network, *options: str, **changed: str) -> Result:
    named = {"--ledger": str(played.folder / "ledger"), "--epoch": str(EPOCH), "--holders": str(played.folder / "holders.csv")} | {
        f"--{name}": value for name, value in changed.items()
    }
    return CliRunner().invoke(command.cli, [*options, *(part for pair in named.items() for part in pair)])  # type: ignore[attr-defined]


def test_score_writes_exactly_the_promised_form(played: Network, tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    result = run(score, played, "--out", str(out), "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.output)["standings"] == 2
    assert (out / "eligible.csv").read_text() == f"account,role\n{ALICE},creator\n"
    assert (out / "standings.csv").read_text() == (
        "account,role,spending,completed_jobs,average_uptime,job_completion,gpu_performance,pass,score,rank,prioritized\n"
        f"{ALICE},creator,1500000,12000000,0,0,0,100000000,113500000,1,1\n"
        f"{BOB},worker,0,0,13733333,50000000,0,100000000,163733333,1,1\n"
    )
    assert sorted(path.name for path in out.iterdir()) == ["eligible.csv", "standings.csv"]


def test_a_cut_leaves_out_what_came_later(played: Network, tmp_path: Path) -> None:
    assert run(score, played, "--out", str(tmp_path / "all")).exit_code == 0
    assert run(score, played, "--out", str(tmp_path / "cut"), "--cut", "2").exit_code == 0
    assert f"{ALICE},creator,1500000,0,0,0,0,100000000,101500000,1,1" in (tmp_path / "cut" / "standings.csv").read_text()


@pytest.mark.parametrize(
    ("holders", "reason"),
    [
        ("account,role\n", "no column issued_at"),
        (f"account,role,issued_at\n{ALICE},boss,5\n", "line 2: role 'boss' is none of creator, worker"),
        (f"account,role,issued_at\n{ALICE},creator,5\n0x12,worker,5\n", "line 3: not an address"),
        (f"account,role,issued_at\n0x5AAeb6053F3E94C9b9A09f33669435E7Ef1BeAed,worker,5\n", "line 2: wrong checksum"),  # noqa: F541
        (f"account,role,issued_at\n{ALICE},creator,1700000000000\n", "line 2: issued_at '1700000000000' is not Unix seconds"),
        (f"account,role,issued_at\n{ALICE},creator,5\n{ALICE},creator,6\n", "named more than once"),
        ("", "mpty CSV"),
    ],
)
def test_bad_holders_cost_one_line_and_no_file(played: Network, tmp_path: Path, holders: str, reason: str) -> None:
    (tmp_path / "bad.csv").write_text(holders)
    result = run(score, played, "--out", str(tmp_path / "out"), holders=str(tmp_path / "bad.csv"))
    assert result.exit_code == 1
    assert result.output.count("\n") == 1
    assert reason in result.output
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changed", "code", "reason"),
    [
        ({"ledger": "/nowhere"}, 3, "no ledger here"),
        ({"cut": "99"}, 3, "no entry 99"),
        ({"cut": "1:" + "0" * 64}, 3, "is not in"),
        ({"policy": "/nowhere.toml"}, 1, "No such file"),
        ({"holders": "/nowhere.csv"}, 1, "/nowhere.csv"),
        ({"block": "1"}, 2, "is not CHAIN:N"),
        ({"block": "1:5"}, 2, "are not read up to block 5"),
        ({"engine": "abacus"}, 3, "no engine 'abacus'"),
        ({"epoch": "0"}, 2, "0 is not in the range"),
    ],
)
def test_each_mistake_has_a_line_and_a_code(played: Network, tmp_path: Path, changed: dict[str, str], code: int, reason: str) -> None:
    result = run(score, played, "--out", str(tmp_path / "out"), **changed)
    assert (result.exit_code, reason in result.output) == (code, True), result.output
    assert "Traceback" not in result.output
    assert not (tmp_path / "out").exists()


def test_explain_tells_the_counts_the_rank_and_what_is_missing(played: Network) -> None:
    told = run(explain, played, ALICE).output
    assert "Creator: rank 1 of 1, prioritised" in told
    assert "1.5 USDT of paid recharges, net of refunds, this month" in told
    assert "frames rendered successfully: 12" in told
    told = run(explain, played, BOB).output
    assert "Worker: rank 1 of 1" in told
    assert "frames completed: 12, failed jobs: 1" in told
    assert "creator and worker of, which count for neither: 1" in told
    (played.folder / "holders.csv").write_text("account,role,issued_at\n")
    told = run(explain, played, BOB).output
    assert "412 of 480 h; longest gap 277 h" in told  # the last: after the last heartbeat
    assert "no pass yet" in told


def test_explain_in_json_has_the_numbers_as_they_are(played: Network) -> None:
    told = json.loads(run(explain, played, ALICE, "--json").output)
    (standing,) = told["standings"]
    assert (standing["score"], standing["rank"], standing["members"], standing["line"], standing["distance"]) == (
        113_500_000,
        1,
        1,
        1,
        None,
    )
    assert standing["counts"]["frames"] == 12
    creator, worker = told["progress"]
    assert creator["eligible"]
    assert creator["have"] == {"recharged": 6_001_500_000, "spent": 5_000_000_000}
    assert worker == {
        "role": 2,
        "eligible": False,
        "have": {"online": 0, "longest_gap": 43_200},
        "of": {"online": 28_800, "longest_gap": 4_320},
    }


def test_explain_follows_a_moved_account(played: Network) -> None:
    played.send("links", {"from": BOB, "to": DAVE, "at": T - DAY})
    assert "It is now 0x" in run(explain, played, BOB).output
    assert "412 of 480 h" in run(explain, played, DAVE).output


def test_explain_refuses_what_is_no_address(played: Network) -> None:
    result = run(explain, played, "0x12")
    assert (result.exit_code, result.output) == (1, "Error: not an address: '0x12'\n")


def test_the_longest_gap_includes_the_edges_of_the_window() -> None:
    assert longest_gap([], 0, 10 * MINUTE) == 10
    assert longest_gap([4], 0, 10 * MINUTE) == 5
    assert longest_gap([0, 1, 9], 0, 10 * MINUTE) == 7
    assert longest_gap(list(range(10)), 0, 10 * MINUTE) == 0
