"""The decoder's subscriptions: numbers nobody can read, ends, restarts, price scales, tickers, told facts."""

import json
from typing import Any

import pytest
from made.wire import M, Wire

from kalshi_platform.data.market_data.capture import ConnectionNote, Frame
from kalshi_platform.data.market_data.facts import EventFeeTold
from kalshi_platform.data.market_data.schema import (
    DELTA,
    FLAG_LAST,
    GAP,
    NO,
    NO_SIDE,
    SNAPSHOT,
    TICKER,
    TRADE,
    YES,
)
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.units import NO_PRICE, NO_TIME, UNKNOWN_QTY

DELTA_MSG = {"market_ticker": M, "price_dollars": "0.4200", "delta_fp": "1.00", "side": "yes"}

# Numbers that are no numbers


def test_numbers_given_as_text_are_numbers() -> None:
    wire = Wire()
    wire.send("orderbook_snapshot", "1", "7", {"market_ticker": M})
    wire.send("orderbook_delta", 1, "10", DELTA_MSG)
    assert wire.rows()[1:] == [(GAP, NO_SIDE, -1, 2, FLAG_LAST), (DELTA, YES, 4_200, 100, FLAG_LAST)]


@pytest.mark.parametrize("seq", [2.5, -2, "two", "", " 2", True, [2]])
def test_a_number_that_nobody_can_read_is_counted_and_shows_as_a_hole(seq: Any) -> None:
    wire = Wire()
    wire.snapshot(1)
    wire.send("orderbook_delta", 1, seq, DELTA_MSG)
    assert wire.decoder.counters["seq_unreadable"] == 1
    assert wire.decoder.counters["book_frames_without_seq"] == 1
    wire.delta(3)
    assert wire.kinds()[2:] == [DELTA, GAP, DELTA]


def test_book_frames_without_numbers_are_counted_and_their_books_can_still_end() -> None:
    wire = Wire()
    wire.send("orderbook_snapshot", None, None, {"market_ticker": M})
    wire.send("orderbook_delta", None, None, DELTA_MSG)
    wire.send("orderbook_delta", 4, None, DELTA_MSG)  # another subscription
    assert wire.decoder.counters["book_frames_without_seq"] == 2
    assert wire.decoder.counters["deltas_of_another_subscription"] == 1
    wire.send("error", 1, None, {"code": 25})
    assert wire.kinds() == [SNAPSHOT, DELTA, GAP]


# Subscriptions that end or begin anew


@pytest.mark.parametrize("code", [10, 25, "25"])
@pytest.mark.parametrize("place", ["frame", "msg", "nowhere"])
def test_a_terminal_error_ends_the_subscription_and_its_books(code: Any, place: str) -> None:
    wire = Wire()
    wire.snapshot(1, "A")
    wire.snapshot(1, "B", sid=3)
    wire.snapshot(1, "C", conn=2)
    wire.snapshot(2, "A")
    named = {"sid": 1} if place == "msg" else {}
    wire.send("error", 1 if place == "frame" else None, None, {"code": code, **named})
    wire.trade(1, "A")
    assert wire.kinds("A")[-2:] == [GAP, TRADE]
    assert (GAP in wire.kinds("B")) == (place == "nowhere")
    assert GAP not in wire.kinds("C")
    assert wire.decoder.counters[f"subscriptions_ended:error_{code}"] == (2 if place == "nowhere" else 1)
    wire.snapshot(1, "A")  # subscribed again, counted from 1
    wire.delta(2, "A")
    assert wire.kinds("A")[-3:] == [SNAPSHOT, SNAPSHOT, DELTA]


def test_other_errors_end_nothing() -> None:
    wire = Wire()
    wire.snapshot(1)
    for code in (8, 26, None, "x"):
        wire.send("error", 1, None, {"code": code})
    wire.send("error", None, None, None)
    assert GAP not in wire.kinds()
    assert wire.decoder.counters["control_frames:error"] == 5


def test_a_snapshot_of_a_lower_number_with_other_content_begins_the_count_anew() -> None:
    wire = Wire()
    for seq, ticker in enumerate(("A", "B", "A"), start=1):
        wire.snapshot(seq, ticker)
    wire.trade(1, "A")
    wire.trade(2, "A")
    wire.snapshot(1, "A", yes_dollars_fp=[["0.6000", "1.00"]])
    assert wire.kinds("A")[-3:] == [GAP, SNAPSHOT, SNAPSHOT]
    assert wire.kinds("B")[-1] == GAP
    wire.delta(2, "A")
    wire.trade(1, "A", count_fp="9.00")  # the trades of the connection are counted anew as well
    assert wire.kinds("A")[-2:] == [DELTA, TRADE]
    assert wire.decoder.counters["sequence_restarts"] == 2
    assert wire.decoder.counters["repeated_frames"] == 0


def test_a_late_trade_counts_and_a_late_book_is_left_out_of_the_hole_that_was_told_already() -> None:
    wire = Wire()
    wire.snapshot(1)
    wire.delta(3)  # 2 is missing
    wire.snapshot(2, yes_dollars_fp=[["0.6000", "1.00"]])
    wire.trade(1)
    wire.trade(3, trade_id="c")
    wire.trade(2, trade_id="b")
    wire.trade(4, trade_id="d")
    assert wire.kinds() == [SNAPSHOT, SNAPSHOT, GAP, DELTA, TRADE, TRADE, TRADE, TRADE]
    counters = wire.decoder.counters
    assert [counters[n] for n in ("late_frames", "sequence_gaps", "sequence_restarts")] == [2, 2, 0]


def test_a_block_of_frames_recorded_twice_is_no_restart() -> None:
    wire = Wire()
    for _ in range(2):
        wire.snapshot(1)
        wire.delta(2)
        wire.delta(3, delta_fp="4.00")
    wire.delta(4)
    assert wire.kinds() == [SNAPSHOT, SNAPSHOT, DELTA, DELTA, DELTA]
    assert wire.decoder.counters["repeated_frames"] == 3


# Price scale


def test_a_recorded_subscription_tells_the_scale_of_its_connection() -> None:
    wire = Wire()
    for conn, scale in ((1, True), (2, False)):
        params = {"channels": ["orderbook_delta"], "market_tickers": [M], "use_yes_price": scale}
        text = json.dumps({"id": 1, "cmd": "subscribe", "params": params})
        wire.decoder.feed(Frame(1, wire.at, conn, text))
    wire.decoder.feed(
        Frame(1, wire.at, 1, json.dumps({"cmd": "subscribe", "params": {"channels": ["trade"]}}))
    )
    wire.snapshot(1, "A", no_dollars_fp=[["0.4500", "1.00"]])
    wire.snapshot(1, "B", conn=2, no_dollars_fp=[["0.4500", "1.00"]])
    assert (wire.rows("A")[1][2], wire.rows("B")[1][2]) == (5_500, 4_500)
    assert wire.decoder.counters["commands:subscribe"] == 3


def test_a_note_counts_for_its_connection_and_beats_what_the_caller_says() -> None:
    wire = Wire(use_yes_price=False)
    wire.decoder.take_note(ConnectionNote(1, True))
    wire.snapshot(1, "A", no_dollars_fp=[["0.4500", "1.00"]])
    wire.snapshot(1, "B", conn=2, no_dollars_fp=[["0.4500", "1.00"]])
    wire.decoder.take_note(ConnectionNote(None, True))
    wire.snapshot(1, "C", conn=2, no_dollars_fp=[["0.4500", "1.00"]])
    assert [wire.rows(t)[1][2] for t in "ABC"] == [5_500, 4_500, 5_500]
    carried = [(c.conn, c.use_yes_price) for t in "ABC" for _, c in wire.decoder.markets[t].carried]
    assert carried == [(1, True), (2, False), (2, True)]


# Tickers


def test_a_ticker_beside_a_book_is_one_message_of_two_rows() -> None:
    wire = Wire()
    wire.snapshot(1)
    told = {"yes_bid_dollars": "0.4300", "yes_ask_dollars": "0.4450", "yes_bid_size_fp": "10.25"}
    told_ns = 1_795_400_000_388_000_000
    wire.send("ticker", 3, None, {"market_ticker": M, "ts_ms": 1_795_400_000_388, **told})
    wire.send("ticker", 3, None, {"market_ticker": M, "yes_bid": 0, "yes_ask": 100})
    assert wire.rows()[2:] == [
        (TICKER, YES, 4_300, 1_025, 0),
        (TICKER, NO, 5_550, UNKNOWN_QTY, FLAG_LAST),
        (TICKER, YES, NO_PRICE, 0, 0),
        (TICKER, NO, NO_PRICE, 0, FLAG_LAST),
    ]
    assert wire.decoder.markets[M].rows()[0].exch_ns[2:].tolist() == [told_ns, told_ns, NO_TIME, NO_TIME]


def test_tickers_without_a_book_open_no_market_and_unreadable_ones_spoil_none() -> None:
    wire = Wire()
    told = {"yes_bid_dollars": "0.4300", "yes_ask_dollars": "0.4450"}
    wire.send("ticker", 3, None, {"market_ticker": "B", **told})
    wire.send("ticker", 3, None, {"market_ticker": ["B"], **told})
    wire.snapshot(1)
    wire.send("ticker", 3, None, {"market_ticker": M, "yes_bid_dollars": "0.4300"})
    wire.send("ticker", 3, None, {"market_ticker": M, **told, "yes_ask_dollars": 0.445})
    wire.send("ticker", 3, None, {"market_ticker": M, **told, "yes_bid_size_fp": "-1.00"})
    assert wire.decoder.markets.keys() == {M}
    assert wire.kinds() == [SNAPSHOT, SNAPSHOT]
    counted = wire.decoder.counters
    assert (counted["ignored_frames:ticker"], counted["ticker_frames_unreadable"]) == (3, 2)


def test_a_ticker_on_a_new_connection_never_meets_the_stale_book() -> None:
    wire = Wire()
    wire.snapshot(1)
    told = {"yes_bid_dollars": "0.4300", "yes_ask_dollars": "0.4450"}
    wire.send("ticker", 3, None, {"market_ticker": M, **told}, conn=2)
    assert wire.kinds() == [SNAPSHOT, SNAPSHOT, GAP]


def test_fees_and_facts_of_events_are_kept_as_they_are_told() -> None:
    wire = Wire()
    fee = {"fee_type_override": "quadratic_with_maker_fees", "fee_multiplier_override": 0.5}
    wire.send("event_fee_update", 6, 1, {"event_ticker": "E", **fee})
    wire.send("event_fee_update", 6, 2, {"event_ticker": "E", "fee_type_override": None})
    assert wire.decoder.event_fees == {
        "E": [EventFeeTold(1, "quadratic_with_maker_fees", 500_000), EventFeeTold(2, None, None)]
    }
    with pytest.raises(DataError, match="event_ticker = None"):
        wire.send("event_fee_update", 6, 3, fee)
    wire.send("event_lifecycle", 6, 4, {"event_ticker": "E", "series_ticker": "S"})
    more = {"event_ticker": "E", "can_close_early": True}
    wire.send("market_lifecycle_v2", 6, 5, {"market_ticker": M, "additional_metadata": more})
    assert (wire.decoder.facts[M].series, wire.decoder.facts[M].can_close_early) == ("S", True)
