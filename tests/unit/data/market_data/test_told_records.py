"""Answers of known time that join what is held: what was known when stays as it was."""

from collections import Counter
from typing import Any

from kalshi_platform.data.market_data.importers.metadata import _merge_held
from kalshi_platform.data.market_data.market_meta import MarketRecord, merge_records, records_from_rest
from kalshi_platform.domain.units import parse_rfc3339

S = 10**9
T0 = parse_rfc3339("2026-11-23T02:00:00Z")
CENTS = [{"start": "0.0000", "end": "1.0000", "step": "0.0100"}]
TENTHS = [{"start": "0.0000", "end": "1.0000", "step": "0.0010"}]
SETTLED = {"status": "finalized", "result": "yes", "settlement_value_dollars": "1.0000"}


def answer(second: int, **fields: Any) -> MarketRecord:
    market = {"ticker": "E-A", "event_ticker": "E", "result": "", "can_close_early": False, **fields}
    (record,) = records_from_rest({"known_ns": T0 + second * S, "market": market}, "facts", Counter())
    return record


def test_an_outcome_that_a_later_answer_tells_leaves_the_first_close_known():
    first = answer(0, close_time="2026-11-23T03:00:00Z")
    merged = merge_records(first, answer(9, close_time="2026-11-23T02:00:08Z", **SETTLED), "facts")
    assert merged.spec.close_ns == parse_rfc3339("2026-11-23T03:00:00Z")
    assert merged.is_foresight


def test_the_held_record_of_a_market_without_outcome_was_told_before_its_outcome():
    held = MarketRecord(answer(0, close_time="2026-11-23T03:00:00Z").spec, None, True)
    merged = merge_records(held, answer(9, close_time="2026-11-23T02:00:08Z", **SETTLED), "facts")
    assert merged.is_foresight
    assert merged.spec.close_ns == parse_rfc3339("2026-11-23T03:00:00Z")


def test_a_time_that_only_a_later_answer_tells_is_not_known_from_the_beginning():
    merged = merge_records(
        answer(0), answer(9, close_time="2026-11-23T03:00:00Z", category="Weather"), "facts"
    )
    assert merged.spec.close_ns is None
    assert [told.facts.close_ns for told in merged.told] == [None, parse_rfc3339("2026-11-23T03:00:00Z")]
    assert merged.spec.category == "Weather"  # facts that never change fill in


def test_a_grid_that_an_answer_tells_leaves_the_held_one_in_force_before():
    held = MarketRecord(answer(0, price_ranges=CENTS).spec, None, True)
    merged = _merge_held(held, answer(9, price_ranges=TENTHS), "facts", "data")
    assert merged.spec.price_ranges == held.spec.price_ranges
    assert merged.told[0].facts.price_ranges == answer(9, price_ranges=TENTHS).spec.price_ranges
