"""A node that goes wrong: a real HTTP server before a real anvil, which passes requests on and spoils what it is told to spoil."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import requests

Answer = tuple[int, bytes]  # status and body
Fault = Callable[[Any, Answer], Answer]  # what was asked (JSON) and the true answer, to what is answered


@dataclass
class FaultyNode:
    """`fault`: what happens to answers now; None: nothing. `asked`: the methods that were asked for."""

    upstream: str
    url: str = ""
    fault: Fault | None = None
    asked: list[str] = field(default_factory=list)

    def answer(self, body: bytes) -> Answer:
        """What is answered to a request."""
        question = json.loads(body)
        self.asked += [one["method"] for one in (question if isinstance(question, list) else [question])]
        response = requests.post(self.upstream, data=body, headers={"Content-Type": "application/json"}, timeout=60)
        answer = (response.status_code, response.content)
        return self.fault(question, answer) if self.fault else answer


@contextmanager
def faulty_node(upstream: str) -> Iterator[FaultyNode]:
    """A node before that at `upstream`, at first without a fault."""
    node = FaultyNode(upstream)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            status, body = node.answer(self.rfile.read(int(self.headers["Content-Length"])))
            try:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            except ConnectionError:
                pass  # whoever asked has given up

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    node.url = f"http://127.0.0.1:{server.server_address[1]}"
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield node
    finally:
        server.shutdown()
        server.server_close()


def too_many(_question: Any, _answer: Answer) -> Answer:
    """It asks to be left alone."""
    return 429, b'{"jsonrpc":"2.0","id":1,"error":{"code":429,"message":"too many requests"}}'


def broken(_question: Any, _answer: Answer) -> Answer:
    """Whatever is behind it is gone."""
    return 502, b"<html>Bad Gateway</html>"


def half(_question: Any, answer: Answer) -> Answer:
    """It stops in the middle of a sentence."""
    return answer[0], answer[1][: len(answer[1]) // 2]


def silent(_question: Any, answer: Answer) -> Answer:
    """It answers when nobody waits any more."""
    time.sleep(4)
    return answer


def changed(method: str, change: Callable[[Any], Any]) -> Fault:
    """The results of one method are others."""

    def fault(question: Any, answer: Answer) -> Answer:
        asked = question if isinstance(question, list) else [question]
        told = json.loads(answer[1])
        answers = told if isinstance(told, list) else [told]
        for one, reply in zip(asked, answers, strict=True):
            if one["method"] == method and "result" in reply:
                reply["result"] = change(reply["result"])
        return answer[0], json.dumps(told).encode()

    return fault
