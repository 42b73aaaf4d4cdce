"""`ape run demo`: the whole system on a local chain, as a tour: from a network's activity to members that anybody can verify."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
from eth_typing import Hash32

from pictor.chain import ChainError, Deployment, LocalSigner, send
from pictor.chain.anvil import anvil
from pictor.chain.node import Chain
from pictor.chain.status import read_status
from pictor.policy import DEFAULT_PATH
from pictor.units import DAY, HOUR, Address, Role, Timestamp, format_micro, to_checksum
from scripts._ape import ROOT, artifacts
from scripts._stage import Attestors, Payments, Play, attestors, command, deploy_usdt, emptied, key, named, say, test_account, title

if TYPE_CHECKING:
    from pictor.epoch.archive import Archive
    from pictor.oracle.cycle import Cycle, Result

END = date(2026, 6, 1)  # the network's days end here, and so the demo is the same every time
DAYS, DAILY = 45, 3  # simulated; of these, handed in one by one
ORACLE, DEPLOYER, GUARDIAN, STRANGER = 0, 7, 8, 9  # Ape's test accounts; 1 to 5 are the attestors
ATTESTORS, THRESHOLD, OTHER_RULES, DOWN = (1, 2, 3, 4, 5), 3, 4, 5
PATIENCE = 120  # seconds for a step


@click.command()
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=Path("demo"), show_default=True, help="Emptied first.")
@click.option("--members", type=click.IntRange(200, 20_000), default=2_000, show_default=True, help="Of the simulated network.")
def cli(out: Path, members: int) -> None:
    """A local chain, a network of some thousand members, attestors that are processes of their own, and four epochs."""
    from pictor.oracle.view import FAILURES

    started = time.monotonic()
    emptied(out)
    end = int(datetime(END.year, END.month, END.day, tzinfo=UTC).timestamp())
    try:
        with ExitStack() as stack:
            begin = str(end - DAYS * DAY - 2 * HOUR)
            url = stack.enter_context(anvil("--timestamp", begin, "--slots-in-an-epoch", "1", "--base-fee", "0", "--order", "fifo"))
            play = Play(Chain.connect(url), url, out.resolve(), end)
            tour(play, members, stack)
    except FAILURES as error:
        raise click.ClickException(f"{error} (what was made so far lies in {out})") from error
    say()
    say(f"{time.monotonic() - started:.0f} s. All of it lies in {out}: ledger, archives, mailbox, logs, and two pictures of passes.")


def tour(play: Play, members: int, stack: ExitStack) -> None:
    """The chapters, in order."""
    simulate_network(play, members)
    pay_on_chain(play)
    deploy(play)
    hand_in(play, "history", play.midnight(DAILY), backfill=True)
    running = start_attestors(play, stack)
    oracle = start_oracle(play)

    title(f"Epoch {epoch(play, 3)}: whoever has earned a pass gets one")
    issue_passes(play, oracle, running)
    title(f"Epoch {epoch(play, 2)}: scores, attested 3 of 5, posted, and the best copied into storage")
    post_scores(play, oracle, running)
    title(f"Epoch {epoch(play, 1)}: a quorum that was fooled signs what cannot be true")
    post_and_challenge_a_lie(play, oracle)
    title(f"Epoch {epoch(play, 0)}: repairs it")
    repair(play, oracle, running)
    leaderboard(play)
    verify_from_outside(play)
    list_moved(oracle)


def epoch(play: Play, days_before_end: int) -> int:
    """The epoch that ends then."""
    return play.midnight(days_before_end) // DAY


def day(days_before_end: int) -> str:
    """The folder of what was handed in that day."""
    return str(END - timedelta(days=days_before_end))


# ------------------------------------------------------------------------------------------------------ a network


def simulate_network(play: Play, members: int) -> None:
    """What happened on a network that never was."""
    from pictor.activity.simulate import Network, simulate

    title("A network, and 45 days of what its members did")
    command(f"ape run simulate --members {members} --on-chain 30 --daily {DAILY} --out demo/network")
    made = simulate(Network(members, END, days=DAYS, daily=DAILY, on_chain=30), play.out / "network")
    say(f"{members:,} members, {made.workers:,} of them workers; {made.rows['heartbeats']:,} heartbeats, {made.rows['frames']:,} frames,")
    say(f"{made.rows['recharges']:,} recharges by card, {made.transfers:,} by USDT on a chain, {made.moved} lost wallets")


def pay_on_chain(play: Play) -> None:
    """The recharges by USDT, as transfers on the chain, each in its hour."""
    title("A chain of our own, and the USDT that was paid on it")
    token = deploy_usdt(play.chain, LocalSigner(key(DEPLOYER)))
    play.payments = Payments(token, named("treasury"), play.out / "network" / "transfers.csv")
    paid = play.live(play.midnight(DAILY) - 6 * HOUR)
    say(f"anvil, chain {play.chain.id}: {paid:,} transfers to the treasury in {play.chain.block().number:,} blocks")
    rules = DEFAULT_PATH.read_text()
    chains = f'[{{ chain_id = {play.chain.id}, token = "{token}", treasury = "{named("treasury")}", first_block = 0 }}]'
    for old, new in {"sources = []": 'sources = ["gateway"]', "\nchains = []": f"\nchains = {chains}"}.items():
        rules = rules.replace(old, new)
    (play.out / "policy.toml").write_text(rules)
    (play.out / "other-policy.toml").write_text(rules.replace("pass_points = 100 ", "pass_points = 900 "))


def deploy(play: Play) -> None:
    """The contracts, as on any other chain."""
    from pictor.chain.deploy import DEPLOYED, Deployer, parse_config

    title("The contracts")
    command("ape run deploy --config deploy.toml --account deployer --yes")
    config = parse_config(
        {
            "chain_id": play.chain.id,
            "attestors": [test_account(number) for number in ATTESTORS],
            "threshold": THRESHOLD,
            "admin": named("admin"),
            "admin_delay": 7 * DAY,
            "governors": [named("governor")],
            "governor_delay": 2 * DAY,
            "guardians": [test_account(GUARDIAN)],
            "issue_limit": 5_000,
            "epoch_length": DAY,
            "activation_delay": DAY // 4,
            "priority_share": 1_000,
        }
    )
    deployer = Deployer(play.chain, config, artifacts(DEPLOYED), test_account(DEPLOYER), play.out / "deployments")
    deployment = deployer.run(LocalSigner(key(DEPLOYER)), deployer.rehearse(), lambda *_: None)
    for name, contract in deployment.contracts.items():
        say(f"{name:18} {to_checksum(contract.address)}")
    say("read back: code, roles, delays, committee and parameters are what was asked for, and the deployer has no power")


def hand_in(play: Play, folder: str, complete_until: int, *, backfill: bool = False) -> None:
    """What the network's gateway says, up to a moment."""
    from pictor.activity.ingest import ingest
    from pictor.activity.intake import find
    from pictor.activity.ledger import Ledger

    options = f"--source gateway {'--backfill ' if backfill else ''}--complete-until {complete_until}"
    command(f"ape run ingest --ledger demo/ledger {options} demo/network/{folder}")
    ledger = Ledger.open(play.out / "ledger", create=True)
    files, _ = find(play.out / "network" / folder, None)
    now, until = max(complete_until + 60, play.chain.block().timestamp), Timestamp(complete_until)
    summary = ingest(ledger, files, now=now, late_limit=35 * DAY, source="gateway", backfill=backfill, complete_until=until)
    taken = sum(counts.taken for counts in summary.tables.values())
    aside = sum(counts.conflicts + counts.late + counts.quarantined for counts in summary.tables.values())
    say(f"{taken:,} rows taken, {aside} kept aside with their reasons; the ledger is at {str(summary.position)[:20]}…")


# ------------------------------------------------------------------------------------------------------ the parties


def start_attestors(play: Play, stack: ExitStack) -> Attestors:
    """Four of five; one of them goes by rules of its own."""
    title("Five attestors, each with a mirror of the ledger and rules that it read itself")
    command("ape run attest --watch --account attestor --source LEDGER --ledger MIRROR …")
    policies = {number: play.out / "policy.toml" for number in ATTESTORS if number != DOWN}
    policies[OTHER_RULES] = play.out / "other-policy.toml"
    say(f"{len(policies)} are processes of their own now; attestor {DOWN} is down, attestor {OTHER_RULES} wants 900 points for a pass")
    return stack.enter_context(attestors(play.url, play.out, policies))


def start_oracle(play: Play) -> Cycle:
    """The oracle's cycle, run here; `ape run oracle run` does the same for ever."""
    from pictor.activity.ledger import Ledger
    from pictor.chain.sender import JournalledSender
    from pictor.oracle.cycle import Cycle
    from pictor.oracle.mailbox import Mailbox
    from pictor.oracle.view import View

    deployment, ledger = Deployment.load(play.out / "deployments", play.chain.id), Ledger.open(play.out / "ledger")
    rules = (play.out / "policy.toml").read_text()
    view = View.open(deployment, play.chain, {play.chain.id: play.chain}, ledger, rules, play.out / "oracle")
    view.check()
    sender = JournalledSender(play.chain, LocalSigner(key(ORACLE)), play.out / "oracle" / "sender")
    return Cycle(view, Mailbox.open(play.out / "mailbox", view.registry), str(play.out / "archives"), sender)


def run_until(oracle: Cycle, running: Attestors, outcome: str, *, passes: bool = False) -> Result:
    """Cycles until the report, or the passes, are where they should be."""
    deadline = time.monotonic() + PATIENCE
    while True:
        result = oracle.run()
        if result.outcome.name == outcome and (not passes or oracle.view.contracts().vip_pass.ever_issued(Role.CREATOR)):
            return result
        running.check()
        if time.monotonic() > deadline:
            raise ChainError(f"epoch {result.epoch}: {result.outcome.value}, {' '.join(result.details)}, after {PATIENCE} s")
        time.sleep(0.3)


def say_who_signed(play: Play, running: Attestors) -> None:
    """The attestors' own words."""
    refused = next(line for line in reversed(running.log(OTHER_RULES)) if "not the same" in line)
    posted = play.contracts.registry.events(0, "Submitted")[-1]
    gas = gas_of(play, posted.transaction)
    say(f"signed by {THRESHOLD} of {len(ATTESTORS)}, in one transaction of {gas:,} gas, however many members there are")
    say(f"attestor {OTHER_RULES}, outvoted: {refused[:108]}…")


def gas_of(play: Play, transaction: bytes) -> int:
    """What a transaction took."""
    return play.chain.web3.eth.get_transaction_receipt(transaction)["gasUsed"]  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------------------ epochs


def issue_passes(play: Play, oracle: Cycle, running: Attestors) -> None:
    """The first epoch: nobody holds a pass yet, so there is no report."""
    play.live(play.midnight(3) + HOUR)
    command("ape run oracle once --yes --account oracle --wait 600")
    run_until(oracle, running, "NO_MEMBERS", passes=True)
    vip_pass = play.contracts.vip_pass
    transactions = {event.transaction for event in vip_pass.events(0, "Transfer")}
    count = {role: vip_pass.members(role) for role in Role}
    gas = sum(gas_of(play, one) for one in transactions) // sum(count.values())
    say(f"{count[Role.CREATOR]} creators and {count[Role.WORKER]} workers, in {len(transactions)} transactions: {gas:,} gas each")


def post_scores(play: Play, oracle: Cycle, running: Attestors) -> None:
    """The first report; nobody believes it before its delay is over."""
    hand_in(play, day(3), play.midnight(2))
    play.live(play.midnight(2) + HOUR)
    run_until(oracle, running, "POSTED")
    say_who_signed(play, running)
    best = rows(play, epoch(play, 2), Role.CREATOR, 1)[0]
    wallet = Address(best["account"])
    say(f"now: {to_checksum(wallet)}, rank 1, {priority(play, wallet)}")
    delay = play.contracts.registry.activation_delay()
    play.live(play.chain.block().timestamp + delay)
    say(f"{delay // HOUR} h later, in which anybody could challenge and the guardian veto: {priority(play, wallet)}")


def post_and_challenge_a_lie(play: Play, oracle: Cycle) -> None:
    """Three keys sign a report in which the better rank has the lower score. A stranger proves it."""
    from pictor.epoch.messages import Report, join_signatures
    from pictor.epoch.standings import Leaves

    hand_in(play, day(2), play.midnight(1))
    play.live(play.midnight(1) + HOUR)
    with archive(play, epoch(play, 2)) as old:
        true = old.check()
        scores = true.scores.copy()
        scores[0], scores[1] = scores[1] // 2, scores[0]
        lie = Leaves(true.passes, scores.astype(np.int64), true.ranks, true.creators)
        policy_hash = old.policy.hash()
    tree, registry = lie.tree(), play.contracts.registry
    report = Report(epoch(play, 1), tree.root, policy_hash, bytes(31) + b"\x01", lie.creators, len(lie) - lie.creators)
    digest = registry.report_digest(report)
    keys = [key(number) for number in ATTESTORS[:THRESHOLD]]
    signed = {bytes.fromhex(one.address[2:]): bytes(one.unsafe_sign_hash(Hash32(digest)).signature) for one in keys}
    send(play.chain, LocalSigner(key(STRANGER)), registry.submit(report, join_signatures(signed)))
    first, second = lie.standing(0), lie.standing(1)
    say(f"posted: rank 1 has {format_micro(first.score)} points, rank 2 has {format_micro(second.score)}")
    call = registry.challenge(report.epoch, first, tree.proof(0), second, tree.proof(1))
    receipt = send(play.chain, LocalSigner(key(STRANGER)), call)
    [event] = play.contracts.registry.events(receipt["blockNumber"], "Voided")
    by, reason = to_checksum(Address(event.arguments["by"])), event.arguments["reason"]
    say(f"challenged by {by}, a stranger, for {receipt['gasUsed']:,} gas: void, “{reason}”")
    say(f"the oracle: {oracle.run().outcome.value}; active is still epoch {active_epoch(play)}")


def repair(play: Play, oracle: Cycle, running: Attestors) -> None:
    """The next epoch needs nobody's help."""
    lose_a_wallet(play)
    hand_in(play, day(1), play.midnight(0))
    play.live(play.midnight(0) + HOUR)
    run_until(oracle, running, "POSTED")
    play.live(play.chain.block().timestamp + play.contracts.registry.activation_delay())
    oracle.run()
    say(f"active is epoch {active_epoch(play)}, which counts; the void one stays void")


def lose_a_wallet(play: Play) -> None:
    """The support desk's row: from now on a member is another account, and all it ever did counts there."""
    lost = Address(rows(play, epoch(play, 2), Role.WORKER, 3)[-1]["account"])
    row = {"ref": "support-1", "from": lost, "to": named("new wallet"), "at": play.midnight(1) + 8 * HOUR}
    (play.out / "network" / day(1) / "links-support.ndjson").write_text(json.dumps(row) + "\n")
    say(f"worker {to_checksum(lost)}, rank 3, has lost its wallet, and is now {to_checksum(named('new wallet'))}")


# ------------------------------------------------------------------------------------------------------ readers


def leaderboard(play: Play) -> None:
    """The best of each role, and what one of them looks like to a wallet."""
    for role in Role:
        title(f"The best {role.name.lower()}s")
        for row in rows(play, epoch(play, 0), role, 5):
            points = "  ".join(f"{name.replace('_', ' ')} {format_micro(row[name])}" for name in CRITERIA[role])
            say(f"{row['rank']:>3}  {to_checksum(Address(row['account']))}  {format_micro(row['score']):>14}   {points}")
    title("What any wallet can read of the first of them, from the chain alone")
    best = Address(rows(play, epoch(play, 0), Role.WORKER, 1)[0]["account"])
    command(f"ape run status {to_checksum(best)}")
    for line in read_status(play.contracts, best).lines():
        say(line)
    for role in Role:
        wallet = Address(rows(play, epoch(play, 0), role, 1)[0]["account"])
        save_art(play, wallet, role)


CRITERIA = {Role.CREATOR: ("spending", "completed_jobs"), Role.WORKER: ("average_uptime", "job_completion", "gpu_performance")}


def save_art(play: Play, wallet: Address, role: Role) -> None:
    """The picture of a pass, as its token URI has it."""
    from pictor.units import pass_id

    metadata: dict[str, Any] = json.loads(from_data_uri(play.contracts.vip_pass.token_uri(pass_id(role, wallet))))
    (play.out / f"pass-{role.name.lower()}.svg").write_bytes(from_data_uri(metadata["image"]))


def from_data_uri(uri: str) -> bytes:
    """What a base64 data URI holds."""
    return base64.b64decode(uri.partition(";base64,")[2], validate=True)


def verify_from_outside(play: Play) -> None:
    """Somebody with a node and the archive, who trusts nobody."""
    title("Anybody can check an epoch, from the very beginning, and any member's place in it")
    member = Address(rows(play, epoch(play, 0), Role.WORKER, 12)[-1]["account"])
    arguments = ["verify", "--epoch", str(epoch(play, 0)), "--account", to_checksum(member)]
    command(f"ape run {' '.join(arguments)} --archive demo/archives --ledger demo/ledger")
    places = ["--archive", play.out / "archives", "--ledger", play.out / "ledger", "--deployments", play.out / "deployments"]
    line = [str(part) for part in (Path(sys.executable).with_name("ape"), "run", *arguments, *places, "--network", play.url)]
    environment = {**os.environ, "HOME": str(play.out / "home")}
    done = subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    for told in done.stdout.splitlines():
        say(told if len(told) <= 140 else f"{told[:139]}…")
    if done.returncode:
        raise ChainError(f"ape run verify: exit code {done.returncode} {done.stderr.strip()}")


def list_moved(oracle: Cycle) -> None:
    """Passes that count for nothing any more."""
    from pictor.oracle.moved import moved_passes

    title("Passes that moved accounts still hold, for the guardian to revoke")
    command("ape run oracle check …")
    oracle.view.rollups.update()
    moved = moved_passes(oracle.view)
    for one in moved[:3]:
        say(f"{to_checksum(one.account)} is now {to_checksum(one.to)}: a {one.role.name.lower()}'s pass")
    say(f"{len(moved)} in all; `ape run govern VIPPass revoke PASS_ID 'moved'` takes them away" if moved else "there are none")


def priority(play: Play, wallet: Address) -> str:
    """In words."""
    return "is prioritised" if play.contracts.registry.is_prioritized(wallet, Role.CREATOR) else "is not prioritised"


def active_epoch(play: Play) -> int:
    """The epoch whose report counts."""
    active = play.contracts.registry.active_report()
    return active.epoch if active else 0


def archive(play: Play, number: int) -> Any:
    """An epoch's archive, to be opened."""
    from pictor.oracle.verify import Posted

    deployment = Deployment.load(play.out / "deployments", play.chain.id)
    return Posted.find(deployment, play.chain, number).archive(str(play.out / "archives"))


def rows(play: Play, number: int, role: Role, most: int) -> list[dict[str, Any]]:
    """The best of a role in an epoch's archive."""
    with archive(play, number) as opened:
        one: Archive = opened
        table = one.table("standings").to_pylist()
    return sorted((row for row in table if row["role"] == role and row["rank"] <= most), key=lambda row: row["rank"])
