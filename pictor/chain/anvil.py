"""A local chain in a process of its own: for the demo, the tests, and the rehearsal of a deployment on a fork of the real chain."""

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any

from web3.providers import BaseProvider
from web3.types import RPCEndpoint

from pictor.chain.errors import ChainError, NodeError
from pictor.chain.node import Chain

START_SECONDS = 60


class AnvilMissingError(ChainError):
    """There is no anvil to be started."""

    def __init__(self) -> None:
        super().__init__("anvil is not to be found: set-up (`make setup`) puts it into the environment's bin folder, which must be on PATH")


@contextmanager
def anvil(*options: str) -> Iterator[str]:
    """Runs anvil on a free port with `options`, and gives its URL. It is gone afterwards, whatever happens."""
    program = shutil.which("anvil")
    if program is None:
        raise AnvilMissingError
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [program, "--port", str(port), "--silent", *options]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        _wait_for(process, port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        try:
            process.communicate(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


@contextmanager
def fork(provider: BaseProvider) -> Iterator[Chain]:
    """A chain that starts where that of `provider` is now, with the same id, and whose transactions reach nobody."""
    # The node's address may hold a secret key, and a program's arguments can be seen by everybody: so anvil is given a relay.
    with _relay(provider) as upstream, anvil("--fork-url", upstream, "--no-storage-caching", "--retries", "2", "--accounts", "1") as url:
        yield Chain.connect(url)


def _wait_for(process: "subprocess.Popen[bytes]", port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        if process.poll() is not None:
            words = process.stderr.read().decode(errors="replace").strip() if process.stderr else ""
            raise NodeError(f"anvil does not start: {words.splitlines()[-1] if words else f'exit code {process.returncode}'}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if time.monotonic() > deadline:
            raise NodeError(f"anvil does not answer after {START_SECONDS} s")
        time.sleep(0.05)


@contextmanager
def _relay(provider: BaseProvider) -> Iterator[str]:
    """A local HTTP server that hands every request to `provider`."""
    one_at_a_time = Lock()

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        with one_at_a_time:
            response = provider.make_request(RPCEndpoint(request["method"]), request.get("params", []))
        return {**response, "id": request.get("id")}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            try:
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                answers = [answer(one) for one in request] if isinstance(request, list) else answer(request)
                status, body = 200, json.dumps(answers).encode()
            except Exception as error:  # whatever the node's failure, anvil must hear of it and not wait
                status, body = 502, str(error).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: Any) -> None:
            """Says nothing: anvil has hung up, as it does when it ends."""

    server = Server(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
