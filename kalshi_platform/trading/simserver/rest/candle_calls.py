"""Public REST calls about candlesticks: minutes as they were kept, hours and days put together from them."""

from typing import Any, Final

from aiohttp import web

from kalshi_platform.trading.simserver import wire
from kalshi_platform.trading.simserver.rest.answers import PREFIX, answer, invalid, missing, whole
from kalshi_platform.trading.simserver.venue.market import MarketMinute, PriceRange, ServedMarket
from kalshi_platform.trading.simserver.venue.venue import LiveVenue

PERIODS_MIN: Final = (1, 60, 1_440)
_MOST_S: Final = 2**40
_MOST_CANDLES: Final = 10_000


class CandleRoutes:
    """Handlers of the calls about candlesticks."""

    def __init__(self, venue: LiveVenue) -> None:
        self._venue = venue

    def routes(self) -> list[web.RouteDef]:
        """Paths and handlers."""
        return [
            web.get(f"{PREFIX}/series/{{series}}/markets/{{ticker}}/candlesticks", self.one),
            web.get(f"{PREFIX}/markets/candlesticks", self.many),
        ]

    def _found(self, ticker: str) -> ServedMarket:
        market = self._venue.find(ticker)
        if market is None:
            raise missing(ticker)
        return market

    async def one(self, request: web.Request) -> web.Response:
        """Answer ``GET /series/{series}/markets/{ticker}/candlesticks``."""
        market = self._found(request.match_info["ticker"])
        if market.event.series != request.match_info["series"]:
            raise missing(request.match_info["series"])
        return answer({"ticker": market.ticker, "candlesticks": candles(market, *read_span(request.query))})

    async def many(self, request: web.Request) -> web.Response:
        """Answer ``GET /markets/candlesticks`` for up to 100 markets and 10,000 candles."""
        named = request.query.get("market_tickers") or ""
        tickers = [ticker for ticker in named.split(",") if ticker]
        if not 1 <= len(tickers) <= 100:
            raise invalid(f"market_tickers names {len(tickers)} markets; 1 to 100 are taken")
        span = read_span(request.query)
        found = [{"market_ticker": t, "candlesticks": candles(self._found(t), *span)} for t in tickers]
        if (n := sum(len(each["candlesticks"]) for each in found)) > _MOST_CANDLES:
            raise invalid(f"{n} candlesticks; at most {_MOST_CANDLES} are answered")
        return answer({"markets": found})


def read_span(query: Any) -> tuple[int, int, int]:
    """Return (period in minutes, first and last second) of the query."""
    period = whole(query, "period_interval", 1, 1_440)
    start, end = whole(query, "start_ts", 0, _MOST_S), whole(query, "end_ts", 0, _MOST_S)
    if period not in PERIODS_MIN:
        raise invalid("period_interval is not one of 1, 60, 1440")
    if start is None or end is None or start > end:
        raise invalid("start_ts and end_ts are needed, the start not after the end")
    return period, start, end


def candles(market: ServedMarket, period_min: int, start_s: int, end_s: int) -> list[dict[str, Any]]:
    """Candlesticks whose end lies within the span; periods without any change are left out."""
    whole_s = period_min * 60
    grouped: dict[int, list[MarketMinute]] = {}
    for minute in market.minutes:
        grouped.setdefault(-(-minute.end_s // whole_s) * whole_s, []).append(minute)
    return [candle(end, minutes) for end, minutes in grouped.items() if start_s <= end <= end_s]


def candle(end_s: int, minutes: list[MarketMinute]) -> dict[str, Any]:
    """One candlestick of consecutive minutes."""
    traded = [minute.trades for minute in minutes if minute.trades is not None]
    price: dict[str, str] = {}
    if traded:
        volume, notional = sum(m.volume_e2 for m in minutes), sum(m.notional_e6 for m in minutes)
        price = range_body(traded) | {"mean_dollars": wire.dollars(notional // volume)}
    return {
        "end_period_ts": end_s,
        "yes_bid": range_body([minute.bid for minute in minutes]),
        "yes_ask": range_body([minute.ask for minute in minutes]),
        "price": price,
        "volume_fp": wire.count(sum(minute.volume_e2 for minute in minutes)),
        "open_interest_fp": wire.count(minutes[-1].open_interest_e2),
    }


def range_body(ranges: list[PriceRange]) -> dict[str, str]:
    """Open, high, low and close over consecutive ranges."""
    return {
        "open_dollars": wire.dollars(ranges[0].open),
        "high_dollars": wire.dollars(max(each.high for each in ranges)),
        "low_dollars": wire.dollars(min(each.low for each in ranges)),
        "close_dollars": wire.dollars(ranges[-1].close),
    }
