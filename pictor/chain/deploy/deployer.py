"""Deploying: rehearsed on a fork of the chain, sent step by step, read back from the chain, and only then put on record.

begun ──▶ rehearsed ──▶ each step: signed ──▶ written down ──▶ sent ──▶ mined ──▶ … ──▶ read back ──▶ deployments/<chainId>.json
                                     ▲                                   │
                                     └── killed anywhere: run again ─────┘
"""

import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eth_utils.crypto import keccak
from web3.types import RPCEndpoint, TxReceipt

from pictor.chain import sending
from pictor.chain.anvil import fork
from pictor.chain.artifacts import Artifacts
from pictor.chain.contracts import Call
from pictor.chain.deploy.audit import audit
from pictor.chain.deploy.config import DeployConfig
from pictor.chain.deploy.journal import Identity, Journal, alone
from pictor.chain.deploy.plan import Creation, Step, plan
from pictor.chain.deployments import DeployedContract, Deployment
from pictor.chain.errors import ChainError, DeploymentError, NonceTakenError, NotMinedError, RevertedError, UnfundedError
from pictor.chain.node import Chain
from pictor.chain.sending import Fees, Signed, Signer
from pictor.units import Address, to_checksum

PLENTY = 10**30  # wei, for the rehearsal: what the real account lacks is found out by the sum
LARGEST_GAS = 1 << 24  # what a transaction may have where EIP-7825 is in force
PATIENCE = 30  # seconds between two looks at whether a transaction's fees have become too low


@dataclass(frozen=True)
class Rehearsed:
    """One step of the rehearsal. `gas` used; `address` of the contract it creates, if it does; `done`: sent and mined before."""

    name: str
    what: str
    gas: int
    address: Address | None
    done: bool


@dataclass(frozen=True)
class Rehearsal:
    """What would be sent, and what it would cost. Wei."""

    steps: tuple[Rehearsed, ...]
    fees: Fees
    balance: int

    @property
    def gas(self) -> int:
        """Of the steps that are still to be sent."""
        return sum(step.gas for step in self.steps if not step.done)

    @property
    def most(self) -> int:
        """What the account must have, so that no step can run dry."""
        margin = sending.BASIS_POINTS + sending.GAS_MARGIN
        return self.gas * margin // sending.BASIS_POINTS * self.fees.most

    def require_funds(self, account: Address) -> None:
        """Raises UnfundedError if `account`, whose balance was looked at, cannot pay."""
        if self.balance < self.most:
            raise UnfundedError(account, self.most, self.balance)


Progress = Callable[[str, TxReceipt], None]  # told of each step's transaction when it is mined


class Deployer:
    """One deployment by one account, on one chain, kept in one folder."""

    def __init__(self, chain: Chain, config: DeployConfig, artifacts: Artifacts, deployer: Address, folder: Path) -> None:
        """Raises WrongChainError or DeploymentError if this cannot become a deployment."""
        chain.require(config.chain_id)
        if config.admin == deployer:
            raise DeploymentError(f"admin: {to_checksum(deployer)} is the account that deploys, which must end without any power")
        self.chain, self.config, self.artifacts, self.deployer, self.folder = chain, config, artifacts, deployer, folder
        self.steps = plan(config, deployer)
        self.configuration = _fingerprint(config, deployer, artifacts, self.steps)

    def recorded(self) -> Deployment | None:
        """The deployment on record, if there is one and it is this one. Raises DeploymentError if it is another."""
        path = Deployment.path(self.folder, self.chain.id)
        if not path.exists():
            return None
        deployment = Deployment.load(self.folder, self.chain.id)
        try:
            deployment.open(self.chain)
        except ChainError as error:
            raise DeploymentError(f"{path} is not of this chain (a local one that was restarted?): {error}; move it away") from error
        if deployment.configuration != self.configuration:
            raise DeploymentError(f"{path} is a deployment with another configuration: move it away to deploy anew beside it")
        with suppress(DeploymentError):  # of something else, which is then none of ours
            self._journal().close()
        return deployment

    def rehearse(self) -> Rehearsal:
        """Deploys on a fork of the chain, from where the journal stands, and reads all back. Raises what the deployment would."""
        journal = self._journal()
        steps: list[Rehearsed] = []
        with fork(self.chain.web3.provider) as chain:
            _set(chain, "anvil_setBalance", to_checksum(self.deployer), hex(PLENTY))
            _set(chain, "anvil_impersonateAccount", to_checksum(self.deployer))

            def perform(name: str, call: Call) -> TxReceipt:
                sent = self._mined(journal, name)
                receipt = sent or _send_unsigned(chain, self.deployer, call)
                made = Address(receipt["contractAddress"].lower()) if receipt["contractAddress"] else None
                steps.append(Rehearsed(name, call.what, receipt["gasUsed"], made, sent is not None))
                return receipt

            receipts = self._execute(perform)
            self._read_back(chain, receipts)
        balance = self.chain.balance(self.deployer)
        return Rehearsal(tuple(steps), sending.current_fees(self.chain), balance)

    def run(self, signer: Signer, rehearsal: Rehearsal, progress: Progress, timeout: float = 600) -> Deployment:
        """Sends what is not yet sent, and puts the deployment on record.

        Raises UnfundedError before anything is sent; NotMinedError if a transaction is not mined in `timeout` seconds, MismatchError if
        the chain does not have what was asked for, and others: after each of them the same can be run again, and goes on.
        """
        if signer.address != self.deployer:
            raise ValueError(f"{signer.address} is not {self.deployer}")
        rehearsal.require_funds(self.deployer)
        gas = {step.name: step.gas for step in rehearsal.steps}
        with alone(self.folder):
            journal = self._journal()

            def perform(name: str, call: Call) -> TxReceipt:
                receipt = self._mined(journal, name) or self._settle(journal, signer, name, call, gas[name], timeout)
                progress(name, receipt)
                return receipt

            receipts = self._execute(perform)
            self._confirm(receipts, timeout)
            deployment = self._read_back(self.chain, receipts)
            deployment.save(self.folder)
            journal.close()
        return deployment

    def _journal(self) -> Journal:
        return Journal.open(self.folder, Identity(self.chain.id, self.chain.genesis(), self.deployer, self.configuration))

    def _execute(self, perform: Callable[[str, Call], TxReceipt]) -> dict[str, TxReceipt]:
        made: dict[str, Address] = {}
        receipts: dict[str, TxReceipt] = {}
        for step in self.steps:
            receipts[step.name] = perform(step.name, step.call(self.artifacts, made))
            if isinstance(step, Creation):
                made[step.name] = Address(str(receipts[step.name]["contractAddress"]).lower())
        return receipts

    def _mined(self, journal: Journal, name: str) -> TxReceipt | None:
        """The receipt of a step that has succeeded already."""
        receipts = (sending.receipt(self.chain, signed.hash) for signed in journal.steps.get(name, []))
        return next((receipt for receipt in receipts if receipt and receipt["status"] == 1), None)

    def _settle(self, journal: Journal, signer: Signer, name: str, call: Call, gas: int, timeout: float) -> TxReceipt:
        """Sends a step's transaction, or what was written down of it, until it is mined."""
        if self._is_lost(journal.steps.get(name, [])):
            journal.forget(name)
        deadline = time.monotonic() + timeout
        while True:
            sent = journal.steps.get(name, [])
            if not sent or sending.is_too_cheap(self.chain, sent[-1].fees):
                journal.add(name, self._sign(journal, signer, sent, call, gas))
            sent = journal.steps[name]
            sending.broadcast(self.chain, sent[-1])
            try:
                receipt = sending.wait(self.chain, sent, min(PATIENCE, timeout))
            except NotMinedError:
                if time.monotonic() > deadline:
                    raise
                continue
            if receipt["status"] != 1:
                journal.forget(name)
                raise RevertedError(call.what, f"in transaction 0x{receipt['transactionHash'].hex()}")
            return receipt

    def _sign(self, journal: Journal, signer: Signer, sent: list[Signed], call: Call, gas: int) -> Signed:
        fees = sending.current_fees(self.chain)
        if sent:
            return sending.sign(self.chain, signer, call, sent[-1].nonce, fees.replacing(sent[-1].fees), _with_margin(gas))
        # A node may lag behind the one that has shown the last receipt.
        used = max((one.nonce for step in journal.steps.values() for one in step), default=-1)
        nonce = max(used + 1, self.chain.nonce(self.deployer, pending=True))
        return sending.sign(self.chain, signer, call, nonce, fees, _with_margin(gas))

    def _is_lost(self, sent: list[Signed]) -> bool:
        """Whether none of the transactions can ever be mined with success: they failed, or another one has used their nonce."""
        try:
            receipt = sending.outcome(self.chain, self.deployer, sent) if sent else None
        except NonceTakenError:
            return True
        return receipt is not None and receipt["status"] != 1

    def _confirm(self, receipts: Mapping[str, TxReceipt], timeout: float) -> None:
        """Waits until the last step is as deep as asked for, and all steps are still where they were."""
        target = max(receipt["blockNumber"] for receipt in receipts.values()) + self.config.confirmations - 1
        deadline = time.monotonic() + timeout
        while self.chain.block().number < target:
            if time.monotonic() > deadline:
                raise DeploymentError(f"block {target}, for {self.config.confirmations} confirmations, has not come in {timeout:.0f} s")
            time.sleep(sending.POLL)
        for name, receipt in receipts.items():
            now = sending.receipt(self.chain, receipt["transactionHash"])
            if now is None or now["blockHash"] != receipt["blockHash"]:
                raise DeploymentError(f"the chain has dropped the block that held {name}: run again")

    def _read_back(self, chain: Chain, receipts: Mapping[str, TxReceipt]) -> Deployment:
        """The deployment, when everything about it is as it should be."""
        block = chain.block()
        made: dict[str, Address] = {}
        contracts: dict[str, DeployedContract] = {}
        for step in self.steps:
            if isinstance(step, Creation):
                receipt = receipts[step.name]
                address = Address(str(receipt["contractAddress"]).lower())
                contracts[step.name] = DeployedContract(
                    address,
                    bytes(receipt["transactionHash"]),
                    receipt["blockNumber"],
                    {name: _json(value) for name, value in step.arguments(made).items()},
                    keccak(chain.code(address, block)),
                )
                made[step.name] = address
        deployment = Deployment(self.chain.id, self.configuration, contracts)
        calls = {step.name: step.call(self.artifacts, made) for step in self.steps if isinstance(step, Creation)}
        audit(deployment.gateways(chain, block), deployment, self.config, self.deployer, self.artifacts, calls)
        return deployment


def _fingerprint(config: DeployConfig, deployer: Address, artifacts: Artifacts, steps: list[Step]) -> bytes:
    code = {step.name: keccak(artifacts[step.name].creation).hex() for step in steps if isinstance(step, Creation)}
    return keccak(json.dumps([config.canonical(), deployer, code], sort_keys=True).encode())


def _send_unsigned(chain: Chain, sender: Address, call: Call) -> TxReceipt:
    """Sends a call on a fork, in the name of anybody."""
    most = chain.web3.eth.get_block("latest")["gasLimit"]
    fields: dict[str, Any] = {"from": to_checksum(sender), "data": f"0x{call.data.hex()}", "gas": hex(min(most, LARGEST_GAS))}
    if call.to is not None:
        fields["to"] = to_checksum(call.to)
    transaction = _set(chain, "eth_sendTransaction", fields)
    receipt = chain.web3.eth.wait_for_transaction_receipt(transaction, timeout=60, poll_latency=0.01)
    if receipt["status"] != 1:
        sending.estimate(chain, sender, call)  # raises, with the contract's reason
        raise RevertedError(call.what, "in the rehearsal")
    return receipt


def _set(chain: Chain, method: str, *parameters: Any) -> Any:
    return chain.web3.manager.request_blocking(RPCEndpoint(method), list(parameters))


def _with_margin(gas: int) -> int:
    return gas * (sending.BASIS_POINTS + sending.GAS_MARGIN) // sending.BASIS_POINTS


def _json(value: Any) -> Any:
    """A constructor's argument as the file has it."""
    if isinstance(value, bytes):
        return f"0x{value.hex()}"
    if isinstance(value, list):
        return [_json(one) for one in value]
    return to_checksum(Address(value)) if isinstance(value, str) else value
