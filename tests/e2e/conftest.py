"""A folder and a home for each test, and nothing of the chain that Ape runs beside."""

from collections.abc import Iterator

import pytest

from pictor.chain import Chain
from tests.e2e.support import World, deploy, local_chain, tell


@pytest.fixture(scope="module")
def chain() -> Iterator[Chain]:
    """A chain for the tests of a file, without contracts."""
    with local_chain() as chain:
        yield chain


@pytest.fixture(autouse=True)
def undone(request: pytest.FixtureRequest) -> Iterator[None]:
    """What a test does on the file's chain does not last."""
    chain = request.getfixturevalue("chain") if "chain" in request.fixturenames else None
    if not isinstance(chain, Chain):  # a file may have a chain of its own kind, and its own ways with it
        yield
        return
    snapshot = tell(chain, "evm_snapshot")
    yield
    tell(chain, "evm_revert", snapshot)


@pytest.fixture(scope="module")
def deployed(chain: Chain, tmp_path_factory: pytest.TempPathFactory) -> World:
    """A deployment on the file's chain."""
    folder = tmp_path_factory.mktemp("deployments")
    return World(chain, deploy(chain, folder), folder)
