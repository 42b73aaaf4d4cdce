"""An oracle's cycle as a process of its own, killed (SIGKILL) at a step: `python -m tests.e2e.oracle_process FOLDER URL NAME STEP`.

A step is whatever others can see: a request to the node, or a file that appears in mailbox or archives. The process is killed before every
other, and after the rest. It prints the cycle's outcome and the number of steps if it comes to its end.
"""

import sys
from pathlib import Path
from typing import Any

from web3 import HTTPProvider
from web3.types import RPCEndpoint, RPCResponse

from pictor.activity.storage import LocalStorage
from pictor.chain import Chain, Deployment
from tests.e2e.oracles import Network, policy
from tests.e2e.support import CHAIN_ID, die


class Steps:
    """Counts steps, and ends the process at one of them."""

    def __init__(self, fatal: int) -> None:
        self.taken, self.fatal = 0, fatal

    def before(self) -> None:
        """A step begins."""
        self.taken += 1
        if self.taken == self.fatal and self.taken % 2:
            die()

    def after(self) -> None:
        """It has ended."""
        if self.taken == self.fatal:
            die()


class CountingProvider(HTTPProvider):
    """A provider whose requests are steps."""

    def __init__(self, url: str, steps: Steps) -> None:
        super().__init__(url)
        self.steps = steps

    def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        """See BaseProvider."""
        self.steps.before()
        response = super().make_request(method, params)
        self.steps.after()
        return response


def main(folder: Path, url: str, name: str, fatal: int) -> None:
    """Runs one cycle."""
    steps = Steps(fatal)
    for method in ("create", "adopt"):
        original = getattr(LocalStorage, method)

        def counted(*arguments: Any, original: Any = original) -> None:
            steps.before()
            original(*arguments)
            steps.after()

        setattr(LocalStorage, method, counted)
    chain = Chain.connect(url)
    net = Network(url, chain, Deployment.load(folder / "deployments", CHAIN_ID), folder, policy())
    result = net.oracle(name, provider=CountingProvider(url, steps)).run()
    print(result.outcome.name, result.passes_left, result.to_sync, steps.taken)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]))
