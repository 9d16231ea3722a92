"""Public REST calls: lists, filters, pages, books, trades, candlesticks."""

from datetime import datetime

import pytest
from made.sim_server import ONE_SHARD, serve_for

STILL = {"speed": 1e-6, "world": ONE_SHARD, "n_events": 6}


def seconds(text):
    return datetime.fromisoformat(text).timestamp()


def test_every_list_comes_whole_in_pages_of_any_size():
    async def body(scene):
        rest = scene.rest
        markets = await rest.all("/markets", "markets", limit=1000)
        assert [m["ticker"] for m in await rest.all("/markets", "markets", limit=3)] == [
            m["ticker"] for m in markets
        ]
        events = await rest.all("/events", "events", limit=2, with_nested_markets="true")
        assert len(events) == 6
        nested = {m["ticker"] for event in events for m in event["markets"]}
        assert nested == {m["ticker"] for m in markets}
        trades = await rest.all("/markets/trades", "trades", limit=37)
        assert len({t["trade_id"] for t in trades}) == len(trades) > 200
        numbers = [t["trade_id"] for t in trades]
        assert numbers == sorted(numbers, reverse=True)  # the newest first
        truth = await scene.truth()
        assert len(trades) == sum(m["n_trades"] for m in truth["markets"].values())

    serve_for(body, **STILL)


def test_volume_is_the_sum_of_the_trades_and_candles_add_up_to_both():
    async def body(scene):
        rest = scene.rest
        markets = [m for m in await rest.all("/markets", "markets") if m["volume_fp"] != "0.00"]
        assert len(markets) > 5
        for market in markets[:5]:
            ticker = market["ticker"]
            trades = await rest.all("/markets/trades", "trades", ticker=ticker)
            volume = sum(round(float(t["count_fp"]) * 100) for t in trades)
            assert volume == round(float(market["volume_fp"]) * 100)
            series = ticker.partition("-")[0]
            place = f"/series/{series}/markets/{ticker}/candlesticks"
            for period in (1, 60):
                found = await rest.get(place, period_interval=period, start_ts=0, end_ts=2**33)
                candles = found["candlesticks"]
                assert sum(round(float(c["volume_fp"]) * 100) for c in candles) == volume
                ends = [c["end_period_ts"] for c in candles]
                assert ends == sorted(set(ends))
                assert all(end % (60 * period) == 0 for end in ends)
                traded = [c for c in candles if c["price"]]
                by_time = sorted(trades, key=lambda t: (seconds(t["created_time"]), t["trade_id"]))
                assert traded[0]["price"]["open_dollars"] == by_time[0]["yes_price_dollars"]
                assert traded[-1]["price"]["close_dollars"] == by_time[-1]["yes_price_dollars"]
                for candle in candles:
                    bid = candle["yes_bid"]
                    assert bid["low_dollars"] <= bid["open_dollars"] <= bid["high_dollars"]
            many = await rest.get(
                "/markets/candlesticks", market_tickers=ticker, period_interval=60, start_ts=0, end_ts=2**33
            )
            assert many["markets"] == [{"market_ticker": ticker, "candlesticks": candles}]

    serve_for(body, **STILL)


def test_books_show_the_best_price_last_and_as_deep_as_asked():
    async def body(scene):
        rest, market = scene.rest, await scene.open_market()
        ticker = market["ticker"]
        book = (await rest.get(f"/markets/{ticker}/orderbook"))["orderbook_fp"]
        assert book["yes_dollars"] == sorted(book["yes_dollars"])
        assert book["yes_dollars"][-1] == [market["yes_bid_dollars"], market["yes_bid_size_fp"]]
        assert float(book["no_dollars"][-1][0]) == pytest.approx(1 - float(market["yes_ask_dollars"]))
        short = (await rest.get(f"/markets/{ticker}/orderbook", depth=2))["orderbook_fp"]
        assert short == {side: levels[-2:] for side, levels in book.items()}
        both = await rest.send("GET", f"/markets/orderbooks?tickers={ticker}&tickers={ticker}")
        assert [each["orderbook_fp"] for each in both.json()["orderbooks"]] == [book, book]

    serve_for(body, **STILL)


@pytest.mark.parametrize(
    ("path", "query", "words"),
    [
        ("/markets", {"limit": 1001}, "1..1000"),
        ("/markets", {"limit": "x"}, "no whole number"),
        ("/markets", {"status": "asleep"}, "unopened"),
        ("/markets", {"cursor": "zz"}, "cursor"),
        ("/markets", {"min_close_ts": 1, "max_created_ts": 2}, "exclude each other"),
        ("/events", {"limit": 201}, "1..200"),
        ("/markets/orderbooks", {}, "1 to 100"),
        ("/markets/candlesticks", {"market_tickers": "A", "period_interval": 5}, "1, 60, 1440"),
        ("/portfolio/orders", {"status": "lost"}, "resting"),
        ("/portfolio/balance", {"exchange_index": 9}, "0..3"),
    ],
)
def test_a_wrong_parameter_is_refused_with_what_is_allowed(path, query, words, still):
    status, text = still(path, query)
    assert status == 400
    assert words in text


@pytest.fixture(scope="module")
def still():
    """Answers of one server to the wrong queries."""
    marks = test_a_wrong_parameter_is_refused_with_what_is_allowed.pytestmark
    answers = {}

    async def body(scene):
        for path, query, _ in marks[0].args[1]:
            found = await scene.rest.send("GET", path, **query)
            answers[path, str(query)] = found.status_code, found.text

    serve_for(body, **STILL)
    return lambda path, query: answers[path, str(query)]


def test_filters_of_status_time_and_name_choose_markets():
    async def body(scene):
        rest = scene.rest
        markets = await rest.all("/markets", "markets")
        states = {
            "open": "active",
            "settled": "finalized",
            "paused": "inactive",
            "closed": None,
            "unopened": None,
        }
        for word, status in states.items():
            found = await rest.all("/markets", "markets", status=word)
            if status:
                assert [m for m in markets if m["status"] == status] == found
        one = markets[0]
        by_event = await rest.all("/markets", "markets", event_ticker=one["event_ticker"])
        assert by_event == [m for m in markets if m["event_ticker"] == one["event_ticker"]]
        two = f"{markets[1]['ticker']},{one['ticker']}"
        assert len(await rest.all("/markets", "markets", tickers=two)) == 2
        close = int(seconds(one["close_time"]))
        near = await rest.all("/markets", "markets", min_close_ts=close, max_close_ts=close)
        assert one in near
        assert all(int(seconds(m["close_time"])) == close for m in near)
        event = await rest.get(f"/events/{one['event_ticker']}")
        assert one in event["markets"]
        for path in ("/markets/NO", "/events/NO", "/series/NO", "/markets/NO/orderbook"):
            assert (await rest.send("GET", path)).status_code == 404

    serve_for(body, **STILL)


def test_the_exchange_tells_its_status_hours_and_fees():
    async def body(scene):
        rest = scene.rest
        status = await rest.get("/exchange/status")
        assert (status["exchange_active"], status["trading_active"]) == (True, True)
        assert [each["exchange_index"] for each in status["exchange_index_statuses"]] == [0, 1, 2, 3]
        assert (await rest.get("/exchange/schedule"))["schedule"]["maintenance_windows"] == []
        assert seconds((await rest.get("/exchange/user_data_timestamp"))["as_of_time"]) > 0
        series = (await rest.get("/series"))["series"]
        changes = (await rest.get("/series/fee_changes", show_historical="true"))["series_fee_change_arr"]
        assert {c["series_ticker"] for c in changes} == {s["ticker"] for s in series}
        costs = await rest.get("/account/endpoint_costs")
        assert costs["default_cost"] == 10
        assert {(c["method"], c["cost"]) for c in costs["endpoint_costs"]} == {("DELETE", 2)}

    serve_for(body, **STILL)


def test_flat_error_bodies_can_be_asked_for():
    async def body(scene):
        error = (await scene.rest.send("GET", "/markets/NO")).json()
        assert error == {"code": "not_found", "message": "not found", "details": "NO"}

    serve_for(body, **STILL, error_body="flat")
