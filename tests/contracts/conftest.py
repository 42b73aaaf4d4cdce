"""The world that every contract test starts from. Ape takes the chain back to it after each test."""

from collections.abc import Sequence
from typing import Any

import pytest

from tests.contracts.support import START, World, deploy_world, freeze_clock, travel_to


@pytest.fixture(scope="session")
def world(project: Any, accounts: Sequence[Any]) -> World:
    freeze_clock()
    travel_to(START)
    return deploy_world(project, accounts)
