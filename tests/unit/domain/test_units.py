"""Parsers at the door: exact, and refusing whatever does not fit the exchange's units."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.domain.units import (
    NS_PER_SECOND,
    moment_words,
    parse_duration,
    parse_moment,
    parse_price,
    parse_qty,
    parse_rfc3339,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@given(st.integers(0, 10_000), st.integers(0, 3))
def test_a_price_string_becomes_the_decimal_times_ten_thousand(price_e4, extra_zeros):
    text = f"{Decimal(price_e4) / 10_000:.4f}" + "0" * extra_zeros
    assert parse_price(text) == price_e4 == Decimal(text) * 10_000


@given(st.integers(-(10**12), 10**12))
def test_a_quantity_string_keeps_its_sign_and_cents(qty_e2):
    assert parse_qty(f"{Decimal(qty_e2) / 100:.2f}") == qty_e2


def test_floats_that_binary_cannot_hold_are_still_exact():
    # float("0.29") * 100 = 28.999999999999996, which truncates to 28
    assert parse_qty("0.29") == 29
    assert parse_price("0.0057") == 57


@pytest.mark.parametrize("text", ["0.12345", "0.00001", "1.0001", "-0.01", "2", "1e9"])
def test_a_price_too_fine_or_outside_a_dollar_is_refused_and_named(text):
    with pytest.raises(DataError, match=text):
        parse_price(text)


@pytest.mark.parametrize("text", ["", "abc", "NaN", "Infinity", "-Infinity", "0x10", "1,5", None, [1]])
@pytest.mark.parametrize("parse", [parse_price, parse_qty])
def test_what_is_no_finite_number_is_refused(parse, text):
    with pytest.raises(DataError, match="number"):
        parse(text)


def test_a_quantity_finer_than_a_cent_of_a_contract_is_refused():
    with pytest.raises(DataError, match=r"0\.001"):
        parse_qty("0.001")


@given(
    st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1)).map(lambda t: t.replace(microsecond=0)),
    st.text("0123456789", max_size=9),
    st.sampled_from(["Z", "z", "+00:00", "-04:00", "+05:30"]),
)
def test_a_time_parses_with_any_number_of_fraction_digits_and_any_zone(stamp, digits, zone):
    offset = timedelta(hours=5, minutes=30) if zone == "+05:30" else timedelta(hours=-4 if "4" in zone else 0)
    text = stamp.strftime("%Y-%m-%dT%H:%M:%S") + (f".{digits}" if digits else "") + zone
    seconds = (stamp.replace(tzinfo=UTC) - offset - EPOCH) // timedelta(seconds=1)
    nanoseconds = int((digits or "0").ljust(9, "0"))
    assert parse_rfc3339(text) == seconds * NS_PER_SECOND + nanoseconds


def test_known_instants_parse_to_the_nanosecond():
    # date -u -d 2026-11-23T02:13:20Z +%s = 1795400000
    assert parse_rfc3339("2026-11-23T02:13:20Z") == 1_795_400_000_000_000_000
    assert parse_rfc3339("2026-11-23T02:13:20.388Z") == 1_795_400_000_388_000_000
    assert parse_rfc3339("2026-11-22T21:13:20.000000001-05:00") == 1_795_400_000_000_000_001


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "2026-13-01T00:00:00Z", "2026-11-23T02:13:20.Z", "2026-11-23T02:13:20.12x4Z",
     "2026-11-23T02:13:20.1234567891Z", "2026-11-23", "2026-11-23T02:13:20", None, 17],
)  # fmt: skip
def test_what_is_no_rfc3339_time_is_refused_and_named(text):
    with pytest.raises(DataError, match="RFC 3339"):
        parse_rfc3339(text)


@pytest.mark.parametrize("text", ["1e17", "1e999999", "0e999999", "9" * 5_000])
def test_a_number_that_needs_more_than_64_bits_is_refused(text):
    with pytest.raises(DataError, match=r"more than 18 digits|not a decimal number"):
        parse_qty(text)


@given(st.integers(0, 10_000))
def test_a_float_is_the_price_of_its_shortest_text(price_e4):
    assert parse_price(price_e4 / 10_000) == parse_price(Decimal(price_e4) / 10_000) == price_e4


@pytest.mark.parametrize("number", [0, 1, 1.0, Decimal("0.5")])
def test_numbers_are_read_as_they_are(number):
    assert parse_price(number) == number * 10_000
    assert parse_qty(number) == number * 100


def test_a_float_too_fine_for_a_price_is_to_be_given_as_text():
    with pytest.raises(
        DataError, match=r"0\.1001000001 is finer than 1/10000.*it is a float: give it as text"
    ):
        parse_price(0.1001000001)


@pytest.mark.parametrize(
    "wrong", [True, [0, [2, 4], -2], (0, (2, 4), -2), {}, float("nan"), float("inf"), b"1"]
)
def test_what_only_looks_like_a_number_is_refused(wrong):
    with pytest.raises(DataError, match="number"):
        parse_price(wrong)


@pytest.mark.parametrize(
    "huge", [10**5_000, -(1 << 63), "9" * 5_000, Decimal("1e400")], ids=["int", "min", "text", "decimal"]
)
def test_a_huge_number_is_refused_in_few_words(huge):
    with pytest.raises(DataError) as refusal:
        parse_qty(huge)
    assert len(str(refusal.value)) < 120


def test_cents_are_named_as_such():
    with pytest.raises(
        DataError, match=r"price 24 is outside 0\.\.1 dollar; it looks like cents: divide it by 100"
    ):
        parse_price(24)
    for other in ("1.5", -3, 500):
        with pytest.raises(DataError, match=r"outside 0\.\.1 dollar$"):
            parse_price(other)


def test_durations_have_a_unit_and_moments_a_day_or_a_zone():
    texts = ("90s", "15m", "1.5h", "2d", "1 w", "1d 14h", "1 min 5s")
    seconds = [parse_duration(text, "--block") // NS_PER_SECOND for text in texts]
    assert seconds == [90, 900, 5_400, 172_800, 604_800, 136_800, 65]
    day = parse_moment("2026-11-23", "--time-cut")
    assert day == parse_moment("2026-11-23T01:00:00+01:00", "--time-cut")
    assert moment_words(day) == "2026-11-23 00:00:00 UTC"


@pytest.mark.parametrize(
    ("parse", "text", "message"),
    [
        (parse_duration, "15", r"--x '15' is no duration.*it lacks a unit"),
        (parse_duration, "-2d", r"--x '-2d' is no duration"),
        (parse_duration, "2y", r"--x '2y' is no duration"),
        (parse_duration, "1d14", r"--x '1d14' is no duration"),
        (parse_moment, "2026-13-01", r"--x '2026-13-01' is no time"),
        (parse_moment, "1700000000", r"a number: write the time as text"),
        (parse_moment, "2026-11-23T02:13:20", r"with a zone"),
        (parse_moment, "1969-12-31", r"--x '1969-12-31' lies outside 1970 to 2262"),
        (parse_moment, "2263-01-01T00:00:00Z", r"lies outside 1970 to 2262"),
    ],
)
def test_what_is_no_duration_or_moment_is_refused_by_the_name_of_its_option(parse, text, message):
    with pytest.raises(ContractError, match=message):
        parse(text, "--x")
