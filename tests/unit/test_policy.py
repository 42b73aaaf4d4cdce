"""A policy file is taken exactly, or refused with place and reason; its hash depends on nothing but the rules it states."""

import json
import random
import re
import tomllib
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from pictor.policy import DEFAULT_PATH, PolicyError, load_policies, parse_policies

DEFAULT = DEFAULT_PATH.read_text()


def edited(*changes: tuple[str, str]) -> str:
    text = DEFAULT
    for pattern, replacement in changes:
        text, count = re.subn(pattern, replacement, text, flags=re.MULTILINE)
        assert count, pattern
    return text


def test_the_shipped_policy_says_what_the_rules_say() -> None:
    book = load_policies()
    policy = book.at(0)
    assert (book.epoch_length, book.priority_share, policy.from_epoch) == (86_400, 1_000, 0)
    assert policy.activity.late_limit == 35 * 86_400
    assert (policy.creator.min_recharge, policy.creator.min_spend) == (5_000 * 10**6, 5_000 * 10**6)
    assert (policy.creator.spending_points, policy.creator.completed_points, policy.creator.pass_points) == (1, 1, 100)
    assert policy.creator.spending_window == "month"
    assert (policy.worker.window, policy.worker.min_uptime, policy.worker.max_offline) == (30 * 86_400, 30 * 16 * 60, 72 * 3_600)
    assert (policy.worker.uptime_points, policy.worker.completed_points, policy.worker.failed_penalty) == (1, 5, 10)
    assert (policy.worker.gpu_points, policy.worker.pass_points) == (10, 100)
    assert (policy.gpu.reference_hashpower, policy.gpu.reference_vram_mib) == (1_000, 24_576)
    assert (policy.gpu.hashpower_weight, policy.gpu.vram_weight) == (500_000, 500_000)
    assert (policy.dispatch.promote_after, policy.dispatch.overdue_share, policy.dispatch.gpu_choice) == (6 * 3_600, 1_000, "vip")
    assert (policy.oracle.issue, policy.not_members) == ("push", ())


VERSION_2 = DEFAULT[DEFAULT.index("[[version]]") :]


def test_an_epoch_uses_the_newest_version_that_is_not_after_it() -> None:
    later = VERSION_2.replace("from_epoch = 0", "from_epoch = 100").replace("completed_points = 5 ", "completed_points = 6 ")
    book = parse_policies(DEFAULT + later)
    assert [book.at(epoch).worker.completed_points for epoch in (0, 99, 100, 101, 10**6)] == [5, 5, 6, 6, 6]


def test_before_the_first_version_there_are_no_rules() -> None:
    book = parse_policies(edited(("^from_epoch = 0", "from_epoch = 7")))
    assert book.at(7).from_epoch == 7
    with pytest.raises(PolicyError, match="epoch 6"):
        book.at(6)


@pytest.mark.parametrize(
    ("pattern", "replacement", "place", "reason"),
    [
        ("^grace = .*", "grace = 1\nmood = 3", "version[0].mood", "unknown key"),
        ("^turn_slots = .*", "turn_slot = 64", "version[0].dispatch.turn_slot", "unknown key"),
        ("^epoch_length.*", "epoch_length = 86_400\nyear = 1", "year", "unknown key"),
        ("^late_limit = .*", "", "version[0].activity.late_limit", "missing"),
        ("^priority_share.*", "", "priority_share", "missing"),
        ("^failed_penalty = 10", "failed_penalty = -1", "version[0].worker.failed_penalty", "-1"),
        ("^spending_points = 1", "spending_points = 1.5", "version[0].creator.spending_points", "1.5"),
        ("^spending_points = 1", "spending_points = true", "version[0].creator.spending_points", "True"),
        ("^spending_points = 1", 'spending_points = "1"', "version[0].creator.spending_points", "'1'"),
        ("^priority_share = 1_000", "priority_share = 10_001", "priority_share", "10001"),
        ("^overdue_share = 1_000", "overdue_share = 10_001", "version[0].dispatch.overdue_share", "10001"),
        ("^epoch_length = 86_400", "epoch_length = 86_430", "epoch_length", "multiple of 60"),
        ("^epoch_length = 86_400", "epoch_length = 0", "epoch_length", "0"),
        ("^vram_weight = 500_000", "vram_weight = 500_001", "version[0].gpu", "1000001"),
        ('^issue = "push"', 'issue = "pull"', "version[0].oracle.issue", "'pull'"),
        ('^gpu_choice = "vip"', "gpu_choice = 1", "version[0].dispatch.gpu_choice", "1"),
        (r"^not_members = \[\]", 'not_members = ["0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD"]', "version[0].not_members[0]", "checksum"),
        (r"^not_members = \[\]", "not_members = [5]", "version[0].not_members[0]", "5"),
        (r"^sources = \[\]", 'sources = ["a", "b", "a"]', "version[0].sources[2]", "twice"),
        (r"^sources = \[\]", 'sources = "a"', "version[0].sources", "list"),
        (r"^chains = \[\]", "chains = [{ chain_id = 1 }]", "version[0].chains[0].token", "missing"),
        ("^gpu_tiers = .*", "gpu_tiers = [5, 5]", "version[0].dispatch.gpu_tiers[1]", "5"),
        ("^window = 2_592_000", "window = 2_592_060", "version[0].worker.window", "multiple of 86400"),
        ("^min_uptime = 28_800", "min_uptime = 43_201", "version[0].worker.min_uptime", "43201"),
        ("^max_offline = 259_200", "max_offline = 86_340", "version[0].worker.max_offline", "86340"),
        ("^from_epoch = 0", "from_epoch = 0\nepoch_length = 60", "version[0].epoch_length", "fixed"),
        (r"^\[version.gpu\]", "[version.gpus]", "version[0].gpus", "unknown key"),
        (r"^\[\[version\]\]", "[version]", "version", "[[version]]"),
        ("^grace = 21_600", "grace = = 1", "line 13", "TOML"),
    ],
)
def test_a_mistake_is_refused_with_its_place_and_reason(tmp_path: Path, pattern: str, replacement: str, place: str, reason: str) -> None:
    file = tmp_path / "rules.toml"
    file.write_text(edited((pattern, replacement)))
    with pytest.raises(PolicyError) as error:
        load_policies(file)
    assert str(error.value).startswith(f"{file}: ")
    assert place in str(error.value)
    assert reason in str(error.value)


@pytest.mark.parametrize("epochs", [(0, 0), (5, 4)])
def test_versions_out_of_order_are_refused(epochs: tuple[int, int]) -> None:
    text = DEFAULT.replace("from_epoch = 0", f"from_epoch = {epochs[0]}") + VERSION_2.replace("from_epoch = 0", f"from_epoch = {epochs[1]}")
    with pytest.raises(PolicyError, match=r"version\[1\].from_epoch"):
        parse_policies(text)


@pytest.mark.parametrize("contents", [b"\xff", None])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, contents: bytes | None) -> None:
    file = tmp_path / "rules.toml"
    if contents is not None:
        file.write_bytes(contents)
    with pytest.raises(PolicyError, match=r"rules\.toml"):
        load_policies(file)


def test_the_hash_is_the_sha256_of_the_documented_form() -> None:
    raw = tomllib.loads(DEFAULT)
    fixed = {name: raw[name] for name in ("epoch_length", "priority_share")}
    expected = json.dumps({**fixed, **raw["version"][0]}, sort_keys=True, separators=(",", ":")).encode()
    policy = load_policies().at(0)
    assert policy.canonical() == expected
    assert policy.hash() == sha256(expected).digest()


def test_the_hash_of_the_shipped_policy_is_known() -> None:
    assert load_policies().at(0).hash().hex() == "b48c4a5fbbd60933be8c842bf4488f68c1a94e8365717e317459b05c98e76843"


def shuffled(value: Any, chance: random.Random) -> Any:
    if isinstance(value, dict):
        return {key: shuffled(value[key], chance) for key in chance.sample(list(value), len(value))}
    return value


def as_toml(table: dict[str, Any], path: str = "") -> str:
    """TOML of nested tables, in the order of their keys."""
    plain = [f"{key} = {json.dumps(value)}\n" for key, value in table.items() if not isinstance(value, dict) and key != "version"]
    inner = [f"[{path}{key}]\n" + as_toml(value, f"{path}{key}.") for key, value in table.items() if isinstance(value, dict)]
    versions = ["[[version]]\n" + as_toml(one, "version.") for one in table.get("version", [])]
    return "".join(plain + inner + versions)


@pytest.mark.parametrize("seed", range(5))
def test_order_comments_and_notation_do_not_change_the_hash(seed: int) -> None:
    rewritten = as_toml(shuffled(tomllib.loads(DEFAULT), random.Random(seed)))
    assert parse_policies(rewritten).at(0).hash() == load_policies().at(0).hash()


def test_sets_and_letter_case_do_not_change_the_hash() -> None:
    one, two = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "0x" + "1" * 40
    texts = [
        edited((r"^not_members = \[\]", f'not_members = ["{one}", "{two}"]'), (r"^sources = \[\]", 'sources = ["b", "a"]')),
        edited((r"^not_members = \[\]", f'not_members = ["{two}", "{one.lower()}"]'), (r"^sources = \[\]", 'sources = ["a", "b"]')),
    ]
    assert len({parse_policies(text).at(0).hash() for text in texts}) == 1


@pytest.mark.parametrize("line", re.findall(r"^(\w+ = (?:\d[\d_]*|\"\w+\"|\[.*\]))", DEFAULT, flags=re.MULTILINE))
def test_every_value_is_in_the_hash(line: str) -> None:
    name, value = line.split(" = ")
    other = {
        '"month"': '"lifetime"',
        '"push"': '"claim"',
        '"prioritized"': '"all"',
        '"vip"': '"capacity"',
        "hashpower_weight = 500_000": "400_000",
        "not_members = []": '["0x1111111111111111111111111111111111111111"]',
        "sources = []": '["feed"]',
        "chains = []": f'[{{ chain_id = 1, token = "0x{"1" * 40}", treasury = "0x{"2" * 40}", first_block = 0 }}]',
        "gpu_tiers = [1_500_000, 900_000, 500_000, 250_000]": "[5]",
    }
    if name in ("hashpower_weight", "vram_weight"):  # the two must add up
        text = edited(("^hashpower_weight = 500_000", "hashpower_weight = 400_000"), ("^vram_weight = 500_000", "vram_weight = 600_000"))
    elif value[0].isdigit():
        number = int(value.replace("_", ""))
        step = 60 if name == "max_offline" else 86_400 if name in ("window", "epoch_length") else 1
        text = DEFAULT.replace(line, f"{name} = {number + step}", 1)
    else:
        text = DEFAULT.replace(line, f"{name} = {other.get(line, other.get(value, ''))}", 1)
    assert parse_policies(text).versions[0].hash() != load_policies().at(0).hash()
