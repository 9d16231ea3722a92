"""Candlesticks and polled order books as quotes."""

import json
from pathlib import Path
from typing import Any

import pytest
from made.foreign_files import T0_MS, T0_S, M, candle, document, lines
from made.market_files import CORE, load, table

from kalshi_platform.data.market_data.importers.rest_quotes import candle_quote
from kalshi_platform.data.market_data.schema import FLAG_LAST, NO, QUOTE, YES
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.units import NO_PRICE, UNKNOWN_QTY

BOOK = {"yes_dollars": [["0.4100", "5.00"], ["0.4200", "7.00"]], "no_dollars": [["0.5500", "3.00"]]}


def test_a_candlestick_becomes_the_closing_quote_at_the_end_of_its_period(tmp_path: Path) -> None:
    candles = [candle(T0_S + 120, None, "1.0000"), candle(T0_S + 60, "0.4200", "0.4500")]
    forms: list[Any] = [
        {"ticker": M, "candlesticks": candles},
        {"markets": [{"market_ticker": M, "candlesticks": candles}]},
        {"captured_ms": 1, "markets": {M: {"period_interval": 1, "candlesticks": candles}}},
        {M: candles},
    ]
    for number, form in enumerate(forms):
        market = load(document(tmp_path / f"{number}.json", form))[0][M]
        assert market.provenance == "quotes"
        assert market.rows.recv_ns.tolist() == [(T0_S + s) * 10**9 for s in (60, 60, 120, 120)]
        assert table(market, *CORE) == [
            (QUOTE, YES, 4_200, UNKNOWN_QTY, 0),
            (QUOTE, NO, 5_500, UNKNOWN_QTY, FLAG_LAST),
            (QUOTE, YES, NO_PRICE, 0, 0),
            (QUOTE, NO, NO_PRICE, 0, FLAG_LAST),
        ], number


def test_historical_dollar_texts_and_old_cents_close_a_candlestick_too() -> None:
    dollars = candle_quote(M, candle(T0_S, "0.4200", "0.4500", "close"))
    cents = candle_quote(M, {"end_period_ts": T0_S, "yes_bid": {"close": 42}, "yes_ask": {"close": 45}})
    assert dollars is not None
    assert dollars == cents
    assert (dollars.yes_bid_e4, dollars.yes_ask_e4) == (4_200, 4_500)
    assert candle_quote(M, {"end_period_ts": T0_S, "price": {"close": 42}}) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"yes_bid": {"close": 420}}, r"yes_bid\.close = 420; expected whole cents"),
        ({"yes_bid": {"close_dollars": "1.2000"}}, "outside 0..1 dollar"),
        ({"end_period_ts": 60}, "end_period_ts = 60 is no time"),
        ({"end_period_ts": None}, "without end_period_ts"),
    ],
)
def test_a_candlestick_that_cannot_be_is_refused(tmp_path: Path, change: dict, message: str) -> None:
    broken = {**candle(T0_S, "0.4200", "0.4500"), **change}
    path = document(
        tmp_path / "c.json", {"ticker": M, "candlesticks": [candle(T0_S, "0.42", "0.45"), broken]}
    )
    with pytest.raises(DataError, match=f"candlestick 2 of '{M}': .*{message}"):
        load(path)


def test_a_polled_book_becomes_its_top_with_sizes_at_the_time_of_the_poll(tmp_path: Path) -> None:
    url = f"https://x/trade-api/v2/markets/{M}/orderbook"
    forms = {
        "beside": [{"recv_ms": T0_MS, "ticker": M, "orderbook_fp": BOOK}],
        "around": [{"polled_at": T0_S, "orderbooks": [{"ticker": M, "orderbook_fp": BOOK}]}],
        "http": [{"time": T0_MS, "url": url, "response_body": json.dumps({"orderbook_fp": BOOK})}],
    }
    for name, records in forms.items():
        market = load(lines(tmp_path / name, records))[0][M]
        assert market.rows.recv_ns.tolist() == [T0_MS * 10**6] * 2, name
        assert table(market, *CORE) == [(QUOTE, YES, 4_200, 700, 0), (QUOTE, NO, 5_500, 300, FLAG_LAST)]
    old = {"ts_ms": T0_MS, "ticker": M, "orderbook": {"yes": [[41, 5], [42, 7]], "no": None}}
    market = load(lines(tmp_path / "old", [old]))[0][M]
    assert table(market, *CORE) == [(QUOTE, YES, 4_200, 700, 0), (QUOTE, NO, NO_PRICE, 0, FLAG_LAST)]


def test_a_book_without_the_time_of_its_poll_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"order book 1: no time of the poll beside it; keep each answer as"):
        load(document(tmp_path / "b.json", {"ticker": M, "orderbook_fp": BOOK}))
