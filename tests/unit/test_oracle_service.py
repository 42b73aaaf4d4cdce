"""What a service does with its work, by itself: failures, bugs, the end, and what it says of itself."""

import io
import json
import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from pictor.chain.errors import ChainError
from pictor.oracle.service import Health, listening, log_to, serve
from pictor.oracle.view import ViewError

URL = "https://rpc.example/a-key-that-nobody-may-see"


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """What is logged meanwhile, as JSON."""
    stream = io.StringIO()
    log_to(stream, as_json=True)
    yield stream
    structlog.reset_defaults()


def run(folder: Path, *turns: Callable[[], Any]) -> tuple[list[Any], Health[Any]]:
    """Does each of `turns` as one unit of work, and ends itself with SIGTERM then; what was told."""
    told: list[Any] = []
    left = list(turns)

    def work() -> Any:
        if not left:
            os.kill(os.getpid(), signal.SIGTERM)
            return "not reached"
        return left.pop(0)()

    health: Health[Any] = Health()
    serve(work, told.append, 0.001, folder, health)
    return told, health


def raising(error: Exception) -> Callable[[], Any]:
    """Work that fails."""

    def work() -> Any:
        raise error

    return work


def test_what_is_news_is_told_and_nothing_else(tmp_path: Path, logged: io.StringIO) -> None:
    told, health = run(tmp_path, lambda: 1, lambda: 1, lambda: 2, lambda: 1)
    assert told == [1, 2, 1]
    assert health.answer("/readyz")[0] == 200


def test_a_failure_is_told_once_and_does_not_end_it(tmp_path: Path, logged: io.StringIO) -> None:
    told, health = run(tmp_path, raising(ChainError("gone")), raising(ChainError("gone")), lambda: 1)
    assert told == [1]
    assert [json.loads(line)["event"] for line in logged.getvalue().splitlines()] == ["failed, and will be tried again", "ended"]
    assert b'pictor_failures_total{kind="expected"} 2.0' in health.answer("/metrics")[2]


def test_a_bug_is_told_with_its_traceback_and_without_a_nodes_address(tmp_path: Path, logged: io.StringIO) -> None:
    _, health = run(tmp_path, raising(KeyError(URL)))
    line = json.loads(logged.getvalue().splitlines()[0])
    assert line["level"] == "critical"
    assert "in work" in line["traceback"]
    assert URL not in logged.getvalue()
    assert health.answer("/readyz")[0] == 503
    assert b'pictor_failures_total{kind="bug"} 1.0' in health.answer("/metrics")[2]


def test_two_do_not_share_a_folder(tmp_path: Path, logged: io.StringIO) -> None:
    def work() -> None:
        with pytest.raises(ViewError, match="another service"):
            serve(lambda: None, lambda _: None, 1, tmp_path, Health())

    told, _ = run(tmp_path, work)
    assert told == []  # None is no news


@pytest.mark.parametrize("address", ["nowhere", "127.0.0.1:99999", "127.0.0.1:-1", ":x"])
def test_a_place_to_listen_that_is_none_is_named(address: str) -> None:
    with pytest.raises(ChainError, match="--listen"), listening(address, Health()):
        pass


def test_a_place_to_listen_that_is_taken_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ChainError, match="in use"), listening(f"127.0.0.1:{taken.getsockname()[1]}", Health()):
            pass
