"""One node over HTTP: every request has a time limit, and what is no answer is told as a failure."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import requests
from web3 import HTTPProvider
from web3.exceptions import BadResponseFormat
from web3.providers.rpc.utils import ExceptionRetryConfiguration
from web3.types import RPCEndpoint, RPCResponse

TIMEOUT = 20.0  # seconds
ATTEMPTS = 3  # at a request, while the node refuses it at once
BACKOFF = 0.25  # seconds until the second attempt, and twice as many before each other
T = TypeVar("T")


class HttpNode(HTTPProvider):
    """A node. Requests raise what is in NODE_FAILURES."""

    def __init__(self, url: str, headers: Mapping[str, str] | None = None, timeout: float = TIMEOUT, attempts: int = ATTEMPTS) -> None:
        """`headers`: beside the usual ones."""
        # A request that was left unanswered is not asked again: it has taken long enough.
        again = ExceptionRetryConfiguration(errors=(requests.ConnectionError, requests.HTTPError), retries=attempts, backoff_factor=BACKOFF)
        together = {**HTTPProvider.get_request_headers(), **(headers or {})}
        super().__init__(url, {"timeout": timeout, "headers": together}, exception_retry_configuration=again)

    def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        """See BaseProvider."""
        return _read(method, lambda: super(HttpNode, self).make_request(method, params), dict)

    def make_batch_request(self, batch_requests: list[tuple[RPCEndpoint, Any]]) -> list[RPCResponse] | RPCResponse:
        """See JSONBaseProvider."""
        return _read("a batch", lambda: super(HttpNode, self).make_batch_request(batch_requests), (list, dict))


def _read(method: str, request: Callable[[], T], kind: type | tuple[type, ...]) -> T:
    try:
        answer = request()
    except requests.RequestException:
        raise
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BadResponseFormat(f"{method}: what the node answers cannot be read ({type(error).__name__})") from None
    answers = answer if isinstance(answer, list) else [answer]
    if not isinstance(answer, kind) or not all(isinstance(one, dict) and ("result" in one or "error" in one) for one in answers):
        raise BadResponseFormat(f"{method}: the node's answer has neither a result nor an error")
    return answer
