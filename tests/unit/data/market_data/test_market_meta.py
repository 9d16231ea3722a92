"""When metadata says that an outcome was public, and the price before it."""

from collections import Counter
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made.market_rows import CENTS, SPEC, TAPERED, TENTHS

from kalshi_platform.data.market_data.history import history_of
from kalshi_platform.data.market_data.market_meta import (
    MarketRecord,
    coarsest_grid,
    grid_table,
    merge_records,
    records_from_rest,
    records_from_rows,
)
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.fee_history import FeeTelling

HOUR_NS = 3_600 * 10**9
#: 2024-08-16T00:00:00Z
MIDNIGHT_NS = 1_723_766_400 * 10**9


def row(**changes: object) -> dict[str, object]:
    times = {"close_time": "2024-08-16T01:00:00Z", "expiration_time": "2024-08-16T05:00:00Z"}
    return {"market_ticker": "E-A", "event_ticker": "E", "result": "yes", **times, **changes}


def record(**changes: object) -> MarketRecord:
    (found,) = records_from_rows([row(**changes)], "m.parquet", Counter())
    return found


@pytest.mark.parametrize(
    ("changes", "hours"),
    [
        ({"settlement_ts": "2024-08-16T03:00:00Z"}, 3),
        ({}, 5),
        ({"latest_expiration_time": "2024-08-16T07:00:00Z"}, 7),
        ({"close_time": "2024-08-16T06:00:00Z"}, 6),  # not before trading ended
        ({"expiration_time": None}, None),
        ({"result": "", "settlement_ts": "2024-08-16T03:00:00Z"}, None),
    ],
    ids=["settlement time", "expiration", "latest expiration", "close", "no time", "no outcome"],
)
def test_an_outcome_is_public_once_determined_or_at_the_latest_expiration(
    changes: dict[str, object], hours: int | None
) -> None:
    assert record(**changes).known_ns == (None if hours is None else MIDNIGHT_NS + hours * HOUR_NS)


def test_a_last_price_of_zero_means_that_nothing_traded() -> None:
    assert record(last_price_dollars="0.9900").last_price_e4 == 9_900
    assert record(last_price_dollars="0.0000").last_price_e4 is None
    assert record().last_price_e4 is None
    with pytest.raises(DataError, match=r"m\.parquet: row 0 \(E-A\): price '1\.5'"):
        record(last_price_dollars="1.5")


def test_a_rest_answer_tells_the_same() -> None:
    market = {**row(settlement_ts="2024-08-16T03:00:00Z", last_price_dollars="0.4000"), "ticker": "E-A"}
    (found,) = records_from_rest({"markets": [market]}, "rest.json", Counter())
    assert (found.known_ns, found.last_price_e4) == (MIDNIGHT_NS + 3 * HOUR_NS, 4_000)


@pytest.mark.parametrize("order", [1, -1], ids=["first", "second"])
def test_merged_records_know_what_either_knows_and_the_later_expiration(order: int) -> None:
    exact = record(settlement_ts="2024-08-16T03:00:00Z")
    late = record(expiration_time="2024-08-16T09:00:00Z", last_price_dollars="0.4000")
    merged = merge_records(*[exact, late][::order], "m2.parquet")
    assert merged.known_ns == MIDNIGHT_NS + 3 * HOUR_NS
    assert merged.last_price_e4 == 4_000
    bounded = merge_records(*[record(), late][::order], "m2.parquet")
    assert bounded.known_ns == MIDNIGHT_NS + 9 * HOUR_NS


def heard(hours: float, **changes: object) -> MarketRecord:
    """What an answer that came ``hours`` after midnight tells."""
    answer = {**row(**changes), "ticker": "E-A"}
    known_ns = MIDNIGHT_NS + round(hours * HOUR_NS)
    (found,) = records_from_rest({"known_ns": known_ns, "market": answer}, "facts.jsonl", Counter())
    return found


def after(*records: MarketRecord) -> float | None:
    """Hours after midnight from which on the outcome of merged ``records`` counts as known."""
    merged = records[0]
    for other in records[1:]:
        merged = merge_records(merged, other, "facts.jsonl")
    return None if merged.known_ns is None else (merged.known_ns - MIDNIGHT_NS) / HOUR_NS


def test_a_recorded_outcome_is_known_from_the_answer_on_that_first_told_it() -> None:
    """The exchange settled at 3; the recorder asked at 2 (open) and at 3.5: live nobody knew it at 3."""
    settled = {"settlement_ts": "2024-08-16T03:00:00Z"}
    open_market = heard(2, result="")
    assert after(open_market) is None
    assert after(open_market, heard(3.5, **settled)) == 3.5
    assert after(open_market, heard(3.5, **settled), heard(9, **settled)) == 3.5
    assert (
        after(heard(2.5), heard(3.5, **settled)) == 2.5
    )  # told while the market was determined, not paid yet
    assert after(record(**settled), heard(3.5, **settled)) == 3.5  # metadata of no known time prove nothing


def test_an_outcome_that_was_changed_is_known_from_the_change_on() -> None:
    settled = {"settlement_ts": "2024-08-16T03:00:00Z"}
    assert after(heard(2.5), heard(2.8, result="no"), heard(3.5, result="no", **settled)) == 2.8


@given(st.integers(0, 10_000))
def test_grid_table_agrees_with_the_specification(price: int) -> None:
    for grid in (CENTS, TENTHS, TAPERED):
        assert grid_table(grid)[price] == SPEC.replace(price_ranges=grid).on_grid(price)


@pytest.mark.parametrize(
    ("prices", "steps"),
    [
        ([100, 4_200, 9_900], [100]),
        ([10, 4_200, 9_990], [10, 100, 10]),
        ([10, 4_210], [10]),
        ([4_211], [10]),  # finer grids must be declared; the door then refuses the price
        ([], [100]),
    ],
)
def test_the_coarsest_grid_that_holds_all_prices_is_inferred(prices: list[int], steps: list[int]) -> None:
    assert [band.step_e4 for band in coarsest_grid(np.array(prices, np.int64))] == steps


# Values that enter


def told(**changes: object) -> tuple[MarketRecord, Counter[str]]:
    counters: Counter[str] = Counter()
    (found,) = records_from_rows([row(**changes)], "m.parquet", counters)
    return found, +counters


@pytest.mark.parametrize("value", ["0.2700", "0.27", 0.27, Decimal("0.27")])
def test_a_value_is_read_exactly_as_text_or_as_number(value: object) -> None:
    found, _ = told(result="scalar", settlement_value_dollars=value, last_price_dollars=value)
    assert found.settlement is not None
    assert (found.settlement.value_e4, found.last_price_e4) == (2_700, 2_700)


@given(st.integers(0, 10_000))
def test_every_price_is_read_from_its_float(price_e4: int) -> None:
    found, _ = told(result="scalar", settlement_value_dollars=price_e4 / 10_000)
    assert found.settlement is not None
    assert found.settlement.value_e4 == price_e4


@pytest.mark.parametrize("zero", [0, 0.0, Decimal("0.0"), "0"])
def test_a_value_of_zero_is_a_value(zero: object) -> None:
    found, counters = told(result="scalar", settlement_value_dollars=zero)
    assert found.settlement is not None
    assert found.settlement.value_e4 == 0
    assert counters == {}


def test_a_float_that_is_no_price_is_refused_with_the_way_out() -> None:
    with pytest.raises(DataError, match=r"0\.30000000000000004 is finer than 1/10000.*give it as text"):
        told(result="scalar", settlement_value_dollars=0.1 + 0.2)
    with pytest.raises(DataError, match=r"price 24 is outside 0\.\.1 dollar; it looks like cents"):
        told(result="scalar", settlement_value_dollars=24)
    for wrong in (True, [0, [2], -1], {"a": 1}, 10**5_000):
        with pytest.raises(DataError, match=r"m\.parquet: row 0 \(E-A\): price"):
            told(settlement_value_dollars=wrong)


def test_a_blank_of_a_column_of_floats_is_absent_and_counted() -> None:
    found, counters = told(settlement_value_dollars=float("nan"))
    assert found.settlement is not None
    assert found.settlement.value_e4 == 10_000  # from the result
    assert counters == {"not_a_number_read_as_absent": 1}


@pytest.mark.parametrize(
    ("result", "value"), [("no", "1.0000"), ("yes", "0.0000"), ("yes", 0.5), ("no", "0.0001"), ("", "0.0000")]
)
def test_a_result_against_its_value_leaves_the_outcome_unknown_and_is_counted(
    result: str, value: object
) -> None:
    found, counters = told(result=result, settlement_value_dollars=value)
    assert (found.settlement, counters) == (None, {"outcome_contradicts_result": 1})
    assert found.spec.close_ns is not None  # the market stays


def test_a_market_that_closes_before_it_opens_has_neither_time_and_is_counted() -> None:
    found, counters = told(open_time="2024-08-16T02:00:00Z")
    assert (found.spec.open_ns, found.spec.close_ns) == (None, None)
    assert counters == {"close_before_open": 1}
    found, counters = told(open_time="2024-08-16T01:00:00Z")  # together: not against each other
    assert (found.spec.open_ns, counters) == (found.spec.close_ns, {})


def test_an_expiration_before_the_opening_is_unknown_and_counted() -> None:
    found, counters = told(open_time="2024-08-16T00:30:00Z", expiration_time="2024-08-16T00:00:00Z")
    assert (found.expiration_ns, counters) == (None, {"expiration_before_open": 1})
    assert found.spec.open_ns is not None


@pytest.mark.parametrize("zero", ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z", "1970-01-01T00:00:00Z"])
def test_the_zero_time_of_a_writer_is_absent_and_counted(zero: str) -> None:
    found, counters = told(open_time=zero, settlement_ts=zero)
    assert (found.spec.open_ns, counters) == (None, {"zero_times_read_as_absent": 2})


@pytest.mark.parametrize("never", ["9999-12-31T23:59:59Z", "2100-01-01T00:00:01Z", "1999-01-01T00:00:00Z"])
def test_a_time_that_no_market_has_is_unknown_and_counted(never: str) -> None:
    found, counters = told(close_time=never)
    assert (found.spec.close_ns, counters) == (None, {"times_outside_2015_2099_read_as_unknown": 1})


def test_a_close_years_ahead_is_known() -> None:
    assert told(close_time="2041-01-01T00:00:00Z")[0].spec.close_ns == 2_240_611_200 * 10**9


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (1_723_770_000, "looks like seconds since 1970; write 2024-08-16T01:00:00Z"),
        (1_723_770_000_000, "looks like milliseconds since 1970; write 2024-08-16T01:00:00Z"),
        (5, "close_time = 5 is no time"),
        (1.7e9, "is no time"),
        ([], "is no time"),
    ],
)
def test_a_time_as_number_is_refused_with_the_text_to_write(value: object, said: str) -> None:
    with pytest.raises(DataError, match=rf"m\.parquet: row 0 \(E-A\): .*{said}.*expected RFC 3339"):
        told(close_time=value)


def test_a_record_keeps_what_its_sources_say_of_fees_and_leaves_the_weighing_to_others() -> None:
    market = {"ticker": "E-A", "fee_type": "quadratic_with_maker_fees", "fee_multiplier": 0.5}
    event = {"event_ticker": "E", "fee_type_override": "quadratic", "fee_multiplier_override": 2}
    (found,) = records_from_rest({**event, "markets": [market]}, "rest.json", Counter())
    own = FeeTelling(fee_type="quadratic_with_maker_fees", fee_multiplier_e6=500_000)
    assert found.own_fees == (own,)
    assert found.event_fees == (FeeTelling(fee_type="quadratic", fee_multiplier_e6=2_000_000),)
    assert (found.spec.fee_type, found.spec.fee_multiplier_e6) == ("quadratic", 1_000_000)
    later = record(fee_multiplier=1)
    assert merge_records(found, later, "m.parquet").own_fees == (own, FeeTelling(fee_multiplier_e6=1_000_000))
    with pytest.raises(DataError, match=r"m\.parquet: row 0 \(E-A\): .*fee_multiplier = -1"):
        record(fee_multiplier=-1)


def test_a_later_file_that_tells_no_fees_overrides_none():
    known, later = record(), record()
    paying = replace(
        known, spec=known.spec.replace(fee_type="quadratic_with_maker_fees", fee_multiplier_e6=5)
    )
    merged = merge_records(paying, later, "m2.parquet").spec
    assert (merged.fee_type, merged.fee_multiplier_e6) == ("quadratic_with_maker_fees", 5)


def test_metadata_tell_that_a_market_can_close_early_and_when_it_is_expected_to_end() -> None:
    early, counters = told(can_close_early=True, expected_expiration_time="2024-08-16T02:00:00Z")
    assert early.spec.can_close_early is True
    assert early.spec.expected_expiration_ns == MIDNIGHT_NS + 2 * HOUR_NS
    assert told()[0].spec.can_close_early is None
    assert not counters


def test_an_expected_end_before_the_opening_is_unknown_and_counted() -> None:
    times = {"open_time": "2024-08-16T00:00:00Z", "expected_expiration_time": "2024-08-15T00:00:00Z"}
    market, counters = told(**times)
    assert market.spec.expected_expiration_ns is None
    assert counters["expiration_before_open"] == 1


@pytest.mark.parametrize("key", ["series_ticker", "category"])
def test_a_name_that_is_no_text_is_refused_with_its_field(key: str) -> None:
    with pytest.raises(DataError, match=rf"m.parquet: row 0 \(E-A\): {key} = 7; expected text"):
        told(**{key: 7})


def test_merged_records_keep_an_early_close_that_only_one_of_them_tells() -> None:
    early = record(can_close_early=True, expected_expiration_time="2024-08-16T04:00:00Z")
    for both in (merge_records(early, record(), "b"), merge_records(record(), early, "b")):
        assert both.spec.can_close_early is True
        assert both.spec.expected_expiration_ns == MIDNIGHT_NS + 4 * HOUR_NS


def test_features_of_a_settled_early_closer_see_its_expected_expiration_and_never_its_end() -> None:
    early = record(can_close_early=True, expected_expiration_time="2024-08-16T04:00:00Z")
    counters = Counter[str]()
    history = history_of(early, [], counters)
    assert history.known[0].close_ns is None
    assert history.known[0].clock_ns == MIDNIGHT_NS + 4 * HOUR_NS
    assert history.close_ns == MIDNIGHT_NS + HOUR_NS  # matching knows the truth
    assert counters["early_close_kept_from_features"] == 1


@pytest.mark.parametrize("name", ["can_close_early", "mutually_exclusive"])
@pytest.mark.parametrize(
    ("value", "flag"), [("true", True), ("False", False), (1, True), (0.0, False), ("", None), (None, None)]
)
def test_a_flag_of_a_table_is_read_from_its_text(name: str, value: object, flag: bool | None) -> None:
    counters = Counter[str]()
    (found,) = records_from_rows([row(**{name: value})], "m.csv", counters)
    assert getattr(found.spec, name) is flag
    assert counters == Counter()


@pytest.mark.parametrize("name", ["can_close_early", "mutually_exclusive"])
def test_a_flag_that_is_neither_true_nor_false_is_unknown_and_counted(name: str) -> None:
    counters = Counter[str]()
    (found,) = records_from_rows([row(**{name: "perhaps"})], "m.csv", counters)
    assert getattr(found.spec, name) is None
    assert counters == Counter({f"flag_unreadable:{name}": 1})
