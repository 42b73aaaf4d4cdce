"""The world that every contract test starts from. Ape takes the chain back to it after each test."""

from collections.abc import Sequence
from typing import Any

import pytest

from tests.contracts.support import START, World, deploy_world, freeze_clock, travel_to


@pytest.fixture(scope="session")
def world(project: Any, accounts: Sequence[Any]) -> World:
    # All at once: taken one by one, Ape forgets to compile the second of two contracts that have changed.
    project.load_contracts()
    freeze_clock()
    travel_to(START)
    return deploy_world(project, accounts)
