"""What a wallet shows of a pass: JSON that parses, a picture that stands alone, and only what the chain knows."""

from __future__ import annotations

import json
import os
import re
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from ape import chain
from eth_abi.abi import encode
from eth_utils.crypto import keccak

from tests.contracts.support import (
    CREATOR,
    DAY,
    WORKER,
    Standing,
    World,
    account_of,
    events,
    now,
    pass_id,
    ranked,
    refusal,
    refused,
    refused_raw,
    rpc,
    stranger,
    travel,
)

POINT = 1_000_000
YEAR_9999_ENDS = 253_402_300_799
ALL_PASSES = ("BatchMetadataUpdate", 0, 2**256 - 1)
DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def art(world: World, project: Any) -> Any:
    """The art, in force."""
    art = world.carrier.deploy(project.PassArt, world.vip_pass, world.registry)
    world.govern(world.vip_pass.setArt, art)
    return art


@dataclass(frozen=True)
class Shown:
    """What a wallet makes of a metadata URI."""

    json: dict[str, Any]
    svg: str

    @classmethod
    def of(cls, uri: str) -> Shown:
        content = json.loads(unpacked(uri, "application/json"), parse_float=Decimal)
        return cls(content, unpacked(content["image"], "image/svg+xml"))

    @property
    def attributes(self) -> dict[str, Any]:
        return {each["trait_type"]: each["value"] for each in self.json["attributes"]}

    @property
    def elements(self) -> Iterator[ElementTree.Element]:
        return ElementTree.fromstring(self.svg).iter()

    @property
    def texts(self) -> list[str]:
        """The lettering, in its order."""
        return ["".join(each.itertext()) for each in self.elements if name_of(each) == "text"]

    @property
    def dial(self) -> str:
        """The hexadecimal digits that the strokes of the dial spell."""
        strokes = re.findall(r'd="M0-262v-(\d+)" transform="rotate\((\d+)\)"', self.svg)
        assert [int(angle) for _, angle in strokes] == list(range(24, 344, 8))
        return "".join(f"{(int(length) - 6) // 3:x}" for length, _ in strokes)


def unpacked(uri: str, media_type: str) -> str:
    start = f"data:{media_type};base64,"
    assert uri.startswith(start)
    return b64decode(uri.removeprefix(start), validate=True).decode()


def name_of(element: ElementTree.Element) -> str:
    return element.tag.removeprefix("{http://www.w3.org/2000/svg}")


def shown(world: World, account: Any, role: int) -> Shown:
    return Shown.of(world.vip_pass.tokenURI(pass_id(account, role)))


def short(account: Any) -> str:
    return f"{account_of(account)[:6]}…{account_of(account)[-4:]}"


def day_of(time: int) -> str:
    return datetime.fromtimestamp(time, UTC).date().isoformat()


@cache
def place_of(contract: str, key: bytes) -> int:
    """Where a mapping of `contract` keeps the word that it holds at `key`."""
    places = (int.from_bytes(keccak(key + slot.to_bytes(32))) for slot in range(1_000))
    return next(place for place in places if any(chain.provider.get_storage(contract, place)))


def store(contract: Any, key: bytes, value: int) -> None:
    """Overwrite the word that a mapping of `contract` holds at `key`: for values that no chain lives long enough to see."""
    rpc("anvil_setStorageAt", contract.address, f"0x{place_of(contract.address, key):064x}", f"0x{value:064x}")


def store_creator_since(world: World, account: Any, time: int) -> None:
    held = 1 << 64
    store(world.vip_pass, encode(["address"], [account_of(account)]), held | time)


def store_standing(world: World, standing: Standing, epoch: int) -> None:
    store(world.registry, encode(["uint256"], [standing.passId]), standing.rank << 96 | standing.score << 32 | epoch)


# ------------------------------------------------------------------------------------------------------- what it says


@pytest.mark.parametrize(("role", "name"), [(CREATOR, "Creator"), (WORKER, "Worker")])
def test_a_pass_without_a_standing_says_so(world: World, art: Any, role: int, name: str) -> None:
    world.issue(role, world.alice)
    wallet = account_of(world.alice)
    seen = shown(world, world.alice, role)

    assert seen.json["name"] == f"Pictor VIP {name} {short(wallet)}"
    assert f"VIP {name}s come first" in seen.json["description"]
    assert seen.json["attributes"] == [
        {"trait_type": "Role", "value": name},
        {"trait_type": "Holder", "value": wallet},
        {"display_type": "date", "trait_type": "Member since", "value": now()},
    ]
    assert seen.texts == [
        *("PICTOR", "NETWORK", day_of(now()), "MEMBER SINCE"),
        *(f"VIP {name.upper()}", wallet),
        *("STANDING", "No standing yet"),
    ]


@pytest.mark.parametrize(("role", "name"), [(CREATOR, "Creator"), (WORKER, "Worker")])
def test_a_pass_with_a_standing_shows_it_with_its_epoch(world: World, art: Any, role: int, name: str) -> None:
    world.issue(role, world.alice, world.bob)
    since = now()
    batch = world.activate(ranked(role, {world.bob: 7_000 * POINT, world.alice: 6_412 * POINT + 348_999}))
    world.sync(batch)
    seen = shown(world, world.alice, role)

    assert seen.json["attributes"] == [
        {"trait_type": "Role", "value": name},
        {"trait_type": "Holder", "value": account_of(world.alice)},
        {"display_type": "date", "trait_type": "Member since", "value": since},
        {"display_type": "number", "trait_type": "Epoch", "value": batch.epoch},
        {"display_type": "number", "trait_type": "Score", "value": Decimal("6412.348999")},
        {"display_type": "number", "trait_type": "Rank", "value": 2},
    ]
    assert seen.texts[4:] == [
        *(f"VIP {name.upper()}", account_of(world.alice)),
        *("SCORE (POINTS)", "6,412.34", "RANK", "#2", "EPOCH", f"{batch.epoch:,}"),
    ]


def test_the_two_passes_of_one_wallet_show_each_its_own(world: World, art: Any) -> None:
    world.issue(CREATOR, world.alice)
    travel(DAY)
    world.issue(WORKER, world.alice)
    world.sync(world.activate(ranked(WORKER, {world.alice: 5 * POINT})))

    creator, worker = (shown(world, world.alice, role).attributes for role in (CREATOR, WORKER))
    assert worker["Member since"] - creator["Member since"] == DAY
    assert (worker["Score"], "Score" in creator) == (5, False)


def test_an_old_standing_stays_with_its_epoch_and_a_pending_or_void_one_is_not_shown(world: World, art: Any) -> None:
    world.issue(CREATOR, world.alice, world.bob)
    first = world.activate(ranked(CREATOR, {world.alice: 3 * POINT, world.bob: 2 * POINT}))
    world.sync(first)
    second = world.post(ranked(CREATOR, {world.alice: 9 * POINT, world.bob: 2 * POINT}))
    world.sync(second)
    assert shown(world, world.alice, CREATOR).attributes["Epoch"] == first.epoch

    travel(world.registry.ACTIVATION_DELAY())
    assert shown(world, world.alice, CREATOR).attributes["Epoch"] == second.epoch

    world.veto(second)
    assert shown(world, world.alice, CREATOR).attributes["Epoch"] == first.epoch

    world.activate(ranked(CREATOR, {world.bob: 2 * POINT}))
    seen = shown(world, world.alice, CREATOR).attributes
    assert (seen["Epoch"], seen["Score"]) == (first.epoch, 3)


def test_a_pass_that_nobody_holds_has_no_metadata(world: World, art: Any) -> None:
    world.issue(CREATOR, world.alice, world.bob)
    world.burn(world.alice, CREATOR)
    world.revoke(world.bob, CREATOR)
    held_once = [pass_id(world.alice, CREATOR), pass_id(world.bob, CREATOR)]
    never = [pass_id(world.carol, CREATOR), pass_id(world.alice, WORKER), pass_id(world.carol, 3), 0, 2**256 - 1]
    for each in held_once + never:
        for contract in (world.vip_pass, art):
            assert refused(contract.tokenURI, each) == refusal("ERC721NonexistentToken", each)


def test_the_art_of_one_collection_does_not_take_the_registry_of_another(world: World, project: Any) -> None:
    other = world.carrier.deploy(project.VIPPass, world.powers, world.committee, 1)
    creation = project.PassArt.constructor.serialize_transaction(other, world.registry).data
    assert refused_raw({"data": "0x" + bytes(creation).hex()}) == refusal("ForeignRegistry", world.registry)


# --------------------------------------------------------------------------------------------------- extreme values


@pytest.mark.parametrize(
    ("score", "value", "text"),
    [
        (0, "0", "0.00"),
        (1, "0.000001", "0.00"),
        (9_999, "0.009999", "0.00"),
        (10_000, "0.01", "0.01"),
        (999 * POINT + 999_999, "999.999999", "999.99"),
        (1_000 * POINT, "1000", "1,000.00"),
        (1_000_050 * POINT, "1000050", "1,000,050.00"),
        (2**64 - 1, "18446744073709.551615", "18,446,744,073,709.55"),
    ],
)
def test_every_score_is_exact_in_the_data_and_cut_for_the_eye(world: World, art: Any, score: int, value: str, text: str) -> None:
    world.issue(WORKER, world.alice)
    world.sync(world.activate([Standing(pass_id(world.alice, WORKER), score, 2**32 - 1)]))
    seen = shown(world, world.alice, WORKER)
    assert (seen.attributes["Score"], seen.attributes["Rank"]) == (Decimal(value), 2**32 - 1)
    assert seen.texts[7:10] == [text, "RANK", "#4,294,967,295"]


def test_the_greatest_values_break_nothing(world: World, art: Any) -> None:
    wallet = stranger(0)
    world.issue(CREATOR, wallet)
    greatest = Standing(pass_id(wallet, CREATOR), 2**64 - 1, 2**32 - 1)
    world.sync(world.activate([greatest]))
    store_creator_since(world, wallet, 2**64 - 1)
    store_standing(world, greatest, 2**32 - 1)
    seen = shown(world, wallet, CREATOR)

    assert seen.attributes == {
        "Role": "Creator",
        "Holder": wallet,
        "Member since": YEAR_9999_ENDS,
        "Epoch": 2**32 - 1,
        "Score": Decimal("18446744073709.551615"),
        "Rank": 2**32 - 1,
    }
    assert seen.texts[2] == "9999-12-31"
    assert seen.texts[-1] == "4,294,967,295"


def test_values_never_run_into_each_other(world: World, art: Any) -> None:
    """Columns are 300 units apart; letters of the widest common fonts are 0.7 of their size."""
    world.issue(CREATOR, world.alice)
    world.sync(world.activate(ranked(CREATOR, {world.alice: 0})))
    for digits in range(1, 21):
        score, short_word = (min(10**digits - 1, greatest) for greatest in (2**64 - 1, 2**32 - 1))
        store_standing(world, Standing(pass_id(world.alice, CREATOR), score, short_word), epoch=short_word)
        values = [each for each in shown(world, world.alice, CREATOR).elements if each.get("y") == "956"]
        assert len(values) == 3
        for each in values:
            size = int(each.attrib["font-size"])
            assert 18 <= size <= 46
            assert size * 0.7 * len("".join(each.itertext())) <= 290


def test_the_date_is_that_of_the_calendar_in_utc(world: World, art: Any) -> None:
    world.issue(CREATOR, world.alice)
    years = (1970, 1972, 1999, 2000, 2025, 2028, 2099, 2100, 2400, 9999)
    firsts = [int(datetime(year, month, 1, tzinfo=UTC).timestamp()) for year in years for month in (1, 3, 12)]
    for time in {0, 1, DAY - 1, YEAR_9999_ENDS, *firsts, *(max(first, 1) - 1 for first in firsts)}:
        store_creator_since(world, world.alice, time)
        seen = shown(world, world.alice, CREATOR)
        assert (seen.attributes["Member since"], seen.texts[2]) == (time, day_of(time))


# ----------------------------------------------------------------------------------------------------- the picture


def test_the_dial_spells_the_address_of_the_holder(world: World, art: Any) -> None:
    wallets = [account_of(world.alice), stranger(0), "0x" + 39 * "0" + "1", "0x" + 40 * "f"]
    for wallet in wallets:
        world.issue(CREATOR, wallet)
        assert "0x" + shown(world, wallet, CREATOR).dial == wallet.lower()


def test_roles_differ_in_colour_and_in_shape(world: World, art: Any) -> None:
    world.issue(CREATOR, world.alice)
    world.issue(WORKER, world.alice)
    creator, worker = (shown(world, world.alice, role) for role in (CREATOR, WORKER))

    def colours(seen: Shown) -> set[str]:
        return set(re.findall(r"#[0-9a-f]{6}", seen.svg))

    def outlines(seen: Shown) -> set[str]:
        return {each.attrib["d"] for each in seen.elements if name_of(each) == "path" and "fill" in each.attrib}

    assert not colours(creator) & colours(worker)
    crown = {outline for outline in outlines(creator) if "-258" in outline}
    assert outlines(creator) & outlines(worker) == crown


@pytest.mark.parametrize("with_standing", [False, True])
@pytest.mark.parametrize("role", [CREATOR, WORKER])
def test_the_picture_needs_nothing_from_outside_and_runs_nothing(world: World, art: Any, role: int, with_standing: bool) -> None:
    world.issue(role, world.alice)
    if with_standing:
        world.sync(world.activate(ranked(role, {world.alice: POINT})))
    assert_stands_alone(shown(world, world.alice, role))


def assert_stands_alone(seen: Shown) -> None:
    drawn = {"svg", "g", "defs", "linearGradient", "radialGradient", "stop", "rect", "path", "circle", "ellipse", "text", "tspan"}
    elements = list(seen.elements)
    assert {name_of(each) for each in elements} <= drawn
    names = {name for each in elements for name in each.attrib}
    assert not {name for name in names if name.startswith("on") or "href" in name or name == "style"}

    values = [value for each in elements for value in each.attrib.values()]
    used = {target for value in values for target in re.findall(r"url\((.*?)\)", value)}
    ids = [each.attrib["id"] for each in elements if "id" in each.attrib]
    assert used == {f"#{name}" for name in ids}
    assert len(ids) == len(set(ids))

    fonts = {font for each in elements for font in each.get("font-family", "").split(",") if font}
    assert fonts <= {"system-ui", "sans-serif", "ui-monospace", "monospace"}


def test_the_pictures_in_the_docs_are_what_the_contract_draws(world: World, art: Any) -> None:
    """Drawn anew by `UPDATE_PICTURES=1 ape test tests/contracts/test_art.py -k docs --network ethereum:local:foundry`."""
    world.issue(CREATOR, world.alice, world.bob, world.carol)
    world.issue(WORKER, world.bob)
    creators = ranked(CREATOR, {world.alice: 12_845 * POINT + 500_000, world.bob: 6_412 * POINT, world.carol: 5_100 * POINT})
    world.sync(world.activate(creators))
    for name, account, role in (("creator", world.alice, CREATOR), ("worker", world.bob, WORKER)):
        picture = DOCS / f"pass-{name}.svg"
        drawn = shown(world, account, role).svg + "\n"
        if os.environ.get("UPDATE_PICTURES"):
            picture.write_text(drawn)
        assert picture.read_text() == drawn


# -------------------------------------------------------------------------------------------------- the collection


def test_the_collection_has_a_name_a_symbol_and_a_picture(world: World, art: Any) -> None:
    seen = Shown.of(world.vip_pass.contractURI())
    assert set(seen.json) == {"name", "symbol", "description", "image"}
    assert (seen.json["name"], seen.json["symbol"]) == (world.vip_pass.name(), world.vip_pass.symbol())
    assert seen.texts == ["PICTOR VIP", "CREATORS AND WORKERS"]
    assert_stands_alone(seen)


def test_new_art_tells_wallets_to_look_again(world: World, project: Any) -> None:
    art = world.carrier.deploy(project.PassArt, world.vip_pass, world.registry)
    receipt = world.govern(world.vip_pass.setArt, art)
    assert [each for each in events(receipt) if each[0] != "OperationExecuted"] == [
        ("ArtSet", art.address),
        ("ContractURIUpdated",),
        ALL_PASSES,
    ]


def test_the_pictures_are_refreshed_once_for_each_active_report(world: World, art: Any) -> None:
    assert art.revision() == 0
    assert refused(world.vip_pass.refresh) == refusal("NothingToRefresh", 0)

    world.issue(CREATOR, world.alice)
    batch = world.post(ranked(CREATOR, {world.alice: POINT}))
    assert art.revision() == 0, "a pending report shows nowhere"
    travel(world.registry.ACTIVATION_DELAY())
    assert art.revision() == batch.epoch
    assert events(world.vip_pass.refresh(sender=world.carrier)) == [ALL_PASSES]
    assert refused(world.vip_pass.refresh) == refusal("NothingToRefresh", batch.epoch)

    world.veto(batch)
    assert art.revision() == 0
    assert events(world.vip_pass.refresh(sender=world.carrier)) == [ALL_PASSES]
    assert refused(world.vip_pass.refresh) == refusal("NothingToRefresh", 0)


# --------------------------------------------------------------------------------------------------------- its size


def test_it_fits_a_block_and_a_node_that_answers_calls(world: World, art: Any) -> None:
    assert len(chain.provider.get_code(art.address)) <= 24_576
    world.issue(WORKER, world.alice)
    world.sync(world.activate([Standing(pass_id(world.alice, WORKER), 2**64 - 1, 2**32 - 1)]))
    token = art.tokenURI.encode_input(pass_id(world.alice, WORKER))
    for data in (token, art.contractURI.encode_input()):
        assert int(rpc("eth_estimateGas", {"to": art.address, "data": "0x" + bytes(data).hex()}), 16) < 2_000_000
