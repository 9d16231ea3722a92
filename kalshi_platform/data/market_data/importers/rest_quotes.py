"""Candlesticks and polled order books of the REST API as quotes: best bid and ask of YES, one row each.

Candlestick  one row a period, at the END of the period, from the closing bid and ask: nothing of a period is
             known before it ended. Sizes are not told. Live answers write ``close_dollars``, historical ones
             ``close`` as a dollar text, old ones ``close`` in whole cents
Order book   one row a poll, at the time of the poll, with the sizes of the best price levels. The exchange
             puts no time into its answer: the recorder's must stand beside it
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, NamedTuple

from kalshi_platform.data.market_data import frames as wire
from kalshi_platform.data.market_data.moments import moment_ns
from kalshi_platform.domain.bounded import shown_value
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.units import DOLLAR_E4, parse_price

_CENT_E4: Final = 100


class QuoteRecord(NamedTuple):
    """One row of the house's quote table."""

    market_ticker: str
    recv_ns: int
    yes_bid_e4: int | None
    yes_ask_e4: int | None
    yes_bid_size_e2: int | None
    yes_ask_size_e2: int | None


def candle_quote(ticker: str, candle: Mapping[str, Any]) -> QuoteRecord | None:
    """Quote at the end of one candlestick; None where it tells of trades only.

    DataError where its time or a price cannot be.
    """
    bid, ask = candle.get("yes_bid"), candle.get("yes_ask")
    if not isinstance(bid, dict) and not isinstance(ask, dict):
        return None
    if candle.get("end_period_ts") is None:
        raise DataError("a candlestick without end_period_ts, the end of its period")
    at_ns = moment_ns(candle["end_period_ts"], "end_period_ts")
    return QuoteRecord(ticker, at_ns, _close_e4(bid, "yes_bid"), _close_e4(ask, "yes_ask"), None, None)


def _close_e4(side: object, name: str) -> int | None:
    """Closing price of one side, 1e-4 dollar; None for a side without orders."""
    if not isinstance(side, dict):
        return None
    if (dollars := side.get("close_dollars")) is not None:
        return parse_price(_text(dollars, f"{name}.close_dollars"))
    close = side.get("close")
    if close is None:
        return None
    if isinstance(close, str):
        return parse_price(close)
    if type(close) is not int or not 0 <= close <= 100:
        raise DataError(f"{name}.close = {shown_value(close)}; expected whole cents 0..100 or a dollar text")
    return close * _CENT_E4


def _text(value: object, name: str) -> str:
    """Shortest decimal text of a price that a file holds as text or as a number."""
    if isinstance(value, str):
        return value
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return str(value)
    raise DataError(f"{name} = {shown_value(value)}; expected a dollar text")


def is_book(node: Mapping[str, Any]) -> bool:
    """True for an answer that holds a REST order book."""
    return any(isinstance(node.get(name), dict) for name in ("orderbook_fp", "orderbook"))


def book_quote(ticker: str, at_ns: int, node: Mapping[str, Any]) -> QuoteRecord:
    """Quote of one polled order book; DataError where a price level cannot be."""
    name = next(n for n in ("orderbook_fp", "orderbook") if isinstance(node.get(n), dict))
    bid_e4, bid_e2 = _best(node[name], "yes")
    no_e4, no_e2 = _best(node[name], "no")
    return QuoteRecord(
        ticker, at_ns, bid_e4, None if no_e4 is None else DOLLAR_E4 - no_e4, bid_e2, no_e2
    )  # fmt: skip


def _best(book: Mapping[str, Any], side: str) -> tuple[int | None, int | None]:
    """Best bid of a side, 1e-4 dollar, and its size, 1e-2 contract; None for an empty side."""
    levels = wire.levels_of(book, side)
    if not levels:
        return None, None
    best_e4 = max(price_e4 for price_e4, _ in levels)
    return best_e4, sum(qty_e2 for price_e4, qty_e2 in levels if price_e4 == best_e4)
