"""Trades of other people are put in order of time."""

from pathlib import Path

import numpy as np
from made.foreign_files import M, lines, rest_trade
from made.market_files import load, table

from kalshi_platform.data.market_data.importers.order import in_order_of_time


def test_each_market_is_ordered_by_time_and_one_from_newest_to_oldest_is_turned_round() -> None:
    market = np.array([1, 0, 1, 0, 1, 0])
    times = np.array([5, 2, 4, 1, 4, 3])
    # market 0 in no order: by time; market 1 falls only: turned round, its two of time 4 as well
    assert in_order_of_time(market, times).tolist() == [3, 1, 5, 4, 2, 0]
    assert in_order_of_time(market[:0], times[:0]).tolist() == []


def test_trades_of_one_time_in_a_falling_file_are_turned_round_too(tmp_path: Path) -> None:
    newest_first = [
        rest_trade(5, 30, "1.00", "no"),
        rest_trade(4, 20, "1.00", "yes", trade_id="b"),
        rest_trade(4, 10, "1.00", "no", trade_id="a"),
    ]
    markets, counters = load(lines(tmp_path / "t.jsonl", newest_first))
    assert [price for (price,) in table(markets[M], "price_e4")] == [1_000, 2_000, 3_000]
    assert counters["trades_put_in_order_of_time"] == 2
