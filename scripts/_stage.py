"""The stage of the demo: its people, its chain and the clock on it, and the attestors' processes."""

from __future__ import annotations

import csv
import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from eth_abi.abi import encode
from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_utils.crypto import keccak
from hexbytes import HexBytes
from web3.types import RPCEndpoint

from pictor.chain import Call, Chain, ChainError, Contracts, Deployment, LocalSigner, send
from pictor.units import DAY, HOUR, Address, parse_address, to_checksum
from scripts._ape import ROOT, artifacts

MNEMONIC = "test test test test test test test test test test test junk"  # of Ape's TEST:: accounts, which anvil gives money
_TRANSFER = keccak(text="transfer(address,uint256)")[:4]
_MINT = keccak(text="mint(address,uint256)")[:4]


def key(number: int) -> LocalAccount:
    """The key of `TEST::<number>`, an account that Ape and anvil both know."""
    Account.enable_unaudited_hdwallet_features()
    account: LocalAccount = Account.from_mnemonic(MNEMONIC, account_path=f"m/44'/60'/0'/0/{number}")
    return account


def test_account(number: int) -> Address:
    """Its address."""
    return parse_address(key(number).address)


def named(name: str) -> Address:
    """The address of somebody who has a name and needs no key."""
    return Address(f"0x{keccak(text=f'pictor demo: {name}')[-20:].hex()}")


def tell(chain: Chain, method: str, *parameters: object) -> None:
    """What only a local chain does as it is told."""
    chain.web3.manager.request_blocking(RPCEndpoint(method), list(parameters))


class Payments:
    """Transfers to the treasury that are to be made on the chain, each in its hour, of a token that behaves like USDT."""

    def __init__(self, token: Address, treasury: Address, transfers: Path) -> None:
        """`transfers`: CSV, `account,amount,at`, in the order of time."""
        self.token, self._treasury = token, to_checksum(treasury)
        with transfers.open() as file:
            self._rows = list(csv.DictReader(file))

    def make(self, chain: Chain, until: int) -> int:
        """Makes those that are due before `until` (Unix time); how many."""
        due = list(itertools.takewhile(lambda row: int(row["at"]) < until, self._rows))
        del self._rows[: len(due)]
        tell(chain, "evm_setAutomine", False)
        tell(chain, "anvil_autoImpersonateAccount", True)
        for hour, of_hour in itertools.groupby(due, key=lambda row: int(row["at"]) // HOUR):
            calls = [call for row in of_hour for call in self._calls(to_checksum(Address(row["account"])), int(row["amount"]))]
            answers = chain.web3.provider.make_batch_request(calls)  # type: ignore[attr-defined]
            if failed := [one for one in answers if "error" in one]:
                raise ChainError(f"a payment failed: {failed[0]['error']}")
            tell(chain, "evm_setNextBlockTimestamp", max(min((hour + 1) * HOUR, until) - 1, chain.block().timestamp + 1))
            tell(chain, "evm_mine")
        tell(chain, "anvil_autoImpersonateAccount", False)
        tell(chain, "evm_setAutomine", True)
        return len(due)

    def _calls(self, payer: str, amount: int) -> list[tuple[RPCEndpoint, list[Any]]]:
        """Whoever pays got the money from somewhere."""
        data = (
            _MINT + encode(["address", "uint256"], [payer, amount]),
            _TRANSFER + encode(["address", "uint256"], [self._treasury, amount]),
        )
        fields = {"from": payer, "to": to_checksum(self.token), "gas": "0x186a0", "gasPrice": "0x0"}
        return [(RPCEndpoint("eth_sendTransaction"), [{**fields, "data": HexBytes(one).to_0x_hex()}]) for one in data]


def deploy_usdt(chain: Chain, deployer: LocalSigner) -> Address:
    """A token that behaves like USDT, with 6 decimals."""
    [artifact] = artifacts(("USDT",)).values()
    receipt = send(chain, deployer, Call(None, artifact.creation + encode(["uint8"], [6]), "create USDT"))
    return parse_address(str(receipt["contractAddress"]))


@dataclass
class Play:
    """Where everything is; and the time, in which what is paid on the chain is paid."""

    chain: Chain
    url: str
    out: Path
    end: int  # Unix time at which the network's days end
    payments: Payments | None = None

    @property
    def contracts(self) -> Contracts:
        """The contracts as they are now."""
        return Deployment.load(self.out / "deployments", self.chain.id).gateways(self.chain, self.chain.block())

    def midnight(self, days_before_end: int) -> int:
        """A midnight, at which an epoch ends."""
        return self.end - days_before_end * DAY

    def live(self, until: int) -> int:
        """Makes it `until` (Unix time), and what was before final; how many payments were made meanwhile."""
        paid = self.payments.make(self.chain, until) if self.payments else 0
        tell(self.chain, "evm_setNextBlockTimestamp", max(until, self.chain.block().timestamp + 1))
        tell(self.chain, "anvil_mine", "0x4")
        return paid


@dataclass(frozen=True)
class Attestors:
    """Attestors, each a process of its own that runs the command an attestor runs."""

    processes: dict[int, subprocess.Popen[bytes]]
    folder: Path

    def log(self, number: int) -> list[str]:
        """What one of them has logged, each line without the time."""
        lines = (self.folder / f"attestor-{number}.log").read_text().splitlines()
        return [line.partition(" ")[2].strip() for line in lines]

    def check(self) -> None:
        """Raises ChainError if one has ended."""
        for number, process in self.processes.items():
            if process.poll() is not None:
                raise ChainError(f"attestor {number} has ended: see {self.folder / f'attestor-{number}.log'}")


@contextmanager
def attestors(url: str, folder: Path, policies: dict[int, Path]) -> Iterator[Attestors]:
    """Starts one for each number in `policies`, with the rules that it goes by. They are gone afterwards, whatever happens."""
    processes = {}
    try:
        for number, policy in policies.items():
            state = folder / f"attestor-{number}"
            command = [Path(sys.executable).with_name("ape"), "run", "attest", "--watch", "--every", "0.5", "--account", f"TEST::{number}"]
            command += ["--source", folder / "ledger", "--ledger", state / "ledger", "--state", state / "state", "--policy", policy]
            command += ["--mailbox", folder / "mailbox", "--archives", folder / "archives"]
            command += ["--deployments", folder / "deployments", "--network", url]
            home = {**os.environ, "HOME": str(folder / "home")}
            with (folder / f"attestor-{number}.log").open("w") as log:
                processes[number] = subprocess.Popen(
                    [str(part) for part in command], cwd=ROOT, env=home, stdin=subprocess.DEVNULL, stdout=log, stderr=log
                )
        yield Attestors(processes, folder)
    finally:
        for process in processes.values():
            process.kill()
        for process in processes.values():
            process.wait()


def emptied(folder: Path) -> None:
    """Makes room for a demo. Raises ClickException if the folder holds something else than the last one's."""
    mark = folder / ".pictor-demo"
    if folder.exists() and any(folder.iterdir()) and not mark.exists():
        raise click.ClickException(f"{folder} holds something else than a demo's output")
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "home").mkdir(parents=True)
    mark.touch()


def title(text: str) -> None:
    """A line above what follows."""
    click.secho(f"\n{text}", bold=True)


def say(text: str = "") -> None:
    """A line."""
    click.echo(f"  {text}".rstrip())


def command(text: str) -> None:
    """What one would type for it."""
    click.secho(f"  $ {text}", dim=True)
