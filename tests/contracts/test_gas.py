"""Gas is part of the interface: it is what `benchmarks/gas.json` says, to the unit, and within the limits that were promised."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.gas import FIGURES, SNAPSHOT, Figure

ROOT = Path(__file__).parents[2]


def test_gas_is_exactly_what_was_committed() -> None:
    # On a chain of its own: addresses, and so calldata, would not be the same on one that other tests have used.
    run = subprocess.run([sys.executable, "-m", "benchmarks.gas"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr + "if the change is meant: python -m benchmarks.gas --update"


@pytest.mark.parametrize("figure", [figure for figure in FIGURES if figure.limit], ids=lambda figure: figure.name)
def test_gas_stays_within_its_limit(figure: Figure) -> None:
    assert figure.limit is not None
    assert json.loads(SNAPSHOT.read_text())[figure.name] <= figure.limit * figure.count
