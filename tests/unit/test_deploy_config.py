"""A deployment's configuration: what is taken, and what is refused with its key and reason."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pictor.chain.deploy import Committee, ConfigError, load_config, parse_config

EXAMPLE = Path(__file__).resolve().parent.parent.parent / "deploy.example.toml"
KEY = "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb67903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299"


def account(digit: str) -> str:
    return "0x" + 40 * digit


def changed(**changes: Any) -> Mapping[str, Any]:
    """The example's values with some changed; None leaves one out."""
    values = tomllib.loads(EXAMPLE.read_text()) | changes
    return {name: value for name, value in values.items() if value is not None}


def test_the_example_is_taken() -> None:
    config = load_config(EXAMPLE)
    assert isinstance(config.attestor, Committee)
    assert (len(config.attestor.accounts), len(config.attestor.p256_keys), config.attestor.threshold) == (4, 1, 3)
    assert (config.chain_id, config.admin_delay, config.governor_delay) == (11155111, 604_800, 172_800)


def test_an_attestor_takes_the_place_of_a_committee() -> None:
    config = parse_config(changed(attestors=None, p256_attestors=None, threshold=None, attestor=account("A")))
    assert config.attestor == account("a")


@pytest.mark.parametrize("written", [KEY, f"0x{KEY}", f"0x04{KEY}"], ids=["hex", "0x", "SEC 1"])
def test_a_p256_key_is_x_and_y(written: str) -> None:
    attestor = parse_config(changed(p256_attestors=[written])).attestor
    assert isinstance(attestor, Committee)
    assert attestor.p256_keys == (bytes.fromhex(KEY),)


@pytest.mark.parametrize(("signers", "threshold"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3)])
def test_more_than_half_must_sign(signers: int, threshold: int) -> None:
    accounts = [account(str(i + 1)) for i in range(signers)]
    assert parse_config(changed(attestors=accounts, p256_attestors=None, threshold=threshold))
    with pytest.raises(ConfigError, match=f"^threshold: {threshold - 1} "):
        parse_config(changed(attestors=accounts, p256_attestors=None, threshold=threshold - 1))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"chain_id": None}, "chain_id: is missing"),
        ({"chain_id": "1"}, "chain_id: '1' is not a whole number"),
        ({"chain_id": True}, "chain_id: True is not a whole number"),
        ({"speed": 1}, "speed: no such key"),
        ({"threshold": 6}, "threshold: 6 is not in 1 to 5"),
        ({"attestors": [], "p256_attestors": []}, "attestors: there is none"),
        ({"attestors": account("1")}, f"attestors: '{account('1')}' is not a list"),
        ({"attestors": [account("1"), account("2"), account("1")]}, f"attestors\\[2\\]: {account('1')} is named twice"),
        ({"attestors": [account("a"), account("A"), account("1")]}, f"attestors\\[1\\]: {account('a')} is named twice"),
        ({"attestors": [account("0"), account("1"), account("2")]}, "attestors\\[0\\]: is the zero address"),
        ({"attestors": ["0x12", account("1")]}, "attestors\\[0\\]: not an address: '0x12'"),
        ({"p256_attestors": [KEY, f"04{KEY}"]}, "p256_attestors\\[1\\]: 60fe.* is named twice"),
        ({"p256_attestors": [KEY[:-2] + "00"]}, "p256_attestors\\[0\\]: .* is not a point of the curve P-256"),
        ({"p256_attestors": [KEY[2:]]}, "p256_attestors\\[0\\]: .* is not the 64 bytes"),
        ({"p256_attestors": [], "p256_verifier": account("9")}, "p256_verifier: there are no p256_attestors"),
        ({"attestor": account("9")}, "attestors: goes with a committee"),
        ({"admin": account("0")}, "admin: is the zero address"),
        ({"admin": "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD0"}, "admin: not an address"),
        ({"admin": "0x5aaeb6053F3E94C9b9A09f33669435E7Ef1BeAed"}, "admin: wrong checksum"),
        ({"admin": 5}, "admin: not an address: '5'"),
        ({"admin_delay": 0}, "admin_delay: 0 is not in .*: without a delay nobody could stop a stolen key"),
        ({"admin_delay": 604_800_000}, "admin_delay: 604800000 is not in 1 to 31536000$"),
        ({"governor_delay": 0}, "governor_delay: 0 is not in .*: without a delay no guardian could cancel"),
        ({"governors": []}, "governors: there is none"),
        ({"governors": [account("6")] * 2}, f"governors\\[1\\]: {account('6')} is named twice"),
        ({"guardians": None}, "guardians: there is none"),
        ({"guardians": [account("0")]}, "guardians\\[0\\]: is the zero address"),
        ({"issue_limit": 0}, "issue_limit: 0 is not in 1 to 4294967295"),
        ({"epoch_length": 90}, "epoch_length: 90 is not a multiple of 60"),
        ({"activation_delay": 0}, "activation_delay: 0 is not in .*: without a delay nobody could veto"),
        ({"activation_delay": 86_400}, "activation_delay: 86400 is not less than epoch_length, 86400"),
        ({"priority_share": 10_001}, "priority_share: 10001 is not in 1 to 10000"),
        ({"confirmations": 0}, "confirmations: 0 is not in 1 to 1000"),
    ],
)
def test_a_mistake_is_named_by_its_key(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_config(changed(**changes))


@pytest.mark.parametrize(
    ("text", "reason"), [("chain_id = ", "Invalid value"), ("admin = 'x'", "chain_id: is missing"), (None, "No such file")]
)
def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, text: str | None, reason: str) -> None:
    path = tmp_path / "deploy.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match=f"{path}: .*{reason}"):
        load_config(path)


def test_the_canonical_form_is_what_is_deployed_and_no_more() -> None:
    example = parse_config(changed()).canonical()
    assert parse_config(changed(confirmations=9)).canonical() == example
    assert parse_config(changed(admin=account("5").upper().replace("X", "x"))).canonical() == example
    for key, value in (("issue_limit", 9), ("threshold", 4), ("p256_attestors", None), ("admin", account("b"))):
        assert parse_config(changed(**{key: value})).canonical() != example
