"""Oracle and attestor as services: ended and killed at any moment, watched from outside, and silent about secrets."""

import json
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pictor.oracle.cycle import Outcome
from pictor.units import DAY, Role, parse_address
from tests.e2e.faulty import FaultyNode, broken, faulty_node
from tests.e2e.oracles import CREATORS, FIRST, Network, activity, network, undone
from tests.e2e.support import ROOT, ape_command, ape_environment, tell
from tests.e2e.test_oracle_commands import ape_account

SECRET = "a-key-that-nobody-may-see"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """A network whose three attestors are Ape's test accounts, after its first epoch has ended; the oracle is account 0."""
    attestors = [parse_address(ape_account(number)) for number in (1, 2, 3)]
    with network(tmp_path_factory.mktemp("network"), attestors=attestors, threshold=2) as net:
        yield net


@pytest.fixture
def net(shared: Network, tmp_path: Path) -> Iterator[Network]:
    """The same for each test, with files of its own."""
    with undone(shared, tmp_path) as net:
        (net.folder / "policy.toml").write_text(net.policy)
        net.hear(activity(FIRST - 1), FIRST * DAY)
        net.end_epoch(FIRST)
        yield net


@pytest.fixture
def front(net: Network) -> Iterator[FaultyNode]:
    """The way to the node, with a secret in its address."""
    with faulty_node(net.url) as node:
        yield node


class Service:
    """A service in a process of its own, and what it has logged."""

    def __init__(self, net: Network, front: FaultyNode, name: str, *command: str, state: str = "") -> None:
        folder = net.folder
        ledger = folder / ("ledger" if "oracle" in name else f"{name}-mirror")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        places = {
            "mailbox": "mailbox",
            "archives": "archives",
            "state": state or name,
            "policy": "policy.toml",
            "deployments": "deployments",
        }
        options = [part for option, value in places.items() for part in (f"--{option}", f"{folder}/{value}")]
        more = ("--every", "0.3", "--log", "json", "--listen", f"127.0.0.1:{self.port}", "--network", f"{front.url}/{SECRET}")
        self.log = folder / f"{name}-{self.port}.log"
        line = ape_command(*command, "--ledger", str(ledger), *options, *more)
        with self.log.open("w") as log:
            self.process = subprocess.Popen(line, cwd=ROOT, env=ape_environment(folder), stdout=log, stderr=log)

    def lines(self) -> list[dict[str, Any]]:
        """What was logged."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    def get(self, path: str) -> tuple[int, str]:
        """What is answered over HTTP; 0 if nobody is there."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def metric(self, name: str) -> float | None:
        """The value of a metric."""
        for line in self.get("/metrics")[1].splitlines():
            if line.rpartition(" ")[0] == name:
                return float(line.rpartition(" ")[2])
        return None

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Ends it; its exit code."""
        self.process.send_signal(how)
        return self.process.wait(timeout=20)


def oracle(net: Network, front: FaultyNode, name: str = "oracle", state: str = "", account: int = 0) -> Service:
    """An oracle's service."""
    command = ("oracle", "run", "--yes", "--account", f"TEST::{account}", "--confirmations", "1")
    return Service(net, front, name, *command, state=state)


def attestor(net: Network, front: FaultyNode, number: int) -> Service:
    """An attestor's service."""
    source = ("--source", f"{net.folder}/ledger")
    return Service(net, front, f"attestor {number}", "attest", "--watch", "--account", f"TEST::{number}", *source)


def until(condition: Callable[[], Any], *services: Service, seconds: float = 120) -> Any:
    """The first answer of `condition` that is one, while the services live."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        for one in services:
            assert one.process.poll() is None, one.log.read_text()
        assert time.monotonic() < deadline, [one.log.read_text() for one in services]
        time.sleep(0.1)
    return answer


@pytest.fixture
def running() -> Iterator[list[Service]]:
    """Services that are gone afterwards."""
    services: list[Service] = []
    yield services
    for one in services:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()


def test_services_bring_an_epoch_to_the_chain_and_end_when_they_are_told_to(
    net: Network, front: FaultyNode, running: list[Service]
) -> None:
    running += [oracle(net, front), attestor(net, front, 1), attestor(net, front, 2)]
    first, *others = running
    until(lambda: net.contracts.vip_pass.members(Role.CREATOR) == len(CREATORS), *running)

    # The node is gone for a while: told once, and shown.
    until(lambda: first.get("/readyz")[0] == 200, *running)
    front.fault = broken
    until(lambda: first.get("/readyz")[0] == 503, *running)
    assert first.get("/healthz")[0] == 200
    assert (first.metric('pictor_failures_total{kind="expected"}') or 0) >= 1
    assert first.metric('pictor_failures_total{kind="bug"}') == 0
    front.fault = None
    until(lambda: first.get("/readyz")[0] == 200, *running)

    # SIGTERM while a transaction waits to be mined, and SIGKILL: the next one brings it to its end.
    net.end_epoch(FIRST + 1)
    tell(net.chain, "evm_setAutomine", False)
    until(lambda: int(tell(net.chain, "txpool_status")["pending"], 16), *running)
    assert first.end() == 0
    assert first.lines()[-1]["event"] == "ended"
    running.append(oracle(net, front))
    until(lambda: any(line["event"] == "found under way" for line in running[-1].lines()), *running[1:])
    running.pop().end(signal.SIGKILL)
    running.append(oracle(net, front))
    tell(net.chain, "evm_setAutomine", True)
    tell(net.chain, "evm_mine")
    until(lambda: net.contracts.registry.last_epoch() == FIRST + 1, *running[1:])
    until(lambda: running[-1].metric("pictor_posted_epoch") == FIRST + 1, *running[1:])
    assert running[-1].metric("pictor_passes_left") == 0
    until(lambda: others[0].metric("pictor_signed_epoch") == FIRST + 1, *running[1:])
    assert [one.end() for one in running[1:]] == [0] * 3
    assert len(net.contracts.registry.events(net.deployment.first_block, "Submitted")) == 1

    said = [line for one in running for line in one.lines()]
    assert any(line.get("outcome") == Outcome.AWAITING_SIGNATURES.name and len(line["missing"]) == 3 for line in said)
    assert not any(SECRET in one.log.read_text() for one in running)
    assert not any(line["level"] == "critical" for line in said)
    assert len([line for line in first.lines() if line["event"].startswith("failed")]) == 1


def test_two_services_do_not_share_a_folder_and_two_oracles_get_on(net: Network, front: FaultyNode, running: list[Service]) -> None:
    running += [oracle(net, front), oracle(net, front, "oracle two", account=4)]
    until(lambda: all(one.get("/readyz")[0] == 200 for one in running), *running)
    third = oracle(net, front, "oracle three", state="oracle")
    assert third.process.wait(timeout=60) == 1
    assert "another service is at work" in third.log.read_text()
    assert not any(line["level"] in ("error", "critical") for one in running for line in one.lines())
    assert len(list((net.folder / "mailbox").glob("*/proposals/*.json"))) == 1
    assert [one.end(signal.SIGINT) for one in running] == [0, 0]
