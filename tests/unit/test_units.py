"""Roles, pass ids, epochs, months, money and times are what the rules say, to the last unit."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pictor.units import (
    BPS,
    AddressError,
    PassIdError,
    Role,
    TimeError,
    epoch_end,
    format_micro,
    last_ended_epoch,
    month_start,
    parse_address,
    parse_time,
    pass_id,
    prioritized_count,
    split_pass_id,
    to_checksum,
    to_micro,
)

owners = st.integers(1, (1 << 160) - 1).map(lambda owner: f"0x{owner:040x}")
CHECKSUMMED = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"  # from the text of EIP-55


@pytest.mark.parametrize("text", [CHECKSUMMED, CHECKSUMMED.lower(), CHECKSUMMED.upper(), "0x" + CHECKSUMMED[2:].upper()])
def test_an_address_is_accepted_all_lower_all_upper_or_with_its_checksum(text: str) -> None:
    assert parse_address(text) == CHECKSUMMED.lower()


@pytest.mark.parametrize(
    "text",
    [
        CHECKSUMMED.replace("aA", "Aa"),  # one letter pair swapped
        CHECKSUMMED[2:],
        CHECKSUMMED[:-1],
        CHECKSUMMED + "0",
        CHECKSUMMED + "\n",
        " " + CHECKSUMMED,
        "0x" + "g" * 40,
        "0x" + "\uff11" * 40,  # full-width digits
        "0X" + CHECKSUMMED[2:],
        "",
    ],
)
def test_anything_else_is_no_address_and_is_named(text: str) -> None:
    with pytest.raises(AddressError) as error:
        parse_address(text)
    assert text.strip("\n") in str(error.value)


@given(owners)
def test_an_address_survives_being_shown_and_read(owner: str) -> None:
    assert parse_address(to_checksum(parse_address(owner))) == owner


@given(st.sampled_from(Role), owners)
def test_a_pass_id_says_its_role_and_owner(role: Role, owner: str) -> None:
    number = pass_id(role, parse_address(owner))
    assert number >> 160 == role
    assert split_pass_id(number) == (role, owner)


@given(owners, st.integers(0, (1 << 96) - 1).filter(lambda above: above not in (1, 2)))
def test_stray_bits_above_the_owner_make_no_pass_id(owner: str, above: int) -> None:
    with pytest.raises(PassIdError):
        split_pass_id(above << 160 | int(owner, 16))


@pytest.mark.parametrize("role", Role)
def test_the_zero_address_has_no_pass(role: Role) -> None:
    with pytest.raises(PassIdError):
        split_pass_id(role << 160)
    with pytest.raises(PassIdError):
        pass_id(role, parse_address("0x" + "0" * 40))


@given(st.integers(0, 1 << 32), st.sampled_from([60, 3_600, 86_400]))
def test_the_last_ended_epoch_is_the_one_whose_end_has_come(at: int, length: int) -> None:
    epoch = last_ended_epoch(at, length)
    assert epoch_end(epoch, length) <= at < epoch_end(epoch + 1, length)


@pytest.mark.parametrize(
    ("end", "start"),
    [
        ("2024-03-01T00:00:00", "2024-02-01"),  # the month of the last second before the end
        ("2024-03-01T00:00:01", "2024-03-01"),
        ("2024-02-29T12:00:00", "2024-02-01"),
        ("2025-01-01T00:00:00", "2024-12-01"),
        ("2025-01-02T00:00:00", "2025-01-01"),
    ],
)
def test_the_month_is_the_one_that_holds_the_last_second(end: str, start: str) -> None:
    def seconds(text: str) -> int:
        return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())

    assert month_start(seconds(end)) == seconds(start)


@given(st.integers(0, 10**9), st.integers(0, BPS))
def test_the_prioritised_are_the_share_rounded_up(members: int, share: int) -> None:
    count = prioritized_count(members, share)
    assert (count - 1) * BPS < members * share <= count * BPS


@given(st.integers(0, 10**40), st.integers(0, 30))
def test_money_of_any_decimals_loses_only_its_dust(raw: int, decimals: int) -> None:
    micro, dust = to_micro(raw, decimals)
    assert micro * 10**decimals + dust * 10**6 == raw * 10**6
    assert 0 <= dust < 10 ** max(decimals - 6, 0)


@pytest.mark.parametrize(("value", "text"), [(0, "0"), (1, "0.000001"), (-1_500_000, "-1.5"), (10**15, "1000000000"), (-1, "-0.000001")])
def test_micro_amounts_are_shown_without_needless_zeros(value: int, text: str) -> None:
    assert format_micro(value) == text


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("1767225600", 1767225600),
        ("2026-01-01", 1767225600),
        ("2026-01-01T01:00:00+01:00", 1767225600),
        ("2026-01-01T00:00:00Z", 1767225600),
    ],
)
def test_a_time_is_unix_seconds_or_iso_8601(text: str, seconds: int) -> None:
    assert parse_time(text) == seconds


@pytest.mark.parametrize("text", ["1767225600000", "-1", "soon", "", "2026-13-01", "4294967296", "1969-12-31"])
def test_anything_else_is_no_time(text: str) -> None:
    with pytest.raises(TimeError):
        parse_time(text)


def test_milliseconds_are_suspected() -> None:
    with pytest.raises(TimeError, match="milliseconds"):
        parse_time("1767225600000")
