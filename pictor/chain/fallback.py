"""Two nodes of one chain behind one provider: the second answers while the first is ill.

A contract's refusal is an answer. A node is ill that is not there, does not answer in time, answers with an error of its own or with
what cannot be read, has another past than the one agreed upon, or lags behind the other. Whatever is asked may be asked twice: reads change
nothing, and a transaction sent again is the same transaction.

            fails, or lags
   first ───────────────────▶ second
     ▲                          │
     └──────────────────────────┘
        is well again, seen at the next look
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import RLock
from typing import Any, TypeVar

import structlog
from web3.providers.base import JSONBaseProvider
from web3.types import RPCEndpoint, RPCResponse

from pictor.chain.errors import NodeError, WrongChainError
from pictor.chain.node import NODE_FAILURES, failure

log = structlog.get_logger()

MOST_LAG = 16  # blocks
LOOK = 15.0  # seconds between two looks at the nodes
REST = 60.0  # seconds that an ill node is left alone
BUSY_CODES = (429, -32_097)
BUSY = ("rate limit", "too many requests", "timeout", "timed out", "capacity exceeded", "temporarily unavailable")
LACKING_CODES = (-32_601, -32_603, -32_005)  # no such method, an inner error, more than it gives
LACKING = ("header not found", "unknown block", "block not found", "blocknotfound", "missing trie node", "state is not available")
T = TypeVar("T")
Part = tuple[str, Any, Any]  # a method, its parameters, and what was answered


class NodeIllError(NodeError):
    """A node cannot be used now."""


class StrangeNodeError(NodeError):
    """A node has another past than the one before."""


@dataclass(frozen=True)
class Past:
    """What two nodes of one chain have in common: the chain's id, and the hash of a finalised block."""

    chain_id: int
    genesis: str
    number: int
    hash: str


class _Node:
    def __init__(self, name: str, provider: JSONBaseProvider) -> None:
        self.name, self.provider = name, provider
        self.is_proven = False  # has the past agreed upon, and does not lag
        self.is_ill = False
        self.rests_until = 0.0  # by the monotonic clock
        self.strange: NodeError | WrongChainError | None = None  # why nothing that it says may be taken

    def ask(self, method: str, *parameters: Any) -> Any:
        """What the node answers. Raises NodeIllError."""
        try:
            answer = self.provider.make_request(RPCEndpoint(method), list(parameters))
        except NODE_FAILURES as error:
            raise NodeIllError(failure(error)) from error
        if "result" not in answer:
            raise NodeIllError(f"{method}: {_words(answer)}")
        return answer["result"]

    def block(self, which: int | str) -> tuple[int, str]:
        """A block's number and hash. Raises NodeIllError."""
        block = self.ask("eth_getBlockByNumber", hex(which) if isinstance(which, int) else which, False)
        try:
            return int(block["number"], 16), str(block["hash"]).lower()
        except (TypeError, KeyError, ValueError):
            raise NodeIllError(f"it has no block {which}") from None

    def chain_id(self) -> int:
        """The chain that it is on. Raises NodeIllError."""
        try:
            return int(self.ask("eth_chainId"), 16)
        except (TypeError, ValueError):
            raise NodeIllError("what it gives for a chain id is none") from None

    def past(self) -> Past:
        """Its past, up to its newest finalised block. Raises NodeIllError."""
        genesis = self.block(0)
        try:
            finalised = self.block("finalized")
        except NodeIllError:  # a chain that knows nothing of finality
            finalised = genesis
        return Past(self.chain_id(), genesis[1], *finalised)

    def require(self, past: Past, least: int) -> int:
        """The number of its latest block. Raises WrongChainError or StrangeNodeError unless the node has this past, NodeIllError if it
        does not tell, or if its latest block is below `least`."""
        self.is_proven = False
        if (found := self.chain_id()) != past.chain_id:
            self.strange = WrongChainError(past.chain_id, found)
            raise self.strange
        for number, expected in ((0, past.genesis), (past.number, past.hash)):
            if (got := self.block(number)[1]) != expected:
                self.strange = StrangeNodeError(f"another past: the hash of block {number} is {got}, expected {expected}")
                raise self.strange
        self.strange = None
        if (head := self.block("latest")[0]) < least:
            raise NodeIllError(f"it lags: its latest block is {head}, and the other node was at {least} and more")
        self.is_proven = True
        return head


class FallbackProvider(JSONBaseProvider):
    """A web3 provider over two nodes. What both fail at raises what the one in use has raised."""

    def __init__(
        self, first: JSONBaseProvider, second: JSONBaseProvider, *, most_lag: int = MOST_LAG, look: float = LOOK, rest: float = REST
    ) -> None:
        """`most_lag`: blocks that a node may be behind the other; `look`, `rest`: see the constants.

        Raises NodeError if the first does not answer, and WrongChainError or StrangeNodeError if the second is of another chain. If the
        second does not answer, that is told, and it is looked at again later.
        """
        super().__init__()
        self._first, self._second = _Node("first", first), _Node("second", second)
        self._active = self._first
        self._most_lag, self._look_every, self._rest = most_lag, look, rest
        self._lock = RLock()
        self._past = self._first.past()
        self._newest = self._first.require(self._past, 0)  # the greatest number of a latest block
        try:
            self._second.require(self._past, self._newest - most_lag)
        except NodeIllError as error:
            self._mark_ill(self._second)
            log.warning("the second node is ill", reason=str(error))
        self._next_look = time.monotonic() + look

    def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        """See BaseProvider."""
        return self._ask(lambda node: node.provider.make_request(method, params), lambda answer: [(method, params, answer)])

    def make_batch_request(self, batch_requests: list[tuple[RPCEndpoint, Any]]) -> list[RPCResponse] | RPCResponse:
        """See JSONBaseProvider."""

        def parts(answers: Any) -> list[Part]:
            if not isinstance(answers, list):
                return [("batch", [], answers)]
            return [(method, params, answer) for (method, params), answer in zip(batch_requests, answers, strict=False)]

        def request(node: _Node) -> list[RPCResponse] | RPCResponse:
            one: list[RPCResponse] | RPCResponse = node.provider.make_batch_request(batch_requests)
            return one

        answers: list[RPCResponse] | RPCResponse = self._ask(request, parts)
        return answers

    def _ask(self, request: Callable[[_Node], T], parts: Callable[[T], Sequence[Part]]) -> T:
        """The answer of the node in use, or of the other one if that is better."""
        self._look()
        node = self._active
        answer: T | None = None
        failed: Exception
        try:
            if node.strange is not None:
                raise node.strange
            answer = request(node)
            verdict = _verdict(parts(answer))
            if verdict is None:
                return answer
            failed, turns = NodeIllError(verdict.reason), verdict.is_illness
        except (NodeError, WrongChainError, *NODE_FAILURES) as error:
            failed, turns, verdict = error, True, None
        found = self._elsewhere(node, request, parts)
        if found is None:
            if answer is None or (verdict and verdict.is_lie):
                raise failed
            return answer
        if turns:
            with self._lock:
                self._mark_ill(node)
                self._turn_to(self._other(node), failure(failed))
        return found[0]

    def _elsewhere(self, node: _Node, request: Callable[[_Node], T], parts: Callable[[T], Sequence[Part]]) -> tuple[T] | None:
        """The other node's answer, if it has a good one."""
        other = self._other(node)
        with self._lock:
            try:
                if not other.is_proven:
                    other.require(self._past, self._newest - self._most_lag)
                answer = request(other)
            except (NodeError, WrongChainError, *NODE_FAILURES) as error:
                if not other.is_ill:
                    log.warning(f"the {other.name} node is ill", reason=failure(error))
                self._mark_ill(other)
                return None
        return (answer,) if _verdict(parts(answer)) is None else None

    def _other(self, node: _Node) -> _Node:
        return self._second if node is self._first else self._first

    def _mark_ill(self, node: _Node) -> None:
        node.is_ill, node.is_proven, node.rests_until = True, False, time.monotonic() + self._rest

    def _turn_to(self, node: _Node, reason: str) -> None:
        """Uses `node` from now on."""
        if node is not self._active:
            self._active = node
            log.warning(f"the {node.name} node is in use from now on", reason=reason)

    def _look(self) -> None:
        """Looks at the nodes when it is time: the first is preferred, unless it is ill."""
        with self._lock:
            now = time.monotonic()
            if now < self._next_look:
                return
            self._next_look = now + self._look_every
            heads, reasons = {}, {}
            for node in (self._active, self._other(self._active)):
                if now < node.rests_until:
                    continue
                try:
                    heads[node] = node.require(self._past, 0)
                    if node is self._active:
                        self._past = node.past()
                except (NodeError, WrongChainError) as error:
                    heads.pop(node, None)
                    reasons[node] = failure(error)
            # A chain can become shorter, but not while one of its nodes does not say so.
            self._newest = max(heads.values()) if len(heads) == 2 else max(self._newest, *heads.values(), 0)
            for node, head in heads.items():
                if (lag := self._newest - head) > self._most_lag:
                    reasons[node] = f"it lags by {lag} blocks"
                else:
                    node.is_ill = False
            self._settle(reasons)

    def _settle(self, reasons: dict[_Node, str]) -> None:
        """Uses the better node, after a look that has found `reasons` against some."""
        used = self._active
        fresh = [node for node in reasons if not node.is_ill]
        for node in reasons:
            self._mark_ill(node)
        if not self._first.is_ill:
            self._turn_to(self._first, "it is well again")
        elif not self._second.is_ill:
            self._turn_to(self._second, reasons.get(used, "the first is ill"))
        for node in fresh:
            if self._active is used or node is not used:
                log.warning(f"the {node.name} node is ill", reason=reasons[node])


@dataclass(frozen=True)
class _Verdict:
    """Why an answer is not taken at once. `is_illness`: of the node, and not of this question; `is_lie`: never to be taken."""

    reason: str
    is_illness: bool
    is_lie: bool = False


def _verdict(parts: Sequence[Part]) -> _Verdict | None:
    """What is wrong with answers, each with its method and parameters; None: they are answers, good or bad."""
    found = [one for one in (_fault(*part) for part in parts) if one is not None]
    return max(found, key=lambda one: (one.is_lie, one.is_illness), default=None)


def _fault(method: str, params: Any, answer: Any) -> _Verdict | None:
    if "error" in answer:
        code = answer["error"].get("code") if isinstance(answer["error"], dict) else None
        words = _words(answer).lower()
        if "revert" in words:
            return None
        if code in BUSY_CODES or any(one in words for one in BUSY):
            return _Verdict(f"{method}: {_words(answer)}", is_illness=True)
        if code in LACKING_CODES or any(one in words for one in LACKING):
            return _Verdict(f"{method}: {_words(answer)}", is_illness=False)
        return None
    if method == "eth_getLogs" and not _are_asked_for(params[0], answer["result"]):
        return _Verdict("eth_getLogs: it gives logs that were not asked for", is_illness=True, is_lie=True)
    return None


def _are_asked_for(question: dict[str, Any], logs: Any) -> bool:
    """Whether logs can be the answer to a question: of its contract, in its blocks."""
    asked = question.get("address", [])
    addresses = {str(one).lower() for one in ([asked] if isinstance(asked, str) else asked)}
    try:
        for log_entry in logs:
            if addresses and str(log_entry["address"]).lower() not in addresses:
                return False
            number = int(log_entry["blockNumber"], 16)
            for key, sign in (("fromBlock", 1), ("toBlock", -1)):
                limit = question.get(key)
                limit = int(limit, 16) if isinstance(limit, str) and limit.startswith("0x") else limit
                if isinstance(limit, int) and sign * number < sign * limit:
                    return False
    except (TypeError, KeyError, ValueError):
        return False
    return True


def _words(answer: Any) -> str:
    """A node's own sentence, out of its answer."""
    error = answer.get("error", answer)
    return str(error.get("message", error) if isinstance(error, dict) else error)[:300]
