"""Lifecycle frames: every field is read on its own, and none stops anything."""

from collections import Counter
from typing import Any

import pytest

from kalshi_platform.data.market_data.capture import Frame
from kalshi_platform.data.market_data.facts import EventFeeTold
from kalshi_platform.data.market_data.lifecycle import ToldFacts, facts_of, status_of, time_of
from kalshi_platform.data.market_data.row_buffer import RowBuffer
from kalshi_platform.data.market_data.schema import STATUS_PAUSED
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.units import NO_TIME


def at(recv_ns: int) -> Frame:
    return Frame(recv_ns, recv_ns, 1, "")


def begun(*tickers: str) -> dict[str, RowBuffer]:
    """Buffers of markets that have a row, and so take facts as they are told."""
    markets = {ticker: RowBuffer() for ticker in tickers}
    for buffer in markets.values():
        buffer.add_gap(0, 1, 1, 1, 1)
    return markets


@pytest.mark.parametrize(
    ("msg", "paid_e4"),
    [
        ({"result": "yes"}, 10_000),
        ({"result": "no", "settlement_value": "0.0000"}, 0),
        ({"result": "scalar", "settlement_value": "0.2400"}, 2_400),
        ({"result": "void", "settlement_value": "0.5000"}, 5_000),
        ({"result": "scalar", "settlement_value": 0.24}, 2_400),
        ({"settlement_value": 1}, 10_000),
    ],
)
def test_an_outcome_is_the_value_and_else_the_result(msg: dict[str, Any], paid_e4: int) -> None:
    counters: Counter[str] = Counter()
    assert facts_of(msg, counters) == {"settlement_e4": paid_e4}
    assert not counters


@pytest.mark.parametrize(
    ("msg", "counted"),
    [
        ({"result": "void"}, "lifecycle_outcome_unreadable"),
        ({"result": "scalar"}, "lifecycle_outcome_unreadable"),
        ({"result": "maybe"}, "lifecycle_outcome_unreadable"),
        ({"result": 7}, "lifecycle_outcome_unreadable"),
        ({"result": ["yes"]}, "lifecycle_outcome_unreadable"),
        ({"result": "yes", "settlement_value": "1.5000"}, "lifecycle_outcome_unreadable"),
        ({"settlement_value": {}}, "lifecycle_outcome_unreadable"),
        ({"settlement_value": 0.123456}, "lifecycle_outcome_unreadable"),
        ({"result": "no", "settlement_value": "1.0000"}, "lifecycle_result_against_value"),
    ],
)
def test_an_outcome_that_cannot_be_read_is_unknown_and_counted(msg: dict[str, Any], counted: str) -> None:
    counters: Counter[str] = Counter()
    assert facts_of(msg, counters) == {"settlement_e4": None}
    assert counters == {counted: 1}


def test_an_outcome_told_again_without_a_value_is_unknown_again() -> None:
    told, markets = ToldFacts(Counter()), begun("M")
    for result in ("yes", "", "void"):
        told.take_market("M", at(1), {"result": result}, markets)
    assert [t.facts.settlement_e4 for t in markets["M"].told] == [10_000, None]


def test_broken_fields_are_counted_by_name_and_the_others_are_read() -> None:
    counters: Counter[str] = Counter()
    more = {"event_ticker": 5, "can_close_early": "yes", "expected_expiration_ts": "soon"}
    msg = {
        "open_ts": 10**12,
        "close_ts": 1_700_000_009,
        "determination_ts": 1.5,
        "price_ranges": [{"start": "0"}],
        "additional_metadata": more,
    }
    assert facts_of(msg, counters) == {"close_ns": 1_700_000_009 * 10**9}
    names = ("open_ts", "determination_ts", "price_ranges", "expected_expiration_ts")
    assert counters == {f"lifecycle_field_unreadable:{name}": 1 for name in names}


def test_early_closing_and_expiration_are_facts() -> None:
    more = {"event_ticker": "E", "can_close_early": False, "expected_expiration_ts": 1_700_000_008}
    assert facts_of({"additional_metadata": more}, Counter()) == {
        "event": "E",
        "can_close_early": False,
        "expected_expiration_ns": 1_700_000_008 * 10**9,
    }


def test_a_time_that_cannot_be_read_is_none() -> None:
    counters: Counter[str] = Counter()
    assert time_of({"ts": "soon"}, counters) == NO_TIME
    assert counters == {"lifecycle_field_unreadable:ts": 1}
    assert (status_of({"event_type": "deactivated"}), status_of({"event_type": ["x"]})) == (
        STATUS_PAUSED,
        None,
    )


def test_facts_of_an_event_reach_its_markets_before_and_after() -> None:
    told, markets = ToldFacts(Counter()), begun("A", "B", "C")
    named = {"additional_metadata": {"event_ticker": "E"}}
    told.take_market("A", at(1), named, markets)
    told.take_market("C", at(1), {"additional_metadata": {"event_ticker": "F"}}, markets)
    event = {"event_ticker": "E", "series_ticker": "S", "collateral_return_type": "MECNET"}
    assert told.take_event(at(2), event, markets) == ["A"]
    told.take_market("B", at(3), named, markets)
    assert [(t.recv_ns, t.facts.series) for t in markets["A"].told] == [(1, None), (2, "S")]
    assert [(t.recv_ns, t.facts.collateral) for t in markets["B"].told] == [(3, "MECNET")]
    assert told.facts["C"].series is None


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ({"fee_type_override": "flat", "fee_multiplier_override": 0.1}, ("flat", 100_000)),
        ({"fee_multiplier_override": "0.333333"}, (None, 333_333)),
        ({"fee_type_override": "quadratic", "fee_multiplier_override": 2}, ("quadratic", 2_000_000)),
        ({"fee_type_override": None, "fee_multiplier_override": None}, (None, None)),
    ],
)
def test_a_fee_is_read_exactly(override: dict[str, Any], told: tuple[Any, Any]) -> None:
    facts = ToldFacts(Counter())
    facts.take_fee(at(7), {"event_ticker": "E", **override})
    assert facts.fees == {"E": [EventFeeTold(7, *told)]}


@pytest.mark.parametrize("value", ["half", -0.5, "1e-7", True, [1], "1e400000", "nan", "inf", "9e99"])
def test_a_fee_that_cannot_be_is_refused_and_not_kept(value: Any) -> None:
    facts = ToldFacts(Counter())
    with pytest.raises(DataError, match="fee multiplier"):
        facts.take_fee(at(7), {"event_ticker": "E", "fee_multiplier_override": value})
    with pytest.raises(DataError, match="fee_type_override = 3"):
        facts.take_fee(at(7), {"event_ticker": "E", "fee_type_override": 3})
    assert not facts.fees
