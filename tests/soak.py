"""The whole system for some minutes, as operator and attestors run it, its oracle killed at random: `python -m tests.soak`.

A chain of its own with blocks every two seconds, epochs of a minute, every party a process of its own that is started by its command. What
happens on the network is made up as time passes. The oracle is killed (SIGKILL) again and again and started anew, and one attestor is
rotated out in the middle. At the end every epoch that was posted is verified from the outside, from the archive and from the ledger.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from eth_account import Account

from pictor.chain import Chain, Contracts, Deployment
from pictor.chain.anvil import anvil
from pictor.policy import DEFAULT_PATH
from pictor.units import MICRO, Address, Role, last_ended_epoch, parse_address
from tests.e2e.support import ape_command, ape_environment, to_toml
from tests.unit.feeds import write

CHAIN_ID = 99_124
MNEMONIC = "test test test test test test test test test test test junk"  # of Ape's TEST:: accounts, which anvil gives money
EPOCH = 60  # seconds
DELAY = 20  # seconds until a report counts, and until a governor's act can be done
ATTESTORS, THRESHOLD = (1, 2, 3, 4, 5), 3
LEAVES, COMES = 5, 6  # the attestors who change places
ORACLE, DEPLOYER, GOVERNOR, GUARDIAN = 0, 7, 8, 9
CHANGES = {  # of the shipped policy: a minute's epoch, and passes that are soon earned
    "epoch_length = 86_400": f"epoch_length = {EPOCH}",
    "sources = []": 'sources = ["feed"]',
    "grace = 21_600": "grace = 45",
    "min_uptime = 28_800": "min_uptime = 60",
    "max_offline = 259_200": "max_offline = 2_592_000",
    "max_account_share = 2_500": "max_account_share = 9_000",
    "max_score_jump = 5_000": "max_score_jump = 100_000",
}


def account(number: int) -> Address:
    """One of Ape's test accounts."""
    Account.enable_unaudited_hdwallet_features()
    return parse_address(Account.from_mnemonic(MNEMONIC, account_path=f"m/44'/60'/0'/0/{number}").address)


CREATORS = [Address(f"0x{number:040x}") for number in range(0xC001, 0xC00F)]
WORKERS = [Address(f"0x{number:040x}") for number in range(0xA001, 0xA00C)]


@dataclass
class World:
    """The chain, everybody's files below one folder, and the processes that run."""

    url: str
    folder: Path
    running: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)
    logs: dict[str, TextIO] = field(default_factory=dict)

    @property
    def contracts(self) -> Contracts:
        """The contracts as they are now."""
        chain = Chain.connect(self.url)
        return Deployment.load(self.folder / "deployments", CHAIN_ID).gateways(chain, chain.block())

    def run(self, *arguments: str) -> str:
        """A command that ends; what it prints. Raises CalledProcessError."""
        environment = ape_environment(self.folder)
        done = subprocess.run(ape_command(*arguments), env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"ape run {' '.join(arguments)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def start(self, name: str, *arguments: str) -> None:
        """A command that goes on; what it prints goes to a file of its name."""
        log = self.logs.setdefault(name, (self.folder / f"{name}.log").open("a"))
        self.running[name] = subprocess.Popen(
            ape_command(*arguments), env=ape_environment(self.folder), stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )

    def end(self, name: str, how: signal.Signals) -> int:
        """Ends a process that was started; its exit code."""
        process = self.running.pop(name)
        if (code := process.poll()) is not None:
            raise SystemExit(f"{name} ended by itself, exit code {code}: see {self.folder / name}.log")
        process.send_signal(how)
        return process.wait(timeout=60)

    def kill(self) -> None:
        """Leaves nothing running."""
        for process in self.running.values():
            process.kill()

    def chain_options(self) -> list[str]:
        """Where the chain and its contracts are."""
        return ["--network", self.url, "--deployments", str(self.folder / "deployments")]

    def party(self, name: str, ledger: str) -> list[str]:
        """What every party's command is told."""
        options = {"--ledger": ledger, "--mailbox": "mailbox", "--archives": "archives", "--state": name, "--policy": "policy.toml"}
        return [part for option, value in options.items() for part in (option, str(self.folder / value))] + self.chain_options()

    def start_oracle(self) -> None:
        """The oracle's service."""
        self.start("oracle", "oracle", "run", "--yes", "--account", f"TEST::{ORACLE}", "--every", "2", *self.party("oracle", "ledger"))

    def start_attestor(self, number: int) -> None:
        """An attestor's service."""
        name = f"attestor-{number}"
        mine = self.party(name, f"{name}-ledger")
        source = ("--source", str(self.folder / "ledger"))
        self.start(name, "attest", "--watch", "--every", "3", "--account", f"TEST::{number}", *source, *mine)


def deploy(world: World) -> None:
    """By the operator's command, as docs/operating.md has it."""
    config = {
        "chain_id": CHAIN_ID,
        "attestors": [account(number) for number in ATTESTORS],
        "threshold": THRESHOLD,
        "admin": account(DEPLOYER + 100),
        "admin_delay": 3_600,
        "governors": [account(GOVERNOR)],
        "governor_delay": DELAY,
        "guardians": [account(GUARDIAN)],
        "issue_limit": 1_000,
        "epoch_length": EPOCH,
        "activation_delay": DELAY,
        "priority_share": 1_000,
    }
    (world.folder / "deploy.toml").write_text(to_toml(config))
    world.run("deploy", "--config", str(world.folder / "deploy.toml"), "--account", f"TEST::{DEPLOYER}", "--yes", *world.chain_options())
    rules = DEFAULT_PATH.read_text()
    for old, new in CHANGES.items():
        assert old in rules
        rules = rules.replace(old, new)
    (world.folder / "policy.toml").write_text(rules)


def feed(world: World, chance: random.Random, first: int, end: int) -> None:
    """Hands in what happened in `[first, end)`, and says that this is all."""
    inbox = world.folder / "inbox" / str(end)
    inbox.mkdir(parents=True)
    minutes = range(first // 60 * 60, end, 60)
    rows: dict[str, list[dict[str, Any]]] = {
        "heartbeats": [{"worker": one, "at": max(at, first)} for at in minutes for one in WORKERS if chance.random() < 0.9],
        "frames": [
            {
                "ref": f"{end}-{number}",
                "job": "job",
                "frame": number,
                "creator": chance.choice(CREATORS),
                "worker": chance.choice(WORKERS),
                "outcome": chance.choice(("completed", "completed", "failed")),
                "at": chance.randrange(first, end),
            }
            for number in range(200)
        ],
    }
    for table in ("recharges", "spends"):
        rows[table] = [
            {"ref": f"{end}-{one}", "account": one, "amount": chance.randrange(1, 9_000) * MICRO, "kind": "paid", "at": first}
            | ({"job": "job"} if table == "spends" else {})
            for one in CREATORS
        ]
    for table, some in rows.items():
        write(inbox / f"{table}.ndjson", some)
    told = ("--source", "feed", "--complete-until", str(end), "--policy", str(world.folder / "policy.toml"))
    world.run("ingest", "--ledger", str(world.folder / "ledger"), *told, str(inbox))


def rotate(world: World) -> None:
    """Puts one attestor into the place of another: scheduled, and done when the governor's delay is over."""
    change = (json.dumps([account(COMES)]), json.dumps([account(LEAVES)]), str(THRESHOLD))
    for pause in (DELAY + 4, 0):
        world.run("govern", "AttestorCommittee", "rotate", *change, "--account", f"TEST::{GOVERNOR}", "--yes", *world.chain_options())
        time.sleep(pause)
    world.end(f"attestor-{LEAVES}", signal.SIGTERM)
    world.start_attestor(COMES)


def verify(world: World) -> list[int]:
    """Checks every epoch that was posted, from the outside; which they are."""
    events = world.contracts.registry.events(0, "Submitted")
    epochs = [event.arguments["epoch"] for event in events]
    if len(set(epochs)) < len(epochs):
        raise SystemExit(f"an epoch was posted twice: {epochs}")
    places = ("--archive", str(world.folder / "archives"), *world.chain_options())
    for epoch in epochs:
        world.run("verify", "--epoch", str(epoch), *places)
        world.run("verify", "--epoch", str(epoch), "--ledger", str(world.folder / "ledger"), *places)
        say(f"epoch {epoch} verified, from its archive and from the ledger")
    return epochs


def say(text: str) -> None:
    """A line, with the time."""
    print(time.strftime("%H:%M:%S"), text, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--epochs", type=int, default=10, help="reports to be posted")
    parser.add_argument("--kills", type=int, default=20, help="times that the oracle is killed meanwhile")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("out/soak"), help="emptied first")
    options = parser.parse_args()
    chance = random.Random(options.seed)
    shutil.rmtree(options.out, ignore_errors=True)
    options.out.mkdir(parents=True)
    with ExitStack() as stack:
        url = stack.enter_context(anvil("--block-time", "2", "--slots-in-an-epoch", "1", "--chain-id", str(CHAIN_ID)))
        world = World(url, options.out.resolve())
        stack.callback(world.kill)
        return soak(world, chance, options.epochs, options.kills)


def soak(world: World, chance: random.Random, epochs: int, kills: int) -> int:
    """Everything, from the deployment to the last check."""
    deploy(world)
    say("deployed")
    now = int(time.time())
    fed = last_ended_epoch(now, EPOCH) * EPOCH
    feed(world, chance, fed - 3 * 3_600, fed)
    world.start_oracle()
    for number in ATTESTORS:
        world.start_attestor(number)
    killed, rotated, posted, deadline = 0, False, 0, now + 3 * EPOCH * (epochs + 4)
    next_kill = now + 30
    while posted < epochs or killed < kills or not rotated:
        time.sleep(0.5)
        now = int(time.time())
        if now > deadline:
            raise SystemExit(f"too slow: {posted} of {epochs} epochs posted, {killed} kills")
        if now >= fed + EPOCH:
            end = now // EPOCH * EPOCH
            feed(world, chance, fed, end)
            fed = end
        if killed < kills and time.time() > next_kill:
            world.end("oracle", signal.SIGKILL)
            world.start_oracle()
            killed += 1
            next_kill = int(time.time()) + chance.randrange(8, max(9, 2 * EPOCH * epochs // kills - 8))
        count = len(world.contracts.registry.events(0, "Submitted"))
        if count > posted:
            posted = count
            say(f"epoch {world.contracts.registry.last_epoch()} posted; {killed} kills so far")
        if posted >= epochs // 2 and not rotated:
            rotate(world)
            rotated = True
            say("an attestor was rotated")
    for name in list(world.running):
        if code := world.end(name, signal.SIGTERM):
            raise SystemExit(f"{name}: exit code {code} after SIGTERM: see {world.folder / name}.log")
    verified = verify(world)
    members = {role.name.lower(): world.contracts.vip_pass.members(role) for role in Role}
    sent = world.contracts.registry.chain.nonce(account(ORACLE))
    say(f"{len(verified)} epochs posted and verified, {killed} kills, passes held: {members}, {sent} transactions by the oracle")
    wanted = {"creator": len(CREATORS), "worker": len(WORKERS)}
    if members != wanted:
        raise SystemExit(f"passes held: {members}, earned: {wanted}")
    return 0


if __name__ == "__main__":
    os.chdir(Path(__file__).resolve().parent.parent)
    sys.exit(main())
