"""A real anvil of one's own, the USDT mock on it, and a provider that can be made to lie."""

import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ethpm_types import ContractType
from web3 import HTTPProvider, Web3

from pictor.policy import ChainRules
from pictor.units import Address


@contextmanager
def anvil(*options: str) -> Iterator[Web3]:
    """A fresh chain, gone afterwards. Its finalised block is its head less 2."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["anvil", "--port", str(port), "--slots-in-an-epoch", "1", "--silent", *options]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            web3 = Web3(HTTPProvider(f"http://127.0.0.1:{port}"))
            give_up = time.monotonic() + 60
            while not web3.is_connected():
                if process.poll() is not None or time.monotonic() > give_up:
                    raise RuntimeError("anvil does not start")
                time.sleep(0.05)
            yield web3
        finally:
            process.kill()


@dataclass
class Tether:
    """The USDT mock on a chain, with a treasury."""

    web3: Web3
    token: Any  # web3's contract
    treasury: str
    first_block: int

    @classmethod
    def deploy(cls, web3: Web3, mock: ContractType, decimals: int = 6) -> "Tether":
        """Deployed by the first account; the last account is the treasury."""
        web3.eth.default_account = web3.eth.accounts[0]
        assert mock.deployment_bytecode is not None
        abi: Any = [one.model_dump(by_alias=True, mode="json") for one in mock.abi]
        factory = web3.eth.contract(abi=abi, bytecode=mock.deployment_bytecode.bytecode)
        receipt: Any = web3.eth.wait_for_transaction_receipt(factory.constructor(decimals).transact())
        token: Any = web3.eth.contract(address=receipt["contractAddress"], abi=abi)
        return cls(web3, token, web3.eth.accounts[-1], receipt["blockNumber"])

    @property
    def accounts(self) -> list[str]:
        """Those that anvil signs for."""
        return [str(account) for account in self.web3.eth.accounts]

    @property
    def rules(self) -> ChainRules:
        """What the policy would say."""
        chain_id, token, treasury = self.web3.eth.chain_id, str(self.token.address), self.treasury
        return ChainRules(chain_id, Address(token.lower()), Address(treasury.lower()), self.first_block)

    def pay(self, account: int, value: int, to: str | None = None) -> dict[str, Any]:
        """Account number `account` gets `value` and transfers it to the treasury, or elsewhere. The receipt."""
        sender = self.accounts[account]
        self.sent(self.token.functions.mint(sender, value).transact())
        return self.sent(self.token.functions.transfer(to or self.treasury, value).transact({"from": sender}))

    def sent(self, transaction: Any) -> dict[str, Any]:
        """Its receipt."""
        return dict(self.web3.eth.wait_for_transaction_receipt(transaction))

    def mine(self, blocks: int) -> None:
        """Let so many empty blocks pass."""
        self.web3.provider.make_request("anvil_mine", [hex(blocks)])  # type: ignore[arg-type]

    def finalize(self) -> None:
        """Let so many blocks pass that everything so far is finalised."""
        self.mine(3)


Change = Callable[[str, Any, dict[str, Any]], dict[str, Any]]  # (method, parameters, answer) -> the answer given instead


class Faulty(HTTPProvider):
    """Hands on what another provider says, changed."""

    def __init__(self, honest: Web3, change: Change) -> None:
        super().__init__(honest.provider.endpoint_uri)  # type: ignore[attr-defined]
        self.change = change

    def make_request(self, method: Any, params: Any) -> Any:
        return self.change(method, params, dict(super().make_request(method, params)))

    def make_batch_request(self, batch: Any) -> Any:
        answers: Any = super().make_batch_request(batch)
        return [self.change(method, params, dict(answer)) for (method, params), answer in zip(batch, answers, strict=True)]


def faulty(honest: Web3, change: Change) -> Web3:
    """A connection to the same chain whose answers are changed on the way."""
    return Web3(Faulty(honest, change))
