"""A sender that nothing stops for good: killed at any line, outbid, out of money, reorganised, it goes on where it stopped.

simulated ──▶ signed ──▶ written down ──▶ sent ──▶ mined ──▶ N blocks deep, still there ──▶ struck out
                              ▲            │ ▲        │
                              │            ▼ │        └─ dropped by a reorganisation: sent again
                              └── stuck: replaced, with higher fees

One transaction is under way at a time. Its versions (more than one where a later one, with higher fees, was to take the place of those
before) share a nonce, so at most one of them can take effect, and any of them may. They are in a journal before they leave this machine:
what a killed process has left is found there, and comes to its end before anything new is sent.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from web3.types import TxReceipt

from pictor.chain import sending
from pictor.chain.contracts import Call
from pictor.chain.errors import (
    ChainError,
    FeesTooHighError,
    JournalError,
    NonceTakenError,
    NotConfirmedError,
    NotMinedError,
    RefusedError,
    RevertedError,
    UnfundedError,
)
from pictor.chain.files import locked, write_json
from pictor.chain.node import Chain
from pictor.chain.sending import Fees, Signed, Signer
from pictor.units import Address, to_checksum

log = structlog.get_logger()

VERSION = 1
AGAIN = 15  # seconds between two times that a transaction is sent which is not mined: a node may have forgotten it


@dataclass(frozen=True)
class Terms:
    """On what terms transactions are sent.

    `max_fee`: wei for a unit of gas, never to be exceeded; None: whatever it costs. `confirmations`: 1 is the block that holds the
    transaction. `replace_after`: seconds until a transaction counts as stuck; `patience`: seconds that one call may take.
    """

    max_fee: int | None = None
    confirmations: int = 1
    replace_after: float = 120
    patience: float = 900


@dataclass(frozen=True)
class Sent:
    """A version of the transaction that is under way, and the call in it."""

    call: Call
    signed: Signed


class Outbox:
    """The journal of an account's transaction that is under way, in a file that holds no secret."""

    def __init__(self, path: Path, genesis: bytes) -> None:
        """`genesis`: the hash of the chain's block 0. Raises JournalError if the file cannot be used."""
        self.path, self._genesis = path, genesis
        self.sent: Sequence[Sent] = ()
        try:
            content = json.loads(path.read_text())
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            raise JournalError(f"{path}: not to be read: {error}") from error
        try:
            if content["version"] != VERSION:
                raise JournalError(f"{path}: version {content['version']} is not {VERSION}, which this program knows")
            found = bytes.fromhex(content["genesis"])
            self.sent = [_sent(one) for one in content["sent"]]
        except (KeyError, TypeError, ValueError) as error:
            raise JournalError(f"{path}: not a journal: {type(error).__name__}: {error}") from error
        if found != genesis:
            raise JournalError(f"{path} is of another chain (a local one that was restarted?): move it away")

    def write(self, sent: Sequence[Sent]) -> None:
        """Writes down what is under way. It may be sent when this has returned."""
        if sent != self.sent:
            entries = [_entry(one) for one in sent]
            write_json(self.path, {"version": VERSION, "genesis": self._genesis.hex(), "sent": entries})
            self.sent = tuple(sent)


class JournalledSender:
    """The sender of one account on one chain."""

    def __init__(self, chain: Chain, signer: Signer, folder: Path, terms: Terms | None = None) -> None:
        """`folder`: where the journal is kept, which no other account of this chain's needs to share."""
        self._chain, self._signer, self._terms = chain, signer, terms or Terms()
        self._path, self._genesis = folder / f"{chain.id}-{signer.address}.json", chain.genesis()

    @property
    def address(self) -> Address:
        """The account that pays."""
        return self._signer.address

    def send(self, call: Call) -> TxReceipt:
        """Sends a call and waits until it counts.

        Raises RevertedError if it fails, before it is sent or on the chain; UnfundedError, FeesTooHighError, RefusedError, NotMinedError or
        NotConfirmedError if it cannot be brought to its end now, and JournalError if the journal is no good. After each of them, the same
        or another call can be sent.
        """
        with locked(self._path.parent, ChainError(f"another process is sending from {self._path.parent}")):
            return _Delivery(self._chain, self._signer, self._terms, Outbox(self._path, self._genesis), call).receipt()


class _Delivery:
    """One call on its way, and what a call before has left."""

    def __init__(self, chain: Chain, signer: Signer, terms: Terms, outbox: Outbox, call: Call) -> None:
        self._chain, self._signer, self._terms, self._outbox, self._call = chain, signer, terms, outbox, call
        self._began = time.monotonic()
        self._offered: float | None = None  # when the newest version was sent first, by this process
        self._offered_at = 0  # the latest block then
        self._repeated = 0.0  # when it was sent last
        self._was_mined = False
        self._strange: float | None = None  # since when somebody else's transactions are in the queue

    @property
    def _account(self) -> Address:
        return self._signer.address

    @property
    def _nonce(self) -> int:
        return self._outbox.sent[-1].signed.nonce

    def receipt(self) -> TxReceipt:
        """The receipt of the call."""
        while True:
            found = self._mined()
            if found is None:
                if self._advance():
                    continue
            elif not self._is_confirmed(found[1]):
                self._was_mined = True
            else:
                self._forget()
                sent, receipt = found
                if sent.call == self._call:
                    return self._accepted(sent, receipt)
                log.info("what was left under way is mined", what=sent.call.what, transaction=f"0x{sent.signed.hash.hex()}")
                continue
            waited = time.monotonic() - self._began
            if waited > self._terms.patience:
                raise self._unfinished(found, waited)
            time.sleep(sending.POLL)

    def _mined(self) -> tuple[Sent, TxReceipt] | None:
        """The version that is mined, if one is."""
        for sent in reversed(self._outbox.sent):
            if receipt := sending.receipt(self._chain, sent.signed.hash):
                return sent, receipt
        return None

    def _is_confirmed(self, receipt: TxReceipt) -> bool:
        """Whether the receipt's block is deep enough, and the chain still has it."""
        head, number = self._chain.block(), receipt["blockNumber"]
        if head.number - number + 1 < self._terms.confirmations:
            return False
        block = head if head.number == number else self._chain.block(number)
        return block.hash == bytes(receipt["blockHash"])

    def _accepted(self, sent: Sent, receipt: TxReceipt) -> TxReceipt:
        if receipt["status"] == 1:
            return receipt
        log.warning("reverted on the chain", what=sent.call.what, transaction=f"0x{sent.signed.hash.hex()}")
        sending.estimate(self._chain, self._account, sent.call)  # raises, with the contract's reason, if that is still in force
        raise RevertedError(sent.call.what, f"in transaction 0x{sent.signed.hash.hex()}")

    def _unfinished(self, found: tuple[Sent, TxReceipt] | None, waited: float) -> ChainError:
        if found is not None:
            return NotConfirmedError(found[0].signed.hash, self._terms.confirmations, waited)
        if self._outbox.sent:
            return NotMinedError(self._outbox.sent[-1].signed.hash, waited)
        return ChainError(f"{to_checksum(self._account)} has transactions in the node's queue that were not sent from here")

    def _forget(self) -> None:
        """Strikes out what was under way."""
        self._outbox.write(())
        self._offered, self._was_mined = None, False

    def _advance(self) -> bool:
        """Does what brings the call forward, while nothing is mined. Whether there is reason to look again at once."""
        if not self._outbox.sent:
            return self._begin()
        newest = self._outbox.sent[-1]
        try:
            if sending.outcome(self._chain, self._account, [one.signed for one in self._outbox.sent]):
                return True
        except NonceTakenError as error:
            log.warning("what was left under way can never be mined", what=newest.call.what, reason=str(error))
            self._forget()
            return True
        if self._offered is None:
            return self._adopt()
        now = time.monotonic()
        if self._was_mined:
            log.warning("dropped by a reorganisation, and sent again", what=newest.call.what, transaction=f"0x{newest.signed.hash.hex()}")
            self._was_mined = False
            return self._repeat(now)
        if now - self._offered >= self._terms.replace_after and self._chain.block().number > self._offered_at and self._unstick():
            return True
        return now - self._repeated >= AGAIN and self._repeat(now)

    def _begin(self) -> bool:
        """Sends the call with a nonce of its own, or, for some time, waits for what somebody else has in the queue."""
        gas = sending.estimate(self._chain, self._account, self._call)
        nonce, queued = self._chain.nonce(self._account), self._chain.nonce(self._account, pending=True)
        if queued > nonce:
            now = time.monotonic()
            if self._strange is None:
                self._strange = now
                log.warning(
                    "transactions in the queue that were not sent from here: the journal was lost, or somebody else uses the account",
                    account=to_checksum(self._account),
                    nonces=f"{nonce} to {queued - 1}",
                )
            if now - self._strange < self._terms.replace_after:
                return False
            log.warning("takes the place of a transaction that was not sent from here", account=to_checksum(self._account), nonce=nonce)
        fees = self._within(self._market(), None)
        assert fees is not None
        self._offer(nonce, fees, gas)
        return True

    def _adopt(self) -> bool:
        """Goes on with what another process has left: the same call is sent again, another one gives its place to this one."""
        newest = self._outbox.sent[-1]
        log.info("found under way", what=newest.call.what, transaction=f"0x{newest.signed.hash.hex()}", nonce=self._nonce)
        if newest.call != self._call and self._replace():
            return True
        if newest.call == self._call and self._simulated() is None:
            return True
        now = time.monotonic()
        self._offered, self._offered_at = now, self._chain.block().number
        return self._repeat(now)

    def _simulated(self) -> int | None:
        """The gas that the call needs; None if what is under way was mined meanwhile. Raises RevertedError."""
        try:
            return sending.estimate(self._chain, self._account, self._call)
        except RevertedError:
            if self._mined():
                return None
            raise

    def _unstick(self) -> bool:
        """Replaces a transaction that is not mined although blocks come."""
        if self._chain.nonce(self._account) < self._nonce:
            log.warning("a transaction before is missing, as after a deep reorganisation: begins anew", nonce=self._nonce)
            self._forget()
            return True
        return self._replace()

    def _replace(self) -> bool:
        """Offers the call in the place of what is under way, if the cap allows for it."""
        newest = self._outbox.sent[-1]
        fees = self._within(self._market().replacing(newest.signed.fees), newest.signed.fees.raised)
        if fees is None:
            return False
        gas = self._simulated()
        if gas is None:
            return True
        log.info("replaces a transaction", what=newest.call.what, by=self._call.what, nonce=self._nonce, fees=fees)
        self._offer(self._nonce, fees, gas)
        return True

    def _offer(self, nonce: int, fees: Fees, gas: int) -> None:
        """Sends the call as a new version, with fees that are raised until the node takes it."""
        before = self._outbox.sent
        while True:
            balance, needed = self._chain.balance(self._account), gas * fees.most
            if balance < needed:
                raise UnfundedError(self._account, needed, balance)
            signed = sending.sign_with(self._chain, self._signer, self._call, nonce, fees, gas)
            self._outbox.write([*before, Sent(self._call, signed)])
            self._offered = self._repeated = time.monotonic()
            self._offered_at = self._chain.block().number
            try:
                sending.broadcast(self._chain, signed)
            except RefusedError as error:
                self._outbox.write(before)
                higher = self._within(fees.raised, fees.raised)
                if not error.is_underpriced or higher is None:
                    raise
                fees = higher
            else:
                return

    def _repeat(self, now: float) -> bool:
        """Sends the newest version once more."""
        self._repeated = now
        try:
            sending.broadcast(self._chain, self._outbox.sent[-1].signed)
        except RefusedError as error:
            log.warning("the node refuses what is under way", reason=error.reason)
            return False
        return True

    def _market(self) -> Fees:
        """What gas costs now. Raises FeesTooHighError if no block would take what may be paid."""
        fees, cap = sending.current_fees(self._chain), self._terms.max_fee
        if cap is not None and fees.most > cap:
            price = sending.least_price(self._chain)
            if price > cap:
                raise FeesTooHighError(price, cap)
        return fees

    def _within(self, fees: Fees, least: Fees | None) -> Fees | None:
        """`fees`, lowered to what may be paid; None if that is not enough for `least`."""
        cap = self._terms.max_fee
        if cap is None or fees.most <= cap:
            return fees
        lowered = Fees(cap, None if fees.tip is None else min(fees.tip, cap))
        if least is not None and (lowered.most < least.most or (lowered.tip or 0) < (least.tip or 0)):
            return None
        return lowered


def _entry(sent: Sent) -> dict[str, Any]:
    call = sent.call
    return {"what": call.what, "to": call.to, "data": call.data.hex(), **sent.signed.entry()}


def _sent(entry: Any) -> Sent:
    return Sent(Call(entry["to"], bytes.fromhex(entry["data"]), entry["what"]), Signed.of(entry))
