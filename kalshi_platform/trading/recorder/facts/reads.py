"""Reads of the exchange that the recorder makes, as a protocol: trading/exchange answers, so do tests."""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from kalshi_platform.trading.exchange.pages import PageSet
from kalshi_platform.trading.exchange.public_answers import (
    BookAnswer,
    CandleAnswer,
    EventAnswer,
    ExchangeStatus,
    FeeChange,
    MarketAnswer,
    SeriesAnswer,
    TradeAnswer,
)


class PublicReads(Protocol):
    """Subset of ``exchange/public_calls.py: PublicCalls``; each raises a PlatformError where it fails."""

    async def status(self) -> ExchangeStatus:
        """State of the exchange."""

    async def series(self, ticker: str) -> SeriesAnswer:
        """One series."""

    async def series_list(self, category: str | None = None) -> tuple[SeriesAnswer, ...]:
        """Series of a category."""

    async def event(self, ticker: str) -> EventAnswer:
        """One event with its markets."""

    async def events(
        self, *, series: str | None = None, status: str | None = None, with_markets: bool = False
    ) -> PageSet[EventAnswer]:
        """Events of a series."""

    async def market(self, ticker: str) -> MarketAnswer:
        """One market."""

    async def markets(self, *, tickers: Iterable[str] = ()) -> PageSet[MarketAnswer]:
        """Markets by ticker."""

    async def books(self, tickers: Sequence[str]) -> tuple[BookAnswer, ...]:
        """Books of at most 100 markets."""

    async def trades(
        self, *, ticker: str | None = None, since_ns: int | None = None, until_ns: int | None = None
    ) -> PageSet[TradeAnswer]:
        """Public trades, newest first."""

    async def candles(
        self, series: str, ticker: str, since_ns: int, until_ns: int, minutes: int = 1
    ) -> tuple[CandleAnswer, ...]:
        """Candles of one market."""

    async def series_fees(self, ticker: str | None = None) -> tuple[FeeChange, ...]:
        """Changes of the fees of a series."""

    async def event_fees(self) -> PageSet[FeeChange]:
        """Changes of the fees of single events."""


#: Raw answer of the exchange about one thing.
Raw = dict[str, Any]
