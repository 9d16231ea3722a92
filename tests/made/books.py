"""Order books written by hand, and their depth worked out the slow obvious way."""

import numpy as np

from kalshi_platform.data.book.order_book import OrderBook
from kalshi_platform.data.market_data import schema
from kalshi_platform.data.market_data.schema import (
    DELTA,
    FLAG_LAST,
    FLAG_START,
    GAP,
    NO_SIDE,
    SNAPSHOT,
    MarketRows,
)
from kalshi_platform.domain.market import MarketSpec, PriceBand
from kalshi_platform.domain.units import NO_PRICE

SPEC = MarketSpec(ticker="KX-T", event="KX")


TENTHS = MarketSpec(
    ticker="KX-F", event="KX", price_ranges=(PriceBand(start_e4=0, end_e4=10_000, step_e4=10),)
)


START = (SNAPSHOT, NO_SIDE, NO_PRICE, 0, FLAG_START)


def rows_of(*rows: tuple[int, ...]) -> MarketRows:
    """Rows (kind, side, price_e4, qty_e2[, flags]), each a message of its own."""
    out = schema.empty(len(rows))
    for i, (kind, side, price_e4, qty_e2, *flags) in enumerate(rows):
        out.kind[i], out.side[i], out.price_e4[i], out.qty_e2[i] = kind, side, price_e4, qty_e2
        out.flags[i] = (flags[0] if flags else 0) | FLAG_LAST
    return out


def book_after(*rows: tuple[int, ...], spec: MarketSpec = SPEC) -> OrderBook:
    book = OrderBook(spec)
    book.apply(rows_of(*rows))
    return book


def slow_depth(rows: MarketRows) -> np.ndarray:
    """Sum of the changes of each whole-cent level since the last snapshot; empty after a gap."""
    depth = np.zeros((2, 101), np.int64)
    breaks = np.flatnonzero((rows.kind == GAP) | (rows.flags & FLAG_START != 0))
    if breaks.size == 0 or rows.kind[breaks[-1]] == GAP:
        return depth
    since = schema.take(rows, slice(int(breaks[-1]) + 1, None))
    level = schema.take(since, np.isin(since.kind, (SNAPSHOT, DELTA)))
    np.add.at(depth, (level.side.astype(int), level.price_e4 // 100), level.qty_e2)
    return depth
