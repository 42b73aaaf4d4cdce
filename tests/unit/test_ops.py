"""What operators are given hangs together: alerts name metrics that exist, and sections that say what to do."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from pictor.oracle.metrics import AttestorMetrics, OracleMetrics
from pictor.oracle.service import Health

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "operating.md").read_text()
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load((ROOT / "ops" / "alerts.yml").read_text())["groups"] for rule in group["rules"]
]


def exported() -> set[str]:
    """The names of all metrics."""
    registries: list[CollectorRegistry] = [Health[None]().registry for _ in range(2)]
    OracleMetrics(registries[0])
    AttestorMetrics(registries[1])
    names = {metric.name for registry in registries for metric in registry.collect()}
    return names | {f"{name}_total" for name in names}


@pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
def test_an_alert_names_metrics_that_are_there_and_a_section_that_says_what_to_do(rule: dict[str, Any]) -> None:
    assert set(re.findall(r"pictor_\w+", rule["expr"])) <= exported()
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    assert page == "docs/operating.md"
    headings = re.findall(r"^#+ (.*)$", GUIDE, re.M)
    assert anchor in {heading.lower().replace(" ", "-") for heading in headings}


def test_every_option_that_the_guide_names_is_one() -> None:
    options = set(re.findall(r"(--[a-z][a-z-]+)", "\n".join(path.read_text() for path in (ROOT / "scripts").glob("*.py"))))
    foreign = {"--system", "--home", "--now"}  # of useradd and systemctl
    ape = {"--network", "--account", "--help", "--force"}  # given by Ape and click
    assert set(re.findall(r"(--[a-z][a-z-]+)", GUIDE)) - options - foreign - ape == set()
