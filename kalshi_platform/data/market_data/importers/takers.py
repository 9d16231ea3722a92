"""Takers of trades whose source does not name them (the exchange's daily file): the tick rule, counted.

A print above the last different price of its market was taken by a buyer of YES, one below by a buyer of NO;
an equal one as the print before it. Before the first move nothing tells: YES is assumed. Only prints before a
print decide. About one in five is wrong by this rule, so the book that such prints imply is a weak one:
``/markets/trades`` names the taker of each.

Counted    ``takers_from_price_moves``, ``takers_assumed_yes``
"""

from collections import Counter

import numpy as np
import pyarrow as pa


def with_takers(trades: pa.Table, counters: Counter[str]) -> pa.Table:
    """House trade table, with the column ``taker_side`` by the tick rule where it has none."""
    if "taker_side" in trades.column_names or trades.num_rows == 0:
        return trades
    ticker = trades.column("market_ticker").combine_chunks().dictionary_encode().indices
    codes = ticker.fill_null(-1).to_numpy(zero_copy_only=False)
    stamps = trades.column("ts_ns").to_numpy()
    prices = trades.column("yes_price_e4").to_numpy().astype(np.int64)
    order = np.lexsort((np.arange(len(codes)), stamps, codes))
    first = np.diff(codes[order], prepend=codes[order[0]] - 1) != 0
    step = np.where(first, 0, np.sign(np.diff(prices[order], prepend=0)))
    place = np.where(first | (step != 0), np.arange(len(order)), 0)
    last = step[np.maximum.accumulate(place)]
    sides = np.empty(len(order), object)
    sides[order] = np.where(last < 0, "no", "yes")
    counters["takers_assumed_yes"] += int((last == 0).sum())
    counters["takers_from_price_moves"] += int((last != 0).sum())
    return trades.append_column("taker_side", pa.array(sides, pa.string()))
