import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshi_platform.domain.errors import DataError
from kalshi_platform.trading.exchange import account_answers as account
from kalshi_platform.trading.exchange import public_answers as public
from kalshi_platform.trading.exchange.fields import AnswerFields

MARKET = {
    "ticker": "KXB-26DEC01-T72999.99", "event_ticker": "KXB-26DEC01", "status": "active",
    "open_time": "2026-11-23T02:13:20Z", "close_time": "2026-12-01T02:13:20.5Z", "can_close_early": True,
    "yes_bid_dollars": "0.4300", "yes_bid_size_fp": "10.25", "yes_ask_dollars": "0.4450",
    "last_price_dollars": "", "volume_fp": "918.75", "result": "", "exchange_index": 2,
    "a_field_of_next_week": {"x": 1},
}  # fmt: skip


def fields(raw):
    return AnswerFields(raw, "GET /x")


def test_a_market_is_read_in_integers_and_keeps_what_nobody_here_knows():
    market = public.read_market(fields(MARKET))
    assert (market.yes_bid_e4, market.yes_bid_e2, market.yes_ask_e4) == (4_300, 1_025, 4_450)
    assert (market.volume_e2, market.last_price_e4, market.settlement_value_e4) == (91_875, None, None)
    assert market.open_ns == 1_795_400_000 * 10**9
    assert market.close_ns == (1_795_400_000 + 8 * 86_400) * 10**9 + 500_000_000
    assert (market.exchange_index, market.is_provisional, market.can_close_early) == (2, False, True)
    assert market.raw["a_field_of_next_week"] == {"x": 1}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"ticker": None}, "ticker is None; expected text"),
        ({"yes_bid_dollars": 0.43}, r"yes_bid_dollars is 0\.43; expected text"),
        ({"yes_bid_dollars": "1.43"}, "yes_bid_dollars: price '1.43' is outside 0..1 dollar"),
        ({"yes_bid_size_fp": "1.001"}, "finer than 1/100"),
        ({"open_time": "yesterday"}, "open_time: time 'yesterday'"),
        ({"can_close_early": "yes"}, "can_close_early is 'yes'; expected true or false"),
        ({"exchange_index": "2"}, "exchange_index is '2'; expected a whole number"),
    ],
)
def test_a_field_that_cannot_be_read_is_refused_by_its_name(change, said):
    with pytest.raises(DataError, match=said):
        public.read_market(fields({**MARKET, **change}))


def test_a_book_is_sorted_here_best_bid_last_and_an_absent_side_is_empty():
    book = {"orderbook_fp": {"yes_dollars": [["0.4300", "12.50"], ["0.4210", "75.00"], ["0.1", "0.00"]],
                             "no_dollars": None}}  # fmt: skip
    read = public.read_book("A", fields(book))
    assert read.yes == ((4_210, 7_500), (4_300, 1_250))
    assert read.no == ()
    with pytest.raises(DataError, match=r"yes_dollars\[0\]"):
        public.read_book("A", fields({"orderbook_fp": {"yes_dollars": [["0.43"]]}}))


def test_an_event_holds_its_markets_and_null_lists_are_empty():
    event = {
        "event_ticker": "KXB-26DEC01",
        "series_ticker": "KXB",
        "mutually_exclusive": True,
        "markets": None,
    }
    assert public.read_event(fields({**event, "markets": None})).markets == ()
    assert public.read_event(fields({**event, "markets": [MARKET]})).markets[0].ticker == MARKET["ticker"]


def test_a_trade_falls_back_to_its_older_field_of_the_taker():
    trade = {
        "trade_id": "t", "ticker": "A", "yes_price_dollars": "0.4300", "count_fp": "2.25", "taker_side": "no",
        "created_time": "2026-11-23T02:13:20.38Z",
    }  # fmt: skip
    read = public.read_trade(fields(trade))
    assert (read.yes_price_e4, read.qty_e2, read.taker_side, read.is_block) == (4_300, 225, "no", False)
    assert read.exch_ns == 1_795_400_000_380_000_000
    assert public.read_trade(fields({**trade, "taker_outcome_side": "yes"})).taker_side == "yes"


def test_candles_are_read_with_and_without_suffixes():
    live = {
        "end_period_ts": 1_795_400_040, "price": {"close_dollars": None},
        "yes_bid": {"close_dollars": "0.40"},
        "yes_ask": {"close_dollars": "0.45"}, "volume_fp": "3.00", "open_interest_fp": "7.00",
    }  # fmt: skip
    old = {
        "end_period_ts": 1_795_400_040, "price": {"close": "0.41"}, "yes_bid": {"close": "0.40"},
        "yes_ask": {"close": "0.45"}, "volume": "3.00", "open_interest": "7.00",
    }  # fmt: skip
    one, other = public.read_candle("A", fields(live)), public.read_candle("A", fields(old))
    assert (one.close_e4, other.close_e4) == (None, 4_100)
    assert (one.yes_bid_close_e4, one.volume_e2, one.end_ns) == (4_000, 300, 1_795_400_040 * 10**9)
    assert (other.yes_ask_close_e4, other.open_interest_e2) == (4_500, 700)


def test_fee_changes_are_read_and_a_cleared_override_is_none():
    series = {"series_ticker": "KXB", "fee_type": "quadratic", "fee_multiplier": 0.5,
              "scheduled_ts": "2026-11-23T02:13:20Z"}  # fmt: skip
    event = {"event_ticker": "KXB-1", "fee_type_override": None, "fee_multiplier_override": None,
             "scheduled_ts": "2026-11-23T02:13:20Z"}  # fmt: skip
    change = public.read_series_fee(fields(series))
    assert (change.fee_multiplier_e6, change.from_ns) == (500_000, 1_795_400_000 * 10**9)
    cleared = public.read_event_fee(fields(event))
    assert (cleared.ticker, cleared.fee_type, cleared.fee_multiplier_e6) == ("KXB-1", None, None)


def test_status_schedule_and_cutoff_are_read():
    shard = {"exchange_index": 1, "exchange_active": True, "trading_active": False}
    status = {"exchange_active": True, "trading_active": False, "exchange_index_statuses": [shard]}
    assert public.read_status(fields(status)).shards[0] == public.ShardStatus(1, True, False)
    window = {"start_datetime": "2026-11-23T02:13:20Z", "end_datetime": "2026-11-23T04:13:20Z"}
    schedule = public.read_schedule(fields({"schedule": {"maintenance_windows": [window]}}))
    assert schedule.maintenance_ns == ((1_795_400_000 * 10**9, 1_795_407_200 * 10**9),)


# The account


def test_cash_is_exact_in_millionths_and_whole_cents_stand_in():
    exact = {"balance": 123, "balance_dollars": "1.239999", "portfolio_value": 250,
             "balance_breakdown": [{"exchange_index": 2, "balance": "1.0000"}]}  # fmt: skip
    balance = account.read_balance(fields(exact))
    assert (balance.cash_e6, balance.portfolio_value_e6, balance.by_shard_e6) == (
        1_239_999,
        2_500_000,
        {2: 1_000_000},
    )
    assert account.read_balance(fields({"balance": 123})).cash_e6 == 1_230_000


@given(st.integers(-(10**15), 10**15))
def test_every_amount_of_cash_survives_its_text(cash_e6):
    sign, size = "-" if cash_e6 < 0 else "", abs(cash_e6)
    text = f"{sign}{size // 10**6}.{size % 10**6:06d}"
    assert fields({"x": text}).cash_e6("x") == cash_e6


def test_a_position_is_signed_and_a_fill_keeps_its_fee():
    position = account.read_position(fields({
        "ticker": "A", "position_fp": "-12.50", "market_exposure_dollars": "5.4625", "exchange_index": 0,
        "realized_pnl_dollars": "-0.000001", "fees_paid_dollars": "0.2153",
    }))  # fmt: skip
    assert (position.position_e2, position.realized_pnl_e6, position.exposure_e6) == (-1_250, -1, 5_462_500)
    fill = account.read_fill(fields({
        "trade_id": "t", "order_id": "o", "ticker": "A", "book_side": "bid", "yes_price_dollars": "0.4370",
        "count_fp": "12.50", "fee_cost": "0.215300", "is_taker": True, "ts": 1_795_400_010,
    }))  # fmt: skip
    assert (fill.qty_e2, fill.fee_e6, fill.exch_ns) == (1_250, 215_300, 1_795_400_010 * 10**9)


def test_an_order_adds_up_its_fees_and_keeps_a_status_of_next_week():
    order = account.read_order(fields({
        "order_id": "o", "client_order_id": "c", "ticker": "A", "book_side": "ask", "status": "suspended",
        "yes_price_dollars": "0.4370", "initial_count_fp": "20.00", "fill_count_fp": "12.50",
        "remaining_count_fp": "7.50", "taker_fees_dollars": "0.215300", "maker_fees_dollars": "0.000700",
    }))  # fmt: skip
    assert (order.status, order.fees_e6) == ("suspended", 216_000)
    assert order.initial_e2 == order.filled_e2 + order.remaining_e2


def test_a_settlement_comes_in_cents_and_leaves_in_millionths():
    settlement = account.read_settlement(fields({
        "ticker": "A", "market_result": "yes", "yes_count_fp": "3.00", "no_count_fp": "0.00", "revenue": 300,
        "fee_cost": "0.01", "value": 100, "settled_time": "2026-11-23T02:13:20Z",
    }))  # fmt: skip
    assert (settlement.revenue_e6, settlement.value_e4, settlement.fee_e6) == (3_000_000, 10_000, 10_000)


def test_limits_costs_and_keys_are_read():
    bucket = {"refill_rate": 300, "bucket_capacity": 900}
    limits = account.read_limits(fields({"usage_tier": "advanced", "read": bucket, "write": bucket}))
    assert (limits.tier, limits.write) == ("advanced", account.BucketLimit(300, 900))
    cost = {"method": "delete", "path": "/portfolio/events/orders/{order_id}", "cost": 2}
    costs = account.read_costs(fields({"default_cost": 10, "endpoint_costs": [cost]}))
    assert costs.costs == {("DELETE", "/portfolio/events/orders/{order_id}"): 2}
    keys = account.read_keys(fields({"api_keys": [{"api_key_id": "k", "scopes": ["read"]}],
                                     "api_key_region_expiration_ts": 1_795_400_000}))  # fmt: skip
    assert keys.keys[0].scopes == ("read",)
    assert keys.region_expires_ns == 1_795_400_000 * 10**9


@pytest.mark.recorded
def test_the_exchanges_own_answers_are_read_whole(recorded_data):
    folder = recorded_data / "rest"
    events = json.loads(gzip.decompress((folder / "events_sports_nested.json.gz").read_bytes()))
    read = [public.read_event(fields(event)) for event in events]
    assert sum(len(event.markets) for event in read) == sum(len(event["markets"]) for event in events) > 0
    settled = json.loads(gzip.decompress((folder / "markets_settled.json.gz").read_bytes()))["markets"]
    markets = [public.read_market(fields(market)) for market in settled]
    assert {"yes", "no"} <= {market.result for market in markets}
    lines = gzip.decompress((folder / "demo_orderbooks.jsonl.gz").read_bytes()).splitlines()
    asked = [each for each in map(json.loads, lines) if each["url"].partition("?")[0].endswith("/orderbook")]
    books = [public.read_book("A", fields(json.loads(each["response_body"]))) for each in asked]
    assert books
    assert all(book.yes or book.no for book in books)
