"""What these tests share: local chains, the people of a deployment, and ways to stop a program in the middle."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_utils.crypto import keccak
from web3 import HTTPProvider
from web3.types import RPCEndpoint, RPCResponse

from pictor.chain import Call, Chain, Contracts, Deployment, LocalSigner, send
from pictor.chain.anvil import anvil
from pictor.chain.artifacts import Artifacts
from pictor.chain.deploy import DEPLOYED, Deployer, parse_config
from pictor.epoch.messages import Domain, Issuance, Message, Report, join_signatures
from pictor.epoch.standings import Leaves
from pictor.epoch.tree import pass_words
from pictor.units import DAY, MICRO, Address, Epoch, Role, last_ended_epoch, parse_address, to_checksum
from scripts._ape import artifacts

ROOT = Path(__file__).resolve().parent.parent.parent
CHAIN_ID = 99_123  # none that Ape knows
RICH = 10**21  # wei


@cache
def compiled() -> Artifacts:
    """The contracts, compiled once."""
    return artifacts(DEPLOYED)


def key(name: str) -> LocalAccount:
    """Somebody's account."""
    account: LocalAccount = Account.from_key(keccak(text=f"e2e {name}"))
    return account


def signer(name: str) -> LocalSigner:
    """Somebody who signs transactions."""
    return LocalSigner(key(name))


def address(name: str) -> Address:
    """Somebody's address."""
    return parse_address(key(name).address)


def config(**changes: Any) -> dict[str, Any]:
    """A configuration's values, with some changed; None leaves one out."""
    values = {
        "chain_id": CHAIN_ID,
        "attestors": [address(f"attestor {i}") for i in range(5)],
        "threshold": 3,
        "admin": address("admin"),
        "admin_delay": 3 * DAY,
        "governors": [address("governor"), address("other governor")],
        "governor_delay": 2 * DAY,
        "guardians": [address("guardian")],
        "issue_limit": 100,
        "epoch_length": DAY,
        "activation_delay": 3_600,
        "priority_share": 1_000,
        **changes,
    }
    return {name: value for name, value in values.items() if value is not None}


def tell(chain: Chain, method: str, *parameters: Any) -> Any:
    """What only a local chain does as it is told."""
    return chain.web3.manager.request_blocking(RPCEndpoint(method), list(parameters))


def travel(chain: Chain, seconds: int) -> None:
    """Lets time pass."""
    tell(chain, "evm_increaseTime", seconds)
    tell(chain, "evm_mine")


def fund(chain: Chain, *names: str, wei: int = RICH) -> None:
    """Gives people money for gas."""
    for name in names:
        tell(chain, "anvil_setBalance", to_checksum(address(name)), hex(wei))


@contextmanager
def local_chain(*options: str, chain_id: int = CHAIN_ID) -> Iterator[Chain]:
    """A chain of its own, whose people have money."""
    with anvil("--chain-id", str(chain_id), *options) as url:
        chain = Chain.connect(url)
        fund(chain, "deployer", "admin", "governor", "other governor", "guardian", "carrier")
        yield chain


def url_of(chain: Chain) -> str:
    """Where the node of a chain listens."""
    provider = chain.web3.provider
    assert isinstance(provider, HTTPProvider)
    return str(provider.endpoint_uri)


def deployer(chain: Chain, folder: Path, **changes: Any) -> Deployer:
    """A deployment that could be."""
    return Deployer(chain, parse_config(config(**changes)), compiled(), address("deployer"), folder)


def deploy(chain: Chain, folder: Path, **changes: Any) -> Deployment:
    """A deployment that is."""
    one = deployer(chain, folder, **changes)
    return one.run(signer("deployer"), one.rehearse(), lambda *_: None)


@dataclass(frozen=True)
class World:
    """A deployment on a local chain."""

    chain: Chain
    deployment: Deployment
    folder: Path

    @property
    def contracts(self) -> Contracts:
        """The contracts as they are now."""
        return self.deployment.open(self.chain)

    def send(self, name: str, call: Call) -> None:
        """Somebody sends a call."""
        send(self.chain, signer(name), call)

    def attested(self, message: Message) -> bytes:
        """Three attestors sign."""
        contract = self.contracts.vip_pass if isinstance(message, Issuance) else self.contracts.registry
        signable = message.signable(Domain(self.chain.id, contract.address))
        keys = [key(f"attestor {i}") for i in range(3)]
        return join_signatures({bytes.fromhex(one.address[2:]): bytes(one.sign_message(signable).signature) for one in keys})

    def issue(self, issuance: Issuance) -> None:
        """Passes are issued."""
        self.send("carrier", self.contracts.vip_pass.issue(issuance, self.attested(issuance)))

    def give_passes(self, role: Role, *names: str) -> None:
        """Somebody gets passes."""
        accounts = tuple(sorted(address(name) for name in names))
        self.issue(Issuance(role, accounts, self.chain.block().timestamp + DAY))

    def submit(self, leaves: Leaves) -> Epoch:
        """A report of the epoch that has just ended is posted."""
        epoch = last_ended_epoch(self.chain.block().timestamp, DAY)
        root = leaves.tree().root
        report = Report(epoch, root, keccak(b"policy"), keccak(b"archive"), leaves.creators, len(leaves) - leaves.creators)
        self.send("carrier", self.contracts.registry.submit(report, self.attested(report)))
        return epoch

    def sync(self, epoch: int, leaves: Leaves, *numbers: int) -> None:
        """Standings are copied into storage."""
        proof = leaves.tree().multiproof(numbers)
        standings = [leaves.standing(number) for number in proof.leaves]
        self.send("carrier", self.contracts.registry.sync(epoch, standings, proof.proof, proof.flags))


def leaves_of(creators: Sequence[tuple[str, int]], workers: Sequence[tuple[str, int]] = ()) -> Leaves:
    """Standings by name and points, the best of each role first."""
    rows = [
        (role, name, points, rank)
        for role, side in zip(Role, (creators, workers), strict=True)
        for rank, (name, points) in enumerate(side, 1)
    ]
    accounts = np.array([list(bytes.fromhex(address(name)[2:])) for _, name, _, _ in rows], np.uint8)
    words = pass_words(np.array([role for role, *_ in rows]), accounts)
    scores, ranks = np.array([points * MICRO for _, _, points, _ in rows]), np.array([rank for *_, rank in rows], np.int32)
    return Leaves(words, scores, ranks, len(creators))


class Deadly(HTTPProvider):
    """A provider that kills this process with SIGKILL beside the `number`th transaction: before it leaves, or after it has left."""

    def __init__(self, url: str, number: int, *, after: bool) -> None:
        super().__init__(url)
        self.left, self.after = number, after

    def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        """See BaseProvider."""
        if method != "eth_sendRawTransaction":
            return super().make_request(method, params)
        self.left -= 1
        if self.left == 0 and not self.after:
            die()
        response = super().make_request(method, params)
        if self.left == 0:
            die()
        return response


class DeadlySigner:
    """A signer whose process is killed when it is asked for the `number`th time."""

    def __init__(self, name: str, number: int) -> None:
        self.signer, self.left = signer(name), number
        self.address = self.signer.address

    def sign(self, transaction: dict[str, Any]) -> bytes:
        """See Signer."""
        self.left -= 1
        if self.left == 0:
            die()
        return self.signer.sign(transaction)


def die() -> None:
    """Ends this process as the kernel does when memory runs out: nothing is tidied up."""
    os.kill(os.getpid(), signal.SIGKILL)


def in_a_process(work: Callable[[], Any]) -> int:
    """Does `work` in a process of its own, and returns how that ended: 0, 1 after an exception, or minus the signal."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException:
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@dataclass(frozen=True)
class Said:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str


def ape_run(*arguments: str, home: Path, **environment: str) -> Said:
    """Runs `ape run …` as a user does, with a home of its own."""
    done = subprocess.run(ape_command(*arguments), cwd=ROOT, env=ape_environment(home, environment), capture_output=True, text=True)
    return Said(done.returncode, done.stdout, done.stderr)


def ape_command(*arguments: str) -> list[str]:
    """The command line of `ape run …`."""
    return ["ape", "run", *arguments]


def ape_environment(home: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment, less what pytest and Ape have put there, with another home."""
    return {**os.environ, "HOME": str(home), **(more or {})}


def to_toml(values: Mapping[str, Any]) -> str:
    """A configuration file."""
    return "".join(f"{name} = {value!r}\n" for name, value in values.items())
