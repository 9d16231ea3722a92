"""The tick rule, worked by hand."""

from collections import Counter

import pyarrow as pa

from kalshi_platform.data.market_data.importers.takers import with_takers


def test_takers_follow_the_last_move_of_their_own_market() -> None:
    # A by time: 43 (nothing known: yes), 43 (still: yes), 45 (up: yes), 44 (down: no), 44 (as before: no)
    trades = pa.table(
        {
            "market_ticker": ["A", "B", "A", "A", "A", "A"],
            "ts_ns": [3, 1, 1, 2, 4, 5],
            "yes_price_e4": [4_500, 100, 4_300, 4_300, 4_400, 4_400],
        }
    )
    counters: Counter[str] = Counter()
    made = with_takers(trades, counters)
    assert made.column("taker_side").to_pylist() == ["yes", "yes", "yes", "yes", "no", "no"]
    assert counters == {"takers_assumed_yes": 3, "takers_from_price_moves": 3}


def test_named_takers_stay() -> None:
    trades = pa.table({"market_ticker": ["A"], "ts_ns": [1], "yes_price_e4": [1], "taker_side": ["no"]})
    assert with_takers(trades, Counter()) is trades
