"""Names that leave no doubt make a map; a doubt is named."""

from typing import Any

import pyarrow as pa
import pytest

from kalshi_platform.data.market_data.importers.guess import guess_map

S = 1_795_400_000


@pytest.mark.parametrize(
    ("kind", "columns", "units"),
    [
        (
            "trades",
            {"ticker": ["A"], "created_time": ["x"], "yes_price": [43], "count": [1], "taker_side": ["no"]},
            {"yes_price": "cents", "count": "contracts", "time": "by size"},
        ),
        (
            "trades",
            {
                "Market Ticker": ["A"], "TS_US": [1], "Yes_Price_E4": [43], "Count_E2": [1],
                "Taker_Side": ["no"],
            },
            {"yes_price": "e4", "count": "e2", "time": "us"},
        ),
        (
            "quotes",
            {"ticker": ["A"], "recv_ms": [1], "yes_bid_dollars": ["0.4"], "no_bid_cents": [4], "x": [0]},
            {"yes_bid": "dollars", "no_bid": "cents", "time": "ms"},
        ),
        (
            "level2",
            {"ticker": ["A"], "ts": [S], "type": ["delta"], "side": ["yes"], "price": [4], "delta": [-1]},
            {"price": "cents", "size": "contracts", "time": "by size"},
        ),
        ("markets", {"ticker": ["A"], "event_ticker": ["E"], "yes_bid": [4], "status": ["open"]}, {}),
    ],
)  # fmt: skip
def test_evident_names_make_a_map(kind: str, columns: dict[str, Any], units: dict[str, str]) -> None:
    guess = guess_map(pa.table(columns))
    assert guess.kind == kind
    assert guess.mapping is not None
    assert {name: guess.mapping.sources[name].unit for name in units} == units
    assert {s.column for s in guess.mapping.sources.values()} <= set(columns)


def test_rows_over_time_that_name_their_event_are_no_markets() -> None:
    quotes = {
        "ts": [S, S + 1], "ticker": ["A", "A"], "event_ticker": ["E"] * 2, "yes_bid": [4, 5],
        "yes_ask": [6, 7],
    }  # fmt: skip
    assert guess_map(pa.table({**quotes, "status": ["open"] * 2})).kind == "quotes"
    assert guess_map(pa.table({**quotes, "ticker": ["A", "B"]})).kind == "markets"
    trade = {"ticker": ["A"], "event_ticker": ["E"], "yes_price_dollars": ["0.4"], "count": [1], "ts": [S]}
    assert guess_map(pa.table({**trade, "taker_side": ["no"]})).kind == "trades"


def test_a_price_with_a_fraction_under_a_name_without_unit_is_a_doubt() -> None:
    columns = {"ticker": ["A"], "ts": [S], "yes_price": [0.43], "count": [1], "taker_side": ["no"]}
    guess = guess_map(pa.table(columns))
    assert (guess.mapping, guess.doubts, guess.missing) == (None, ("yes_price",), ())


def test_trades_without_takers_are_read_only_from_the_exchanges_daily_file() -> None:
    plain = {"ticker": ["A"], "ts": [S], "price": [43], "count": [1]}
    assert guess_map(pa.table(plain)).mapping is None
    daily = {"ticker_name": ["A"], "create_ts": ["x"], "price": [43], "contracts_traded": [1]}
    assert guess_map(pa.table(daily)).mapping is not None
