"""Calls about the exchange and its markets: no key is needed, a key that is there signs all the same.

Lists   come as page sets that say whether they are whole (pages.py); ``most_pages`` bounds each.
Times   are ns in and out; the exchange counts whole seconds, so that ``since_ns`` is rounded down and
        ``until_ns`` up: nothing of the span asked for is missed.
"""

from collections.abc import Iterable, Sequence
from typing import Final, TypeVar

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.units import NS_PER_SECOND
from kalshi_platform.trading.exchange import public_answers as answers
from kalshi_platform.trading.exchange.pages import PageSet, collect_list
from kalshi_platform.trading.exchange.rest import Params, RestTransport

Item = TypeVar("Item")
MOST_PAGES: Final = 1_000
#: Tickers of one call for several books or candles.
MOST_TICKERS: Final = 100
_PAGE_EVENTS: Final = 200
_PAGE_ROWS: Final = 1_000
CANDLE_MINUTES: Final = (1, 60, 1_440)


class PublicCalls:
    """Reads that need no account."""

    def __init__(self, transport: RestTransport) -> None:
        self._rest = transport

    async def status(self) -> answers.ExchangeStatus:
        """State of the exchange and of its shards."""
        return answers.read_status(await self._rest.get("/exchange/status"))

    async def schedule(self) -> answers.ExchangeSchedule:
        """Announced maintenance and trading hours."""
        return answers.read_schedule(await self._rest.get("/exchange/schedule"))

    async def cutoff(self) -> answers.HistoricalCutoff:
        """Times before which trades, markets and orders lie in the historical calls."""
        return answers.read_cutoff(await self._rest.get("/historical/cutoff"))

    async def series(self, ticker: str) -> answers.SeriesAnswer:
        """One series."""
        answer = await self._rest.get("/series/{series_ticker}", {"series_ticker": ticker})
        return answers.read_series(answer.object("series"))

    async def series_list(
        self, category: str | None = None, tags: str | None = None
    ) -> tuple[answers.SeriesAnswer, ...]:
        """All series, or those of a category or with one of the comma-separated ``tags``."""
        answer = await self._rest.get("/series", params={"category": category, "tags": tags})
        return tuple(map(answers.read_series, answer.objects("series")))

    async def event(self, ticker: str) -> answers.EventAnswer:
        """One event with its markets."""
        params: Params = {"with_nested_markets": "true"}
        answer = await self._rest.get("/events/{event_ticker}", {"event_ticker": ticker}, params)
        return answers.read_event(answer.object("event"))

    async def events(
        self,
        *,
        series: str | None = None,
        status: str | None = None,
        with_markets: bool = False,
        most_pages: int = MOST_PAGES,
    ) -> PageSet[answers.EventAnswer]:
        """Events without combos; ``status`` unopened, open, closed or settled."""
        return await collect_list(
            self._rest,
            "/events",
            {
                "series_ticker": series,
                "status": status,
                "with_nested_markets": "true" if with_markets else None,
                "limit": _PAGE_EVENTS,
            },
            lambda page: list(map(answers.read_event, page.objects("events"))),
            lambda event: event.ticker,
            most_pages,
        )

    async def market(self, ticker: str) -> answers.MarketAnswer:
        """One market; it may be unknown (404) for a moment after it was created."""
        answer = await self._rest.get("/markets/{ticker}", {"ticker": ticker})
        return answers.read_market(answer.object("market"))

    async def markets(
        self,
        *,
        event: str | None = None,
        series: str | None = None,
        status: str | None = None,
        tickers: Iterable[str] = (),
        with_combos: bool = False,
        most_pages: int = MOST_PAGES,
    ) -> PageSet[answers.MarketAnswer]:
        """Markets by filter; ``status`` unopened, open, paused, closed or settled.

        Combos come where they are named by ``tickers``, or with ``with_combos``.
        """
        named = ",".join(tickers)
        return await collect_list(
            self._rest,
            "/markets",
            {
                "event_ticker": event,
                "series_ticker": series,
                "status": status,
                "tickers": named or None,
                "mve_filter": None if with_combos or named else "exclude",
                "limit": _PAGE_ROWS,
            },
            lambda page: list(map(answers.read_market, page.objects("markets"))),
            lambda market: market.ticker,
            most_pages,
        )

    async def book(self, ticker: str, depth: int = 0) -> answers.BookAnswer:
        """Book of one market; ``depth`` 0 is all price levels."""
        values, params = {"ticker": ticker}, {"depth": depth}
        return answers.read_book(ticker, await self._rest.get("/markets/{ticker}/orderbook", values, params))

    async def books(self, tickers: Sequence[str]) -> tuple[answers.BookAnswer, ...]:
        """Books of at most 100 markets by one call; one that the exchange left out is not there."""
        _check_tickers(tickers)
        answer = await self._rest.get("/markets/orderbooks", params={"tickers": list(tickers)})
        return tuple(answers.read_book(each.text("ticker"), each) for each in answer.objects("orderbooks"))

    async def trades(
        self,
        *,
        ticker: str | None = None,
        since_ns: int | None = None,
        until_ns: int | None = None,
        historical: bool = False,
        most_pages: int = MOST_PAGES,
    ) -> PageSet[answers.TradeAnswer]:
        """Public trades, newest first, of the live window or from before ``cutoff()``."""
        return await collect_list(
            self._rest,
            "/historical/trades" if historical else "/markets/trades",
            {"ticker": ticker, **_span(since_ns, until_ns), "limit": _PAGE_ROWS},
            lambda page: list(map(answers.read_trade, page.objects("trades"))),
            lambda trade: trade.trade_id,
            most_pages,
        )

    async def candles(
        self, series: str, ticker: str, since_ns: int, until_ns: int, minutes: int = 1
    ) -> tuple[answers.CandleAnswer, ...]:
        """Candles of one live market; ``minutes`` 1, 60 or 1,440."""
        answer = await self._rest.get(
            "/series/{series_ticker}/markets/{ticker}/candlesticks",
            {"series_ticker": series, "ticker": ticker},
            _candle_span(since_ns, until_ns, minutes),
        )
        return tuple(answers.read_candle(ticker, each) for each in answer.objects("candlesticks"))

    async def historical_candles(
        self, ticker: str, since_ns: int, until_ns: int, minutes: int = 1
    ) -> tuple[answers.CandleAnswer, ...]:
        """Candles of one market that settled before ``cutoff()``."""
        span = _candle_span(since_ns, until_ns, minutes)
        answer = await self._rest.get("/historical/markets/{ticker}/candlesticks", {"ticker": ticker}, span)
        return tuple(answers.read_candle(ticker, each) for each in answer.objects("candlesticks"))

    async def series_fees(
        self, ticker: str | None = None, *, past_too: bool = True
    ) -> tuple[answers.FeeChange, ...]:
        """Changes of the fees of all series or of one: announced, and past ones too."""
        params: Params = {
            "series_ticker": ticker,
            "show_historical": "true" if past_too else "false",
        }
        answer = await self._rest.get("/series/fee_changes", params=params)
        return tuple(map(answers.read_series_fee, answer.objects("series_fee_change_arr")))

    async def event_fees(self, most_pages: int = MOST_PAGES) -> PageSet[answers.FeeChange]:
        """Changes of the fees of single events."""
        return await collect_list(
            self._rest,
            "/events/fee_changes",
            {"limit": _PAGE_EVENTS},
            lambda page: list(map(answers.read_event_fee, page.objects("event_fee_changes"))),
            lambda change: (change.ticker, change.from_ns),
            most_pages,
        )


def _check_tickers(tickers: Sequence[str]) -> None:
    """Refuse more tickers than one call may name, and none."""
    if not 1 <= len(tickers) <= MOST_TICKERS:
        raise ContractError(
            f"{len(tickers)} tickers in one call; expected 1 to {MOST_TICKERS}: split the list"
        )


def _span(since_ns: int | None, until_ns: int | None) -> dict[str, int | None]:
    """Bounds in whole seconds that hold the span."""
    return {
        "min_ts": None if since_ns is None else since_ns // NS_PER_SECOND,
        "max_ts": None if until_ns is None else -(-until_ns // NS_PER_SECOND),
    }


def _candle_span(since_ns: int, until_ns: int, minutes: int) -> dict[str, int]:
    """Bounds and length of candles."""
    if minutes not in CANDLE_MINUTES:
        raise ContractError(f"minutes = {minutes} of a candle; expected one of {CANDLE_MINUTES}")
    start, end = since_ns // NS_PER_SECOND, -(-until_ns // NS_PER_SECOND)
    return {"start_ts": start, "end_ts": end, "period_interval": minutes}
