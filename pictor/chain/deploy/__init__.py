"""Putting the contracts on a chain: configuration, rehearsal, sending, reading back."""

from pictor.chain.deploy.audit import MismatchError
from pictor.chain.deploy.config import Committee, ConfigError, DeployConfig, load_config, parse_config
from pictor.chain.deploy.deployer import Deployer, Rehearsal, Rehearsed
from pictor.chain.deploy.plan import VERIFIER

DEPLOYED = ("Powers", VERIFIER, "AttestorCommittee", "VIPPass", "ScoreRegistry", "PassArt")  # what artifacts are needed of

__all__ = [
    "DEPLOYED",
    "VERIFIER",
    "Committee",
    "ConfigError",
    "DeployConfig",
    "Deployer",
    "MismatchError",
    "Rehearsal",
    "Rehearsed",
    "load_config",
    "parse_config",
]
