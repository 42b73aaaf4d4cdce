"""A party's work as a service: again and again, through failures, until it is told to end; with logs, metrics and health for who watches.

    work ──▶ told, where it is news ──▶ pause ──▶ work …
      │                                   ▲
      └─ failed: told once, longer pauses ┘

Nothing is lost when a service ends at any line, so SIGTERM ends it there and then.
"""

import os
import re
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Generic, TextIO, TypeVar

import structlog
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, generate_latest

from pictor.chain.errors import ChainError
from pictor.chain.files import locked
from pictor.chain.node import NODE_FAILURES, failure
from pictor.oracle.view import FAILURES, ViewError

log = structlog.get_logger()

LONGEST_PAUSE = 300.0  # seconds between two tries while nothing works
STUCK = 1_800.0  # seconds that one unit of work may take until the service no longer counts as alive
ENDING = 10.0  # seconds from SIGTERM to the end at the latest
_URL = re.compile(r"\b(?:https?|wss?)://\S+")  # a node's address may hold a key

Result = TypeVar("Result")


class Ended(BaseException):
    """The service was told to end. No Exception, so that nobody on the way takes it for a failure."""


class Health(Generic[Result]):
    """How a service is: for the loop to tell, and for others to ask, from any thread."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.ticked = time.monotonic()
        self.trouble: str | None = "nothing has succeeded yet"
        self._failures = Counter("pictor_failures", "Units of work that failed: expected, or by a bug.", ["kind"], registry=self.registry)
        self._succeeded = Gauge("pictor_success_timestamp_seconds", "When a unit of work last succeeded.", registry=self.registry)
        self._seconds = Gauge("pictor_work_seconds", "How long the last unit of work took.", registry=self.registry)
        for kind in ("expected", "bug"):
            self._failures.labels(kind)

    def succeeded(self, seconds: float) -> None:
        """A unit of work is done."""
        self.trouble = None
        self._seconds.set(seconds)
        self._succeeded.set_to_current_time()

    def failed(self, trouble: str, kind: str) -> None:
        """A unit of work has failed."""
        self.trouble = trouble
        self._failures.labels(kind).inc()

    def answer(self, path: str) -> tuple[HTTPStatus, str, bytes]:
        """Status, content type and body of what is asked over HTTP."""
        text = "text/plain; charset=utf-8"
        if path == "/metrics":
            return HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest(self.registry)
        if path == "/healthz":
            silent = time.monotonic() - self.ticked
            status = HTTPStatus.OK if silent < STUCK else HTTPStatus.SERVICE_UNAVAILABLE
            return status, text, f"last seen at work {silent:.0f} s ago\n".encode()
        if path == "/readyz":
            status = HTTPStatus.SERVICE_UNAVAILABLE if self.trouble else HTTPStatus.OK
            return status, text, f"{self.trouble or 'ready'}\n".encode()
        return HTTPStatus.NOT_FOUND, text, b"/metrics, /healthz, /readyz\n"


def serve(work: Callable[[], Result], tell: Callable[[Result], None], every: float, state: Path, health: Health[Result]) -> None:
    """Does `work` every so many seconds until SIGTERM or SIGINT; what it comes to is told when it is news. To be called in the main thread.

    A failure (FAILURES) is told once, and tried again after longer and longer pauses; so is a bug, with its traceback. `state` is this
    service's alone: raises ViewError if another one has it.
    """
    with locked(state, ViewError(f"{state}: another service is at work with it")), _ending():
        last: Result | None = None
        failures = 0
        while True:
            health.ticked = started = time.monotonic()
            try:
                result = work()
                if result != last:
                    tell(result)
                last, failures = result, 0
                health.succeeded(time.monotonic() - started)
            except FAILURES as error:
                trouble = words(error)
                if trouble != health.trouble:
                    log.error("failed, and will be tried again", reason=trouble)
                health.failed(trouble, "expected")
                failures += 1
            except Exception as error:  # a bug must not end what can go on
                trouble = f"{type(error).__name__}: {words(error)}"
                if trouble != health.trouble:
                    log.critical("a bug, and will be tried again", reason=trouble, traceback=scrubbed(traceback.format_exc()))
                health.failed(trouble, "bug")
                failures += 1
            health.ticked = time.monotonic()
            time.sleep(min(every * 2**failures, max(every, LONGEST_PAUSE)))


@contextmanager
def _ending() -> Iterator[None]:
    """Ends what is inside at SIGTERM or SIGINT, wherever it is."""

    def end(number: int, _frame: object) -> None:
        for one in (signal.SIGTERM, signal.SIGINT):
            signal.signal(one, signal.SIG_IGN)  # one is enough
        force.start()  # for when a library, or a finaliser, swallows what is raised
        raise Ended(signal.Signals(number).name)

    force = threading.Timer(ENDING, os._exit, (0,))
    force.daemon = True
    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    except Ended as ended:
        log.info("ended", by=str(ended))
    finally:
        force.cancel()
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def listening(address: str | None, health: Health[Any]) -> Iterator[None]:
    """Answers `/metrics`, `/healthz` and `/readyz` at `HOST:PORT` meanwhile. Raises ChainError if that cannot be."""
    if address is None:
        yield
        return
    host, _, port = address.rpartition(":")
    try:
        server = ThreadingHTTPServer((host.strip("[]"), int(port)), _handler(health))
    except (OSError, ValueError, OverflowError) as error:
        raise ChainError(f"--listen {address}: {getattr(error, 'strerror', None) or 'not HOST:PORT'}") from None
    threading.Thread(target=server.serve_forever, daemon=True).start()
    log.info("listening", address=address)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


def _handler(health: Health[Any]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, kind, body = health.answer(self.path.partition("?")[0])
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Says nothing of who has asked."""

    return Handler


def words(error: BaseException) -> str:
    """What went wrong, in one line, without a node's address."""
    if isinstance(error, NODE_FAILURES):
        return scrubbed(failure(error))
    return scrubbed((str(error).strip() or type(error).__name__).splitlines()[0])


def scrubbed(text: str) -> str:
    """`text` without the addresses of nodes."""
    return _URL.sub("<url>", text)


def log_to(stream: TextIO = sys.stderr, *, as_json: bool) -> None:
    """Writes logs to `stream`, a line each with the time in UTC: for people, or as JSON. No node's address gets into them."""

    def scrub(_logger: object, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        return {key: scrubbed(value) if isinstance(value, str) else value for key, value in event.items()}

    render = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=stream.isatty())
    structlog.configure(
        processors=[structlog.processors.add_log_level, structlog.processors.TimeStamper(fmt="iso", utc=True), scrub, render],
        logger_factory=structlog.PrintLoggerFactory(stream),
    )
