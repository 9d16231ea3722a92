"""Fields of frames as exact integers: what decimal arithmetic accepts, and nothing else."""

import re
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshi_platform.data.market_data import frames
from kalshi_platform.data.market_data.frames import fixed_price_e4, fixed_qty_e2
from kalshi_platform.data.market_data.schema import NO, YES
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.market import PriceBand
from kalshi_platform.domain.units import NO_PRICE, NO_TIME, UNKNOWN_QTY, parse_price, parse_qty


@given(st.integers(0, 10_000), st.integers(0, 4))
def test_price_parser_equals_decimal_on_every_price(price_e4: int, drop: int) -> None:
    text = f"{Decimal(price_e4) / 10_000:.4f}"
    if drop and set(text[-drop:]) <= {"0"}:
        text = text[:-drop]
    assert fixed_price_e4(text) == parse_price(text) == price_e4


@given(st.integers(-(10**14), 10**14))
def test_qty_parser_equals_decimal_on_every_size(qty_e2: int) -> None:
    text = f"{Decimal(qty_e2) / 100:.2f}"
    assert fixed_qty_e2(text) == parse_qty(text) == qty_e2


@given(st.one_of(st.text(max_size=8), st.from_regex(r"[-+]?[0-9_ ]{0,4}\.?[0-9_e]{0,5}", fullmatch=True)))
def test_parsers_accept_and_refuse_exactly_what_decimal_does(text: str) -> None:
    for fast, exact in ((fixed_price_e4, parse_price), (fixed_qty_e2, parse_qty)):
        try:
            expected = exact(text)
        except DataError:
            with pytest.raises(DataError):
                fast(text)
        else:
            assert fast(text) == expected


@pytest.mark.parametrize(
    ("message", "price_e4"),
    [
        ({"price_dollars": "0.4210"}, 4_210),
        ({"price": 42}, 4_200),  # legacy cents
        ({"price_dollars": "0.4210", "price": 42}, 4_210),  # the finest field present
        ({"price": 100}, 10_000),
    ],
)
def test_a_price_is_read_from_the_finest_field_present(message: dict[str, Any], price_e4: int) -> None:
    assert frames.price_of(message, "price_dollars", "price") == price_e4


@pytest.mark.parametrize(
    ("message", "named"),
    [
        ({"price": 101}, "price = 101"),
        ({"price": -1}, "price = -1"),
        ({"price": 42.0}, "price = 42.0"),
        ({"price": True}, "price = True"),
        ({"price_dollars": 0.42}, "price_dollars = 0.42"),
        ({}, "price_dollars or price"),
    ],
)
def test_an_impossible_price_is_refused_by_field(message: dict[str, Any], named: str) -> None:
    with pytest.raises(DataError, match=re.escape(named)):
        frames.price_of(message, "price_dollars", "price")


def test_sizes_are_hundredths_of_a_contract_in_both_formats() -> None:
    assert frames.qty_of({"delta_fp": "-2.25"}, "delta_fp", "delta") == -225
    assert frames.qty_of({"delta": -3}, "delta_fp", "delta") == -300


@pytest.mark.parametrize("raw", [[["0.4200", "5.00"], ["0.4100", "0.00"]], [["0.4200", 5], ["0.4100", 0]]])
def test_levels_of_size_zero_are_left_out(raw: list[list[Any]]) -> None:
    assert frames.levels_of({"yes_dollars_fp": raw}, "yes") == [(4_200, 500)]
    assert frames.levels_of({"yes_dollars_fp": raw}, "no") == []


@pytest.mark.parametrize(
    "raw", [7, [["0.42"]], [["0.42", "1.00", "x"]], [[42, "1.00"]], [["0.42", 1.5]], [[None, 1]]]
)
def test_levels_that_are_no_pairs_of_price_and_size_are_refused(raw: Any) -> None:
    with pytest.raises(DataError):
        frames.levels_of({"yes_dollars": raw}, "yes")


def test_whole_cents_are_levels_of_the_legacy_field_alone() -> None:
    assert frames.levels_of({"yes": [[42, 3]]}, "yes") == [(4_200, 300)]
    with pytest.raises(DataError, match="level price 42"):
        frames.levels_of({"yes_dollars": [[42, 3]]}, "yes")


def test_the_taker_is_read_from_the_newest_field_that_says_something() -> None:
    assert frames.taker_of({"taker_outcome_side": "no", "taker_book_side": "bid", "taker_side": "yes"}) == NO
    assert frames.taker_of({"taker_outcome_side": "", "taker_book_side": "ask", "taker_side": "yes"}) == NO
    assert frames.taker_of({"taker_side": "yes"}) == YES
    for message, named in (
        ({"taker_side": "both"}, "both"),
        ({"taker_side": ["yes"]}, "yes"),
        ({}, "taker_side"),
    ):
        with pytest.raises(DataError, match=named):
            frames.taker_of(message)


@given(st.integers(1_609_459_200, 4_102_444_800))  # 2021 to 2099
def test_seconds_become_nanoseconds(seconds: int) -> None:
    assert frames.seconds_ns({"open_ts": seconds}, "open_ts") == seconds * 10**9
    assert frames.exchange_time_ns({"ts": seconds}) == seconds * 10**9


def test_an_absent_time_is_none() -> None:
    assert frames.seconds_ns({}, "open_ts") is None
    assert frames.seconds_ns({"open_ts": None}, "open_ts") is None
    assert frames.seconds_ns({"open_ts": 0}, "open_ts") is None
    assert frames.exchange_time_ns({}) == NO_TIME


@pytest.mark.parametrize(
    ("field", "value", "unit"),
    [
        ("ts_ms", 1_712_000_000, "seconds"),
        ("ts_ms", 1_712_000_000_000_000, "microseconds"),
        ("ts_ms", 1_712_000_000_000_000_000, "nanoseconds"),
        ("ts", 1_712_000_000_000, "milliseconds"),
    ],
)
def test_an_exchange_time_in_another_unit_is_refused_with_the_unit(field: str, value: int, unit: str) -> None:
    with pytest.raises(DataError, match=f"{field} = {value} looks like {unit}: "):
        frames.exchange_time_ns({field: value})


def test_a_schedule_may_lie_years_ahead_and_is_refused_in_milliseconds() -> None:
    assert frames.seconds_ns({"close_ts": 2_000_000_000}, "close_ts") == 2_000_000_000 * 10**9  # 2033
    with pytest.raises(DataError, match=r"close_ts = 2000000000000 looks like milliseconds: .*divide by 1e3"):
        frames.seconds_ns({"close_ts": 2_000_000_000_000}, "close_ts")
    for never in (86_400, 5_000_000_000, 10**30):  # 1970, 2128, beyond any clock
        with pytest.raises(DataError, match=f"close_ts = {never} cannot be"):
            frames.seconds_ns({"close_ts": never}, "close_ts")


def test_a_time_as_text_is_held_to_the_same_years() -> None:
    assert frames.exchange_time_ns({"ts": "2026-11-23T02:13:20Z"}) == 1_795_400_000 * 10**9
    with pytest.raises(DataError, match="ts = '0001-01-01T00:00:00Z' cannot be"):
        frames.exchange_time_ns({"ts": "0001-01-01T00:00:00Z"})


def test_price_bands_are_read_and_impossible_ones_refused() -> None:
    good = {"start": "0.0000", "end": "0.1000", "step": "0.0010"}
    assert frames.price_bands([good]) == (PriceBand(start_e4=0, end_e4=1_000, step_e4=10),)
    for bad in (
        [],
        [{**good, "step": "0.0000"}],
        [{**good, "end": "0.0000"}],
        [{"start": "0"}],
        7,
        None,
        [7],
    ):
        with pytest.raises(DataError, match="price_ranges"):
            frames.price_bands(bad)


@pytest.mark.parametrize(
    ("value", "number"),
    [(7, 7), ("7", 7), ("007", 7), ("0", 0), (-7, -7), (7.0, 7)]
    + [
        (v, None)
        for v in ("-7", "7.0", 7.5, 1e300, float("nan"), "", " 7", "7_0", "\u0667", True, None, [7], "9" * 20)
    ],
)
def test_whole_numbers_may_be_text_of_digits_or_a_whole_float(value: Any, number: int | None) -> None:
    assert frames.whole_number(value) == number


@pytest.mark.parametrize(
    ("message", "sid", "seq"),
    [
        ({"sid": 1, "seq": 2}, 1, 2),
        ({"sid": "1", "seq": "2"}, 1, 2),
        ({"sid": 1}, 1, -1),
        ({"seq": 2}, -1, 2),
        ({"sid": "x", "seq": None}, -1, -1),
        ({"sid": 1, "seq": 2.5}, 1, None),
    ],
)
def test_numbers_of_a_message(message: dict[str, Any], sid: int, seq: int | None) -> None:
    assert (frames.sid_of(message), frames.seq_of(message)) == (sid, seq)
    assert frames.are_plain(message.get("sid"), message.get("seq")) == (message == {"sid": 1, "seq": 2})


@pytest.mark.parametrize(
    ("msg", "top"),
    [
        ({"yes_bid": 43, "yes_ask": 45}, ((4_300, UNKNOWN_QTY), (5_500, UNKNOWN_QTY))),
        ({"yes_bid_dollars": "0.0000", "yes_ask_dollars": "0.0100"}, ((NO_PRICE, 0), (9_900, UNKNOWN_QTY))),
        (
            {"yes_bid_dollars": "0.4210", "yes_ask_dollars": "1.0000", "yes_bid_size_fp": "2.50"},
            ((4_210, 250), (NO_PRICE, 0)),
        ),
        ({"yes_bid_dollars": "0.4210"}, None),
        ({"yes_ask": 45}, None),
    ],
)
def test_the_top_of_a_ticker_is_on_the_own_scales(msg: dict[str, Any], top: Any) -> None:
    assert frames.top_of_ticker(msg) == top
