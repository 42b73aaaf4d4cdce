"""Checking an epoch from the outside: what is true passes, and each lie is found and named."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pictor.activity.ledger import Ledger
from pictor.chain import ChainError, send
from pictor.epoch.archive import Contents, compose, open_archive, write_archive
from pictor.epoch.manifest import ArchiveError
from pictor.epoch.messages import Report, join_signatures
from pictor.epoch.standings import Standing
from pictor.oracle.moved import moved_passes
from pictor.oracle.verify import DifferenceError, NoReportError, Posted, prove, verify, verify_from_ledger
from pictor.oracle.view import View
from pictor.units import DAY, Role, pass_id
from tests.e2e.oracles import CREATORS, FIRST, WORKERS, Network, activity, network, policy, undone
from tests.e2e.support import address, ape_run, key, signer
from tests.unit.feeds import contents as rows_of

EPOCH = FIRST + 1


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """A network whose members have a report, signed and posted; one of them has moved since, and has a pass still."""
    with network(tmp_path_factory.mktemp("network")) as net:
        net.with_members()
        net.end_epoch(EPOCH)
        net.oracle().run()
        net.sign(0, 1, 2)
        net.oracle().run()
        yield net


@pytest.fixture
def net(reported: Network, tmp_path: Path) -> Iterator[Network]:
    """The same for each test, with files of its own."""
    with undone(reported, tmp_path) as net:
        for name in ("archives", "ledger", "mailbox"):
            shutil.copytree(reported.folder / name, tmp_path / name)
        yield net


def checks(net: Network, *, ledger: bool = False) -> list[str]:
    """What passes."""
    posted = Posted.find(net.deployment, net.chain, EPOCH)
    with posted.archive(net.archives) as archive:
        passed = list(verify(posted, archive, net.deployment, net.folder / "scratch"))
        if ledger:
            view = View.open(net.deployment, net.chain, {}, net.ledger, archive.policy_text(), net.folder / "scratch")
            passed += verify_from_ledger(archive, view)
        return passed


def forged(net: Network, change: Callable[[Contents], Contents]) -> None:
    """A quorum signs and posts a changed report of the next epoch: from then on it is the one that is looked at."""
    posted = Posted.find(net.deployment, net.chain, EPOCH)
    with posted.archive(net.archives) as archive:
        tables = {name: archive.table(name) for name in ("inputs", "standings", "issued")}
        contents = Contents(archive.policy_text(), **tables, tree=archive.tree, statement=archive.statement)
        contents = change(contents)
    net.end_epoch(EPOCH + 1)
    statement = replace(contents.statement, epoch=EPOCH + 1)
    written = write_archive(replace(contents, statement=statement), net.archives)
    post(net, statement.report(written.hash))


def post(net: Network, report: Report, signers: tuple[int, ...] = (0, 1, 2)) -> None:
    """Some attestors sign a report, and it is posted."""
    registry = net.contracts.registry
    domain = Posted.find(net.deployment, net.chain, EPOCH).domain
    signed = {
        bytes.fromhex(address(f"attestor {i}")[2:]): bytes(key(f"attestor {i}").sign_message(report.signable(domain)).signature)
        for i in signers
    }
    send(net.chain, signer("other oracle"), registry.submit(report, join_signatures(signed)))


def lie_of(net: Network, epoch: int = EPOCH + 1) -> str:
    """The difference that is found."""
    posted = Posted.find(net.deployment, net.chain, epoch)
    with posted.archive(net.archives) as archive, pytest.raises(DifferenceError) as found:
        list(verify(posted, archive, net.deployment, net.folder / "scratch"))
    return str(found.value)


def recomposed(contents: Contents, **tables: pa.Table) -> Contents:
    """The same statement around other tables, with their tree."""
    inputs, standings = tables.get("inputs", contents.inputs), tables.get("standings", contents.standings)
    said = contents.statement
    return compose(said.epoch, said.registry, contents.policy, inputs, standings, contents.issued, said.cut, said.holders, said.recharges)


def with_value(table: pa.Table, column: str, row: int, value: Any) -> pa.Table:
    """A table with one value changed."""
    values = table[column].to_pylist()
    values[row] = value
    return table.set_column(
        table.schema.get_field_index(column), table.schema.field(column), pa.array(values, table.schema.field(column).type)
    )


# ------------------------------------------------------------------------------------------------------ what is true


def test_a_good_epoch_passes_from_its_archive_and_from_the_ledger(net: Network) -> None:
    passed = checks(net, ledger=True)
    assert len(passed) == 7
    assert "7 creators, 5 workers, pending" in passed[0]
    assert "signed by 3 of 5 attestors (3 needed)" in passed[3]
    assert "all 12 scored passes were held" in passed[4]


def test_a_members_proof_is_taken_by_the_contract(net: Network) -> None:
    posted = Posted.find(net.deployment, net.chain, EPOCH)
    with posted.archive(net.archives) as archive:
        [best] = prove(posted, archive, CREATORS[-1])
        assert prove(posted, archive, address("nobody")) == []
    assert (best.role, best.standing.rank, best.prioritized) == (Role.CREATOR, 1, True)
    assert net.contracts.registry.verify(EPOCH, best.standing, best.proof)


def test_a_void_report_is_told_as_void(net: Network) -> None:
    send(net.chain, signer("guardian"), net.contracts.registry.call("veto", EPOCH, "a test"))
    assert "void" in checks(net)[0]


def test_an_epoch_that_nobody_posted_is_no_difference(net: Network) -> None:
    with pytest.raises(NoReportError, match=f"epoch {EPOCH + 5}"):
        Posted.find(net.deployment, net.chain, EPOCH + 5)


# ------------------------------------------------------------------------------------------------------ what is not


def test_a_score_that_does_not_follow_from_the_counts_is_named(net: Network) -> None:
    def change(contents: Contents) -> Contents:
        rows = contents.standings
        richer = rows["score"][0].as_py() + 1
        points = with_value(rows, "spending", 0, rows["spending"][0].as_py() + 1)
        return recomposed(contents, standings=with_value(points, "score", 0, richer))

    forged(net, change)
    said = lie_of(net)
    assert said.startswith(f"standings: {min(CREATORS)} with role 1: ")
    assert "score" in said


def test_a_member_who_holds_no_pass_is_named(net: Network) -> None:
    stranger = "0x" + "01" * 20

    def change(contents: Contents) -> Contents:
        inputs = with_value(contents.inputs, "account", 0, stranger)
        standings = with_value(contents.standings, "account", 0, stranger)
        return recomposed(contents, inputs=inputs, standings=standings)

    forged(net, change)
    assert "holders: " in (said := lie_of(net))
    assert stranger in said


def test_an_archive_that_was_changed_afterwards_is_refused(net: Network) -> None:
    folder = next((net.folder / "archives").glob(f"{EPOCH}-*"))
    damaged = bytearray((folder / "tree.bin").read_bytes())
    damaged[5] ^= 1
    (folder / "tree.bin").write_bytes(damaged)
    with pytest.raises(ArchiveError, match=r"tree\.bin"):
        checks(net)


def test_another_policy_is_refused(net: Network) -> None:
    folder = next((net.folder / "archives").glob(f"{EPOCH}-*"))
    (folder / "policy.toml").write_text(policy(pass_points="90"))
    with pytest.raises(ArchiveError, match=r"policy\.toml"):
        checks(net)


def test_the_archive_of_another_epoch_is_refused(net: Network) -> None:
    folder = next((net.folder / "archives").glob(f"{EPOCH}-*"))
    forged(net, lambda contents: contents)
    posted = Posted.find(net.deployment, net.chain, EPOCH + 1)
    with pytest.raises(ArchiveError, match="is of archive"), posted.archive(str(folder)):
        pass


def test_counts_that_the_ledger_does_not_come_to_are_named(net: Network) -> None:
    def change(contents: Contents) -> Contents:
        inputs = with_value(contents.inputs, "recharged", 0, contents.inputs["recharged"][0].as_py() + 10**6)
        rows = contents.standings
        points = with_value(rows, "spending", 0, rows["spending"][0].as_py() + 10**6)
        return recomposed(contents, inputs=inputs, standings=with_value(points, "score", 0, rows["score"][0].as_py() + 10**6))

    posted = Posted.find(net.deployment, net.chain, EPOCH)
    with posted.archive(net.archives) as archive:
        tables = {name: archive.table(name) for name in ("inputs", "standings", "issued")}
        lying = change(Contents(archive.policy_text(), **tables, tree=archive.tree, statement=archive.statement))
    with open_archive(write_archive(lying, net.archives).url) as archive:
        view = View.open(net.deployment, net.chain, {}, net.ledger, archive.policy_text(), net.folder / "scratch")
        with pytest.raises(DifferenceError, match=r"^inputs: 0x[0-9a-f]{40} with role 1: recharged \d+, here \d+$"):
            list(verify_from_ledger(archive, view))


def test_a_rewritten_ledger_is_found(net: Network) -> None:
    other = Ledger.open(net.folder / "other", create=True)
    changed = net.changed(folder=net.folder / "elsewhere")
    changed.folder.mkdir()
    changed.hear(activity(FIRST - 1, CREATORS[:3]), FIRST * DAY)
    for day in range(4):
        changed.hear(activity(FIRST + day, CREATORS[:1], []), FIRST * DAY)
    assert rows_of(changed.ledger, "recharges")
    posted = Posted.find(net.deployment, net.chain, EPOCH)
    with posted.archive(net.archives) as archive:
        view = View.open(net.deployment, net.chain, {}, changed.ledger, archive.policy_text(), net.folder / "scratch")
        with pytest.raises(DifferenceError):
            list(verify_from_ledger(archive, view))
        behind = View.open(net.deployment, net.chain, {}, other, archive.policy_text(), net.folder / "scratch 2")
        with pytest.raises(ChainError, match="mirror it first"):
            list(verify_from_ledger(archive, behind))


# ------------------------------------------------------------------------------------------------------ moved accounts


def test_moved_accounts_that_hold_a_pass_are_listed(net: Network) -> None:
    net.hear({"links": [{"ref": "l", "from": WORKERS[0], "to": address("new wallet"), "at": FIRST * DAY}]}, EPOCH * DAY)
    view = net.view("lister")
    view.rollups.update()
    [moved] = moved_passes(view)
    assert (moved.account, moved.to, moved.pass_id) == (WORKERS[0], address("new wallet"), pass_id(Role.WORKER, WORKERS[0]))
    send(net.chain, signer("guardian"), net.contracts.vip_pass.call("revoke", moved.pass_id, "moved"))
    assert moved_passes(view) == []


# ------------------------------------------------------------------------------------------------------ the commands


def test_the_command_tells_what_passes_and_what_differs(net: Network) -> None:
    chain = ("--network", net.url, "--deployments", f"{net.folder}/deployments")
    told = ("--epoch", str(EPOCH), "--archive", net.archives, "--account", CREATORS[-1])
    said = ape_run("verify", *told, "--ledger", f"{net.folder}/ledger", "--json", *chain, home=net.folder)
    assert said.code == 0, said.err
    answer = json.loads(said.out)
    assert (answer["state"], answer["difference"], len(answer["checks"])) == ("pending", None, 7)
    [one] = answer["standings"]
    standing = Standing(pass_id(Role.CREATOR, CREATORS[-1]), one["standing"]["score"], one["standing"]["rank"])
    assert net.contracts.registry.verify(EPOCH, standing, [bytes.fromhex(node[2:]) for node in one["proof"]])

    forged(net, lambda contents: recomposed(contents, inputs=with_value(contents.inputs, "frames", 0, 5)))
    said = ape_run("verify", "--epoch", str(EPOCH + 1), "--archive", net.archives, *chain, home=net.folder)
    assert said.code == 1, said.err
    assert "DIFFERS  standings: " in said.out
    said = ape_run("verify", "--epoch", str(EPOCH), "--archive", f"{net.folder}/nowhere", *chain, home=net.folder)
    assert (said.code, said.err.count("\n")) == (3, 1)


def test_explain_reads_an_archive(net: Network) -> None:
    folder = next((net.folder / "archives").glob(f"{EPOCH}-*"))
    said = ape_run("explain", CREATORS[-1], "--archive", str(folder), "--json", home=net.folder)
    assert said.code == 0, said.err
    [standing] = json.loads(said.out)["standings"]
    posted = Posted.find(net.deployment, net.chain, EPOCH)
    with posted.archive(net.archives) as archive:
        row = archive.row("standings", Role.CREATOR, CREATORS[-1])
    assert row is not None
    assert (standing["score"], standing["rank"]) == (row["score"], row["rank"])
    said = ape_run("explain", address("nobody"), "--archive", str(folder), home=net.folder)
    assert (said.code, "no standing in this archive" in said.out) == (0, True)
    said = ape_run("explain", CREATORS[-1], "--archive", f"{net.folder}/nowhere", home=net.folder)
    assert (said.code, "nowhere' does not exist" in said.err) == (2, True)
