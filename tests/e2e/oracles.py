"""A small network for the oracle's tests: chain, ledger with some members' activity, attestors and oracles to be started at will."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from eth_account.messages import SignableMessage
from web3 import HTTPProvider

from pictor.activity.ledger import Ledger
from pictor.chain import Chain, Contracts, Deployment
from pictor.chain.anvil import anvil
from pictor.chain.sender import JournalledSender
from pictor.oracle.attest import Attestor, Held, Verdict
from pictor.oracle.cycle import Cycle
from pictor.oracle.guard import Guard
from pictor.oracle.mailbox import Mailbox
from pictor.oracle.proposal import Release
from pictor.oracle.view import View
from pictor.policy import DEFAULT_PATH
from pictor.units import DAY, Address, Timestamp
from tests.e2e.support import CHAIN_ID, address, deploy, fund, key, signer, tell
from tests.unit.feeds import feed

START = 1_780_228_800 // DAY * DAY  # a midnight: the first epoch ends a day later
FIRST = START // DAY + 1
CREATORS = [address(f"creator {i}") for i in range(7)]
WORKERS = [address(f"worker {i}") for i in range(5)]
# An hour of uptime earns a worker's pass here, and three members of a role are enough for the bounds.
CHANGES = {
    "min_uptime = 28_800": "min_uptime = 60",
    "max_offline = 259_200": "max_offline = 2_592_000",
    "min_members_for_bounds = 100": "min_members_for_bounds = 3",
    "max_account_share = 2_500": "max_account_share = 9_000",
    "sources = []": 'sources = ["manual"]',
}


def policy(**changes: str) -> str:
    """The policy of the tests; `changes` replace a value by its key."""
    text = DEFAULT_PATH.read_text()
    for old, new in CHANGES.items():
        assert old in text
        text = text.replace(old, new)
    for name, value in changes.items():
        lines = [f"{name} = {value}" if line.startswith(f"{name} = ") else line for line in text.splitlines()]
        assert lines != text.splitlines()
        text = "\n".join(lines) + "\n"
    return text


@dataclass(frozen=True)
class LocalMessageSigner:
    """Somebody's key, for messages."""

    name: str

    @property
    def signer(self) -> bytes:
        """See MessageSigner."""
        return bytes.fromhex(address(self.name)[2:])

    def sign_message(self, message: SignableMessage) -> bytes:
        """See MessageSigner."""
        return bytes(key(self.name).sign_message(message).signature)


@dataclass(frozen=True)
class Network:
    """A deployment, a ledger, a mailbox and archives, all below one folder."""

    url: str
    chain: Chain
    deployment: Deployment
    folder: Path
    policy: str

    @property
    def contracts(self) -> Contracts:
        """The contracts as they are now."""
        return self.deployment.gateways(self.chain, self.chain.block())

    @property
    def ledger(self) -> Ledger:
        """The operator's ledger."""
        return Ledger.open(self.folder / "ledger", create=True)

    @property
    def archives(self) -> str:
        """Where archives lie."""
        return str(self.folder / "archives")

    def hear(self, rows: dict[str, list[dict[str, Any]]], now: int, complete_until: int | None = None) -> None:
        """Takes rows into the ledger, as heard at `now`."""
        until = None if complete_until is None else Timestamp(complete_until)
        feed(self.ledger, self.folder / "feed", rows, now=now, complete_until=until)

    def view(self, name: str, ledger: Ledger | None = None, policy: str | None = None, provider: HTTPProvider | None = None) -> View:
        """The view of somebody with a folder of their own."""
        folder = self.folder / name
        ledger = ledger or self.ledger
        chain = Chain(provider or HTTPProvider(self.url))
        return View.open(self.deployment, chain, {chain.id: chain}, ledger, policy or self.policy, folder)

    def mailbox(self, view: View) -> Mailbox:
        """The mailbox."""
        return Mailbox.open(self.folder / "mailbox", view.registry)

    def oracle(self, name: str = "oracle", *, releases: tuple[Release, ...] = (), pays: bool = True, **view: Any) -> Cycle:
        """An oracle, that pays by an account of its name."""
        seen = self.view(name, **view)
        sender = JournalledSender(seen.chain, signer(name), self.folder / name / "sender") if pays else None
        return Cycle(seen, self.mailbox(seen), self.archives, sender, releases)

    def attestor(self, number: int, **view: Any) -> Attestor:
        """One of the five attestors, with a mirror of its own."""
        name = f"attestor {number}"
        folder = self.folder / name
        seen = self.view(name, Ledger.open(folder / "ledger", create=True), **view)
        parts = (Guard(folder / "guard"), LocalMessageSigner(name), Held(folder / "held.json"), self.ledger)
        return Attestor(seen, self.mailbox(seen), self.archives, *parts)

    def sign(self, *numbers: int) -> list[Verdict]:
        """What attestors, new ones each time, do about the newest proposal."""
        return [self.attestor(number).attend().verdict for number in numbers]

    def with_members(self, *, oracle: str = "oracle") -> "Network":
        """The same network after its first epoch: everybody in it has a pass."""
        self.hear(activity(FIRST - 1), FIRST * DAY)
        self.end_epoch(FIRST)
        cycle = self.oracle(oracle)
        cycle.run()
        self.sign(0, 1, 2)
        cycle.run()
        return self

    def transactions(self, name: str) -> int:
        """How many transactions somebody has sent."""
        return self.chain.nonce(address(name))

    def end_epoch(self, epoch: int, *, complete: bool = True) -> None:
        """Lets an epoch end, and its last block become final; the source says that it is complete."""
        tell(self.chain, "evm_setNextBlockTimestamp", epoch * DAY + 5)
        tell(self.chain, "anvil_mine", "0x4")
        if complete:
            self.hear({}, epoch * DAY + 10, epoch * DAY)

    def changed(self, **values: Any) -> "Network":
        """The same network, with some values changed."""
        return replace(self, **values)


def activity(day: int, creators: list[Address] = CREATORS, workers: list[Address] = WORKERS) -> dict[str, list[dict[str, Any]]]:
    """What earns all of them a pass, on one day; and, by and by, different scores."""
    at = day * DAY + 3_600
    return {
        "recharges": [
            {"ref": f"{day}-r{i}", "account": account, "amount": (5_000 + i) * 10**6, "kind": "paid", "at": at}
            for i, account in enumerate(creators)
        ],
        "spends": [
            {"ref": f"{day}-s{i}", "account": account, "amount": 5_000 * 10**6, "kind": "paid", "job": "j", "at": at}
            for i, account in enumerate(creators)
        ],
        "heartbeats": [{"worker": account, "at": at + 60 * minute} for i, account in enumerate(workers) for minute in range(60 + 10 * i)],
    }


@contextmanager
def network(folder: Path, **config: Any) -> Iterator[Network]:
    """A network on a chain of its own, at noon of the day that the first epoch ends with; nobody has a pass yet."""
    with anvil("--chain-id", str(CHAIN_ID), "--timestamp", str(START + DAY // 2), "--slots-in-an-epoch", "1") as url:
        chain = Chain.connect(url)
        tell(chain, "anvil_setBlockTimestampInterval", 1)
        fund(chain, "deployer", "admin", "governor", "guardian", "oracle", "other oracle")
        deployment = deploy(chain, folder / "deployments", **config)
        yield Network(url, chain, deployment, folder, policy())


@contextmanager
def undone(shared: Network, folder: Path) -> Iterator[Network]:
    """The network with files of its own, for one test: what that does on the chain does not last."""
    snapshot = tell(shared.chain, "evm_snapshot")
    shutil.copytree(shared.folder / "deployments", folder / "deployments")
    yield shared.changed(folder=folder)
    tell(shared.chain, "evm_revert", snapshot)


__all__ = [name for name in dir() if not name.startswith("_")]
