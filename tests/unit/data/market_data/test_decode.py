"""Frames to rows: exact numbers, both price scales, both formats, and no stale book without a GAP."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made.market_files import T0
from made.wire import M, Wire

from kalshi_platform.data.market_data.capture import Frame
from kalshi_platform.data.market_data.decode import Decoder
from kalshi_platform.data.market_data.schema import (
    DELTA,
    FACTS,
    FLAG_BLOCK,
    FLAG_LAST,
    FLAG_START,
    GAP,
    NO,
    NO_SIDE,
    SNAPSHOT,
    STATUS,
    STATUS_ACTIVE,
    STATUS_DETERMINED,
    STATUS_PAUSED,
    STATUS_SETTLED,
    TRADE,
    YES,
)
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.units import NO_TIME, UNKNOWN_QTY

DELTA_MSG = {"market_ticker": M, "price_dollars": "0.4200", "delta_fp": "1.00", "side": "yes"}
START = (SNAPSHOT, NO_SIDE, -1, 0, FLAG_START)


def test_snapshot_is_a_start_row_and_a_row_a_level_the_last_one_flagged() -> None:
    wire = Wire()
    wire.snapshot(
        1, yes_dollars_fp=[["0.4300", "12.50"], ["0.4210", "75.00"]], no_dollars_fp=[["0.5550", "40.00"]]
    )
    assert wire.rows() == [
        START,
        (SNAPSHOT, YES, 4_300, 1_250, 0),
        (SNAPSHOT, YES, 4_210, 7_500, 0),
        (SNAPSHOT, NO, 5_550, 4_000, FLAG_LAST),
    ]


def test_absent_sides_are_empty_and_an_empty_book_is_one_row() -> None:
    wire = Wire()
    wire.snapshot(1, market_id="x")
    assert wire.rows() == [(SNAPSHOT, NO_SIDE, -1, 0, FLAG_START | FLAG_LAST)]


def test_use_yes_price_turns_no_prices_into_the_no_scale() -> None:
    # a NO entry at 0.4450 on the YES scale is a YES ask at 0.4450: a NO bid at 0.5550
    wire = Wire(use_yes_price=True)
    wire.snapshot(1, yes_dollars_fp=[["0.4300", "1.00"]], no_dollars_fp=[["0.4450", "40.00"]])
    wire.delta(2, price_dollars="0.4450", side="no", delta_fp="-2.25")
    wire.delta(3, price_dollars="0.4300", side="yes", delta_fp="1.00")
    assert wire.rows()[1:] == [
        (SNAPSHOT, YES, 4_300, 100, 0),
        (SNAPSHOT, NO, 5_550, 4_000, FLAG_LAST),
        (DELTA, NO, 5_550, -225, FLAG_LAST),
        (DELTA, YES, 4_300, 100, FLAG_LAST),
    ]


def test_legacy_cents_and_whole_contracts_read_like_the_current_format() -> None:
    new, old = Wire(), Wire()
    new.snapshot(1, yes_dollars_fp=[["0.4200", "75.00"]], no_dollars_fp=[["0.5500", "40.00"]])
    old.snapshot(1, yes=[[42, 75]], no=[[55, 40]])
    new.delta(2, price_dollars="0.5500", delta_fp="-3.00", side="no")
    old.send("orderbook_delta", 1, 2, {"market_ticker": M, "price": 55, "delta": -3, "side": "no"})
    new.trade(1, count_fp="7.00")
    old.send("trade", 2, 1, {"market_ticker": M, "yes_price": 43, "count": 7, "taker_side": "no"})
    assert new.rows() == old.rows()


def test_trade_prefers_the_outcome_side_and_flags_blocks() -> None:
    wire = Wire()
    wire.trade(1, taker_outcome_side="yes", taker_side="no")
    wire.trade(2, taker_side="no", is_block_trade=True)
    wire.trade(3, taker_side="", taker_book_side="bid")
    assert wire.rows() == [
        (TRADE, YES, 4_300, 225, FLAG_LAST),
        (TRADE, NO, 4_300, 225, FLAG_LAST | FLAG_BLOCK),
        (TRADE, YES, 4_300, 225, FLAG_LAST),
    ]


def test_a_trade_sent_twice_is_one_print() -> None:
    wire = Wire()
    wire.trade(1, trade_id="a")
    wire.trade(2, trade_id="a")
    wire.trade(3, trade_id="b")
    wire.trade(4, trade_id=None)
    assert len(wire.rows()) == 3
    assert wire.decoder.markets[M].trade_ids == ["a", "b", None]
    assert wire.decoder.counters["repeated_trades"] == 1


def test_exchange_time_is_read_in_every_form() -> None:
    wire = Wire()
    wire.snapshot(1)
    wire.delta(2, ts_ms=1_795_400_000_388, ts="2000-01-01T00:00:00Z")
    wire.delta(3, ts="2026-11-23T02:13:20.38Z")
    wire.trade(1, ts=1_795_400_000)
    wire.delta(4)
    exch = wire.decoder.markets[M].rows()[0].exch_ns[2:].tolist()
    assert exch == [1_795_400_000_388_000_000, 1_795_400_000_380_000_000, 1_795_400_000_000_000_000, NO_TIME]


def test_lifecycle_frames_become_states_and_facts() -> None:
    wire = Wire()
    bands = [{"start": "0.0000", "end": "1.0000", "step": "0.0010"}]
    for seq, msg in enumerate(
        [
            {
                "event_type": "created",
                "open_ts": T0 + 5,
                "close_ts": T0 + 9,
                "additional_metadata": {"event_ticker": "KXDEMO"},
            },
            {"event_type": "activated"},
            {"event_type": "deactivated"},
            {"event_type": "price_level_structure_updated", "price_ranges": bands},
            {
                "event_type": "determined",
                "determination_ts": T0 + 8,
                "result": "yes",
                "settlement_value": "1.0000",
            },
            {"event_type": "settled", "settled_ts": T0 + 9},
        ]
    ):
        wire.send("market_lifecycle_v2", 6, seq + 1, {"market_ticker": M, **msg})
    expected = [
        (FACTS, 1), (STATUS, STATUS_ACTIVE), (STATUS, STATUS_PAUSED), (FACTS, 2), (FACTS, 3),
        (STATUS, STATUS_DETERMINED), (STATUS, STATUS_SETTLED),
    ]  # fmt: skip
    assert wire.rows() == [(kind, NO_SIDE, -1, qty, FLAG_LAST) for kind, qty in expected]
    facts = wire.decoder.facts[M]
    assert (facts.event, facts.open_ns, facts.close_ns) == ("KXDEMO", (T0 + 5) * 10**9, (T0 + 9) * 10**9)
    assert (facts.settlement_e4, facts.determined_ns) == (10_000, (T0 + 8) * 10**9)
    assert facts.price_ranges is not None
    assert facts.price_ranges[0].step_e4 == 10


def test_unknown_and_private_frames_and_fields_are_counted_and_change_nothing() -> None:
    wire = Wire()
    wire.snapshot(1, yes_dollars_fp=[["0.4200", "75.00"]], novelty=1)
    wire.send("fill", 4, None, {"market_ticker": M})
    wire.send("ticker", 3, None, {"market_ticker": M})
    wire.send("brand_new", 9, 1, [1, 2])
    wire.decoder.feed(Frame(9, 9, 1, "heartbeat"))
    wire.decoder.feed(Frame(9, 9, 1, "[1]"))
    wire.decoder.feed(Frame(9, 9, 1, '{"type": ["odd"]}'))
    assert len(wire.rows()) == 2
    counted = wire.decoder.counters
    assert counted["unknown_field:orderbook_snapshot.novelty"] == 1
    assert (
        counted["private_frames:fill"]
        == counted["ignored_frames:ticker"]
        == counted["unknown_type:brand_new"]
        == 1
    )
    assert counted["frames_not_json_objects"] == 2
    assert counted["frames"] == 7


# Lost messages


def test_a_hole_puts_a_gap_into_every_market_of_the_subscription_and_no_other() -> None:
    wire = Wire()
    wire.snapshot(1, "A")
    wire.snapshot(2, "B")
    wire.snapshot(1, "C", sid=2)
    wire.delta(6, "A")
    assert wire.rows("A")[-2:] == [(GAP, NO_SIDE, -1, 3, FLAG_LAST), (DELTA, YES, 4_200, 100, FLAG_LAST)]
    assert wire.rows("B")[-1] == (GAP, NO_SIDE, -1, 3, FLAG_LAST)
    assert GAP not in wire.kinds("C")
    assert wire.decoder.counters["messages_missing"] == 3


def test_control_frames_use_up_numbers() -> None:
    wire = Wire()
    wire.snapshot(1)
    wire.send("ok", 1, 2, {"market_tickers": [M]})
    wire.send("error", 1, 3, {"code": 11})
    wire.delta(4)
    assert GAP not in wire.kinds()


def test_a_lost_trade_message_does_not_spoil_the_book() -> None:
    wire = Wire()
    wire.snapshot(1)
    wire.trade(1)
    wire.trade(5)
    assert GAP not in wire.kinds()
    assert wire.decoder.counters["messages_missing"] == 3


def test_a_repeated_frame_is_ignored() -> None:
    wire = Wire()
    wire.snapshot(1)
    wire.delta(2)
    wire.delta(2)
    assert wire.kinds() == [SNAPSHOT, SNAPSHOT, DELTA]
    assert wire.decoder.counters["repeated_frames"] == 1


def test_unsubscribing_spoils_the_book() -> None:
    wire = Wire()
    wire.snapshot(1)
    wire.send("unsubscribed", 1, 2, {})
    assert wire.rows()[-1] == (GAP, NO_SIDE, -1, UNKNOWN_QTY, FLAG_LAST)


def test_a_reconnection_puts_a_gap_before_the_new_snapshot() -> None:
    wire = Wire()
    wire.snapshot(1)
    wire.delta(2)
    wire.snapshot(1, conn=2)
    wire.delta(2, conn=2)
    assert wire.kinds() == [SNAPSHOT, SNAPSHOT, DELTA, GAP, SNAPSHOT, SNAPSHOT, DELTA]


def test_a_trade_on_a_new_connection_never_meets_the_stale_book() -> None:
    wire = Wire()
    wire.snapshot(1)
    wire.trade(1, conn=2)
    assert wire.kinds() == [SNAPSHOT, SNAPSHOT, GAP, TRADE]
    wire.snapshot(1, sid=1, conn=2)
    assert wire.kinds()[4:] == [SNAPSHOT, SNAPSHOT]


def test_parallel_connections_do_not_disturb_each_other() -> None:
    wire = Wire()
    wire.snapshot(1, "A")
    wire.snapshot(1, "B", conn=2)
    wire.delta(2, "A")
    wire.trade(1, "A", conn=2)
    wire.delta(2, "B", conn=2)
    assert GAP not in wire.kinds("A") + wire.kinds("B")


def test_deltas_of_a_second_subscription_are_not_applied_twice() -> None:
    wire = Wire()
    wire.snapshot(1)
    wire.delta(1, sid=3)
    assert wire.kinds() == [SNAPSHOT, SNAPSHOT]
    assert wire.decoder.counters["deltas_of_another_subscription"] == 1


# Refusals


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"price_dollars": "0.42001"}, "finer than 1/10000"),
        ({"price_dollars": "1.4200"}, "outside 0..1"),
        ({"price_dollars": 0.42}, "price_dollars = 0.42; expected a decimal string"),
        ({"delta_fp": "1.005"}, "finer than 1/100"),
        ({"delta_fp": "many"}, "not a decimal number"),
        ({"side": "maybe"}, "side = 'maybe'"),
        ({"market_ticker": None}, "market_ticker = None"),
        ({"ts_ms": "soon"}, "ts_ms = 'soon'"),
        ({"price_dollars": None}, "no price_dollars or price"),
    ],
)
def test_an_impossible_delta_is_refused_with_its_value(fields: dict[str, Any], message: str) -> None:
    wire = Wire()
    wire.snapshot(1)
    ticker = fields.pop("market_ticker", M)
    with pytest.raises(DataError, match=message):
        wire.delta(2, ticker, **fields)
    assert wire.kinds()[-1] == GAP


@given(
    st.lists(
        st.tuples(st.sampled_from(["yes", "no"]), st.integers(1, 9_999), st.integers(-500, 500)), max_size=30
    )
)
def test_both_price_scales_give_the_same_rows(deltas: list[tuple[str, int, int]]) -> None:
    plain, yes_scale = Wire(), Wire(use_yes_price=True)
    plain.snapshot(1)
    yes_scale.snapshot(1)
    for seq, (side, price, qty) in enumerate(deltas, start=2):
        mirrored = 10_000 - price if side == "no" else price
        plain.delta(seq, side=side, price_dollars=f"0.{price:04d}", delta_fp=f"{qty}.00")
        yes_scale.delta(seq, side=side, price_dollars=f"0.{mirrored:04d}", delta_fp=f"{qty}.00")
    np.testing.assert_array_equal(plain.rows(), yes_scale.rows())


# Frames one by one, as they come live


def kinds_of(drained: Any) -> dict[str, list[int]]:
    return {ticker: rows.kind.tolist() for ticker, rows, _ in drained}


def test_drained_rows_are_those_since_the_last_drain() -> None:
    wire = Wire()
    wire.snapshot(1)
    wire.snapshot(1, ticker="B", sid=3)
    assert list(kinds_of(wire.decoder.drain())) == [M, "B"]
    wire.delta(2)
    assert kinds_of(wire.decoder.drain()) == {M: [DELTA]}
    assert kinds_of(wire.decoder.drain()) == {}


@pytest.mark.parametrize(
    "fields", [{"side": "maybe"}, {"side": ["yes"]}, {"price_dollars": "2.0"}, {"delta_fp": "1e30"}]
)
def test_a_refused_delta_spoils_the_book_it_may_have_changed_and_no_other(fields: dict[str, Any]) -> None:
    wire = Wire()
    wire.snapshot(1)
    wire.snapshot(2, ticker="B")
    list(wire.decoder.drain())
    with pytest.raises(DataError):
        wire.delta(3, **fields)
    assert kinds_of(wire.decoder.drain()) == {M: [GAP]}
    wire.delta(4, ticker="B")
    assert kinds_of(wire.decoder.drain()) == {"B": [DELTA]}


def test_a_refused_frame_of_no_known_market_spoils_every_book_of_its_subscription() -> None:
    wire = Wire()
    wire.snapshot(1)
    wire.snapshot(1, ticker="B", sid=3)
    list(wire.decoder.drain())
    with pytest.raises(DataError, match="market_ticker = 7"):
        wire.delta(2, ticker=7)  # type: ignore[arg-type]
    assert kinds_of(wire.decoder.drain()) == {M: [GAP]}


def test_a_frame_that_was_not_fed_uses_up_its_number_and_a_repeat_spoils_nothing() -> None:
    wire = Wire()
    wire.snapshot(1)
    list(wire.decoder.drain())
    frame = Frame(9, 9, 1, "{}")
    message = {"type": "orderbook_delta", "sid": 1, "seq": 2, "msg": {"market_ticker": M}}
    wire.decoder.refuse_message(frame, message)
    assert kinds_of(wire.decoder.drain()) == {M: [GAP]}
    wire.decoder.refuse_message(frame, message)
    wire.delta(3)
    assert kinds_of(wire.decoder.drain()) == {M: [DELTA]}


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ({"sid": 1 << 31, "seq": 1}, "sid = "),
        ({"sid": -1, "seq": 1}, "sid = "),
        ({"sid": 1, "seq": 1 << 62}, "seq = "),
    ],
)
def test_numbers_that_fit_no_column_are_refused(frame: dict[str, int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Decoder().feed(Frame(1, 1, 1, json.dumps({"type": "ticker", **frame})))


def test_a_snapshot_that_is_refused_leaves_no_row() -> None:
    wire = Wire()
    with pytest.raises(DataError):
        wire.snapshot(1, yes_dollars_fp=[["0.4200", "5.00"], ["0.4300", "99999999999999999.99"]])
    assert wire.kinds() == [GAP]


def test_prices_at_which_nobody_can_trade_are_put_aside_and_counted() -> None:
    for scale in (False, True):
        wire = Wire(use_yes_price=scale)
        wire.snapshot(
            1, yes_dollars_fp=[["0.0000", "5.00"], ["0.4200", "75.00"]], no_dollars_fp=[["1.0000", "1.00"]]
        )
        wire.delta(2, price_dollars="1.0000", side="no")
        wire.trade(1, yes_price_dollars="0.0000", sid=2)
        assert [row[:3] for row in wire.rows()] == [START[:3], (SNAPSHOT, YES, 4_200)]
        assert wire.rows()[-1][-1] == FLAG_LAST
        assert wire.decoder.counters["levels_outside_0_1"] == 3
        assert wire.decoder.counters["prints_outside_0_1"] == 1
        wire.delta(3)  # its number was used: no gap
        assert wire.kinds() == [SNAPSHOT, SNAPSHOT, DELTA]


def test_a_value_of_a_lifecycle_frame_may_be_a_number_and_a_contradiction_is_no_outcome() -> None:
    wire = Wire()
    for seq, (result, value) in enumerate([("scalar", 0.24), ("no", "1.0000")], start=1):
        ticker = f"{M}-{seq}"
        msg = {
            "market_ticker": ticker,
            "event_type": "determined",
            "result": result,
            "settlement_value": value,
        }
        wire.send("market_lifecycle_v2", 6, seq, msg)
    assert [wire.decoder.facts[f"{M}-{seq}"].settlement_e4 for seq in (1, 2)] == [2_400, None]


def test_an_empty_trade_id_is_none_and_one_id_in_two_markets_is_two_trades() -> None:
    wire = Wire()
    for seq, (ticker, name) in enumerate(((M, ""), (M, ""), (M, "7"), ("M-2", "7"), (M, "7"))):
        wire.trade(seq, ticker, trade_id=name)
    assert [wire.decoder.markets[ticker].trade_ids for ticker in (M, "M-2")] == [[None, None, "7"], ["7"]]
    assert wire.decoder.counters["repeated_trades"] == 1
