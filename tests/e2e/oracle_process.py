"""An oracle's cycles as processes of their own, each killed (SIGKILL) at a step: `python -m tests.e2e.oracle_process FOLDER URL NAME`.

Takes the number of the fatal step of each cycle from standard input, and prints the cycle's outcome, if it comes to its end, and how its
process ended. A step is whatever others can see: a request to the node, or a file that appears in mailbox or archives. The process is
killed before every other step, and after the rest.
"""

import os
import sys
import traceback
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


def cycle(folder: Path, url: str, name: str, fatal: int) -> None:
    """Runs one cycle, and prints what it came to."""
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
    print(result.outcome.name, result.issuing.name, result.syncing.name, flush=True)


def main(folder: Path, url: str, name: str) -> None:
    """Runs cycles, each in a child that has all modules already and no threads yet."""
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                cycle(folder, url, name, int(line))
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
