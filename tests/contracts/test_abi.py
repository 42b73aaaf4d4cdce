"""The interfaces that the library reads are those of the compiled contracts."""

import pytest

from pictor.chain.contracts import FUNCTION_POWERS, GATEWAYS
from pictor.chain.interfaces import CONTRACTS, interface
from tests.e2e.support import ROOT
from tools.abi import FOLDER, compiled


@pytest.fixture(scope="module")
def files() -> dict[str, str]:
    return compiled()


@pytest.mark.parametrize("name", CONTRACTS)
def test_the_file_is_what_make_abi_writes(name: str, files: dict[str, str]) -> None:
    assert (FOLDER / f"{name}.json").read_text() == files[name]


def test_every_contract_has_a_gateway() -> None:
    assert set(GATEWAYS) == set(CONTRACTS)


@pytest.mark.parametrize("name", CONTRACTS)
def test_who_may_use_a_restricted_function_is_said_of_each(name: str) -> None:
    restricted = set()
    for line in (ROOT / "contracts" / f"{name}.sol").read_text().splitlines():
        words = line.split()
        if words[:1] == ["function"] and "restricted" in words:
            restricted.add(words[1].split("(")[0])
    said = [function for functions in FUNCTION_POWERS.get(name, {}).values() for function in functions]
    assert sorted(said) == sorted(restricted)
    assert all(interface(name).function(function) for function in said)
