"""Public REST calls about series, events and markets."""

from typing import Any, Final

from aiohttp import web

from kalshi_platform.domain.units import NS_PER_SECOND
from kalshi_platform.trading.simserver import wire
from kalshi_platform.trading.simserver.faults.frames import Faults
from kalshi_platform.trading.simserver.rest.answers import PREFIX, answer, invalid, missing, page, whole
from kalshi_platform.trading.simserver.stream import bodies
from kalshi_platform.trading.simserver.venue.combos import ComboBoard
from kalshi_platform.trading.simserver.venue.market import PublicTrade, ServedEvent, ServedMarket
from kalshi_platform.trading.simserver.venue.venue import LiveVenue

#: ``status`` of the query -> statuses of markets.
FILTERS: Final = {
    "unopened": ("initialized",),
    "open": ("active",),
    "paused": ("inactive",),
    "closed": ("closed", "determined", "disputed", "amended"),
    "settled": ("finalized",),
}
_MOST_S: Final = 2**40
_TIMES: Final = ("created", "close", "settled", "updated")


class MarketRoutes:
    """Handlers of the public calls about markets."""

    def __init__(self, venue: LiveVenue, combos: ComboBoard, faults: Faults) -> None:
        self._venue, self._combos, self._faults = venue, combos, faults

    def routes(self) -> list[web.RouteDef]:
        """Paths and handlers."""
        get = web.get
        return [
            get(f"{PREFIX}/series", self.all_series),
            get(f"{PREFIX}/series/fee_changes", self.series_fees),
            get(f"{PREFIX}/series/{{series}}", self.one_series),
            get(f"{PREFIX}/events", self.all_events),
            get(f"{PREFIX}/events/fee_changes", self.event_fees),
            get(f"{PREFIX}/events/multivariate", self.combo_events),
            get(f"{PREFIX}/events/{{event}}", self.one_event),
            get(f"{PREFIX}/markets", self.all_markets),
            get(f"{PREFIX}/markets/trades", self.trades),
            get(f"{PREFIX}/markets/orderbooks", self.books),
            get(f"{PREFIX}/markets/{{ticker}}", self.one_market),
            get(f"{PREFIX}/markets/{{ticker}}/orderbook", self.book),
            get(f"{PREFIX}/search/tags_by_categories", self.tags),
        ]

    def market(self, ticker: str) -> ServedMarket:
        """Return the market called ``ticker``; ApiError where there is none."""
        found = self._venue.find(ticker)
        if found is None:
            raise missing(ticker)
        return found

    # Series

    def _series(self) -> dict[str, ServedEvent]:
        """One event of every series."""
        events = [*self._venue.events.values(), *self._combos.events.values()]
        return {event.series: event for event in events}

    async def all_series(self, request: web.Request) -> web.Response:
        """Answer ``GET /series``."""
        category = request.query.get("category")
        found = [series_body(e) for e in self._series().values() if category in (None, "", e.category)]
        return answer({"series": found})

    async def one_series(self, request: web.Request) -> web.Response:
        """Answer ``GET /series/{series}``."""
        event = self._series().get(request.match_info["series"])
        if event is None:
            raise missing(request.match_info["series"])
        return answer({"series": series_body(event)})

    async def series_fees(self, request: web.Request) -> web.Response:
        """Answer ``GET /series/fee_changes``: one entry a series, in force since the server's start."""
        start = wire.rfc3339(self._venue.clock.start_ns)
        changes = [
            {
                "id": f"{name}-1", "series_ticker": name, "fee_type": fee_type_of(event),
                "fee_multiplier": 1, "scheduled_ts": start,
            }
            for name, event in self._series().items()
        ]  # fmt: skip
        return answer({"series_fee_change_arr": changes})

    # Events

    async def all_events(self, request: web.Request) -> web.Response:
        """Answer ``GET /events``."""
        query = request.query
        wanted = _status(query)
        tickers = _names(query, "tickers")
        found = [
            event
            for event in self._venue.events.values()
            if (not wanted or any(m.status in wanted for m in event.markets))
            and query.get("series_ticker") in (None, "", event.series)
            and (not tickers or event.ticker in tickers)
        ]
        nested = query.get("with_nested_markets") == "true"
        shown = page(
            query,
            found,
            "events",
            200,
            200,
            number=_event_number,
            body=lambda e: nested_body(e, nested),
        )
        return answer(shown)

    async def one_event(self, request: web.Request) -> web.Response:
        """Answer ``GET /events/{event}``."""
        name = request.match_info["event"]
        event = self._venue.events.get(name) or self._combos.events.get(name)
        if event is None:
            raise missing(name)
        if request.query.get("with_nested_markets") == "true":
            return answer({"event": nested_body(event, True)})
        markets = [bodies.market_body(market) for market in event.markets]
        return answer({"event": bodies.event_body(event), "markets": markets})

    async def event_fees(self, request: web.Request) -> web.Response:
        """Answer ``GET /events/fee_changes`` with the overrides in force."""
        changes = [
            bodies.ws_fees(event) | {"scheduled_ts": wire.rfc3339(event.fees_since_ns)}
            for event in self._venue.events.values()
            if event.fee_type is not None
        ]
        return answer({"event_fee_changes": changes, "cursor": ""})

    async def combo_events(self, request: web.Request) -> web.Response:
        """Answer ``GET /events/multivariate``."""
        query = request.query
        found = [
            e for e in self._combos.events.values() if query.get("series_ticker") in (None, "", e.series)
        ]
        nested = query.get("with_nested_markets") == "true"
        shown = page(
            query, found, "events", 200, 100, number=_event_number, body=lambda e: nested_body(e, nested)
        )
        return answer(shown)

    async def tags(self, request: web.Request) -> web.Response:
        """Answer ``GET /search/tags_by_categories``."""
        categories = sorted({event.category for event in self._venue.events.values()})
        return answer({"tags_by_categories": {name: ["Simulated"] for name in categories}})

    # Markets

    async def all_markets(self, request: web.Request) -> web.Response:
        """Answer ``GET /markets``."""
        query = request.query
        kind = query.get("mve_filter") or ""
        if kind not in ("", "exclude", "only"):
            raise invalid("mve_filter is not one of exclude, only")
        plain = [] if kind == "only" else self._venue.all_markets()
        combos = [] if kind == "exclude" else self._combos.markets()
        found = [market for market in [*plain, *combos] if _passes(query, market)]
        shown = page(query, found, "markets", 1_000, 100, number=_market_number, body=bodies.market_body)
        return answer(shown)

    async def one_market(self, request: web.Request) -> web.Response:
        """Answer ``GET /markets/{ticker}``."""
        return answer({"market": bodies.market_body(self.market(request.match_info["ticker"]))})

    async def book(self, request: web.Request) -> web.Response:
        """Answer ``GET /markets/{ticker}/orderbook``."""
        depth = whole(request.query, "depth", 0, 100, 0) or 0
        market = self.market(request.match_info["ticker"])
        return answer({"orderbook_fp": self.shown_book(market, depth)})

    async def books(self, request: web.Request) -> web.Response:
        """Answer ``GET /markets/orderbooks`` for up to 100 markets."""
        tickers = request.query.getall("tickers", [])
        if not 1 <= len(tickers) <= 100:
            raise invalid(f"tickers names {len(tickers)} markets; 1 to 100 are taken, one key each")
        found = [
            {"ticker": ticker, "orderbook_fp": self.shown_book(self.market(ticker), 0)} for ticker in tickers
        ]
        return answer({"orderbooks": found})

    def shown_book(self, market: ServedMarket, depth: int) -> dict[str, list[list[str]]]:
        """Book as REST shows it; a planted drift is put in here."""
        body = bodies.book_body(market, depth)
        drift, bids = self._faults.drift_of(market.ticker), body["yes_dollars"]
        if drift and bids:
            levels = market.levels("bid")
            bids[-1][1] = wire.count(levels[-1][1] + drift)
        return body

    async def trades(self, request: web.Request) -> web.Response:
        """Answer ``GET /markets/trades``, the newest first."""
        query = request.query
        ticker = query.get("ticker")
        markets = [self.market(ticker)] if ticker else self._venue.all_markets()
        least, most = _seconds(query, "min_ts", 0), _seconds(query, "max_ts", _MOST_S)
        found: list[tuple[str, PublicTrade]] = []
        if query.get("is_block_trade") != "true":
            found = [
                (m.ticker, t)
                for m in markets
                for t in m.trades
                if least <= t.time_ns // NS_PER_SECOND <= most
            ]
        shown = page(
            query,
            found,
            "trades",
            1_000,
            100,
            number=_trade_number,
            body=lambda row: bodies.trade_body(*row),
            newest_first=True,
        )
        return answer(shown)


def _trade_number(row: tuple[str, PublicTrade]) -> int:
    return wire.unmixed(row[1].trade_id) or 0


def _event_number(event: ServedEvent) -> int:
    return event.index + 1


def _market_number(market: ServedMarket) -> int:
    return market.event.index * 1_000 + market.number + 1


def _status(query: Any) -> tuple[str, ...]:
    """Statuses of markets that the query asks for; empty = any."""
    name = query.get("status")
    if not name:
        return ()
    if name not in FILTERS:
        raise invalid(f"status {name[:40]!r} is not one of {', '.join(FILTERS)}")
    return FILTERS[name]


def _names(query: Any, name: str) -> set[str]:
    """Names of a comma-separated parameter."""
    return {part for part in (query.get(name) or "").split(",") if part}


def _seconds(query: Any, name: str, default: int) -> int:
    found = whole(query, name, 0, _MOST_S, default)
    assert found is not None  # there is a default
    return found


def _passes(query: Any, market: ServedMarket) -> bool:
    """True where a market is one the query asks for."""
    wanted = _status(query)
    if wanted and market.status not in wanted:
        return False
    tickers, events = _names(query, "tickers"), _names(query, "event_ticker")
    if (tickers and market.ticker not in tickers) or (events and market.event.ticker not in events):
        return False
    return query.get("series_ticker") in (None, "", market.event.series) and _in_time(query, market)


def _in_time(query: Any, market: ServedMarket) -> bool:
    """True where a market lies within the time bounds of the query, all of one kind."""
    named = [kind for kind in _TIMES if query.get(f"min_{kind}_ts") or query.get(f"max_{kind}_ts")]
    if not named:
        return True
    if len(named) > 1:
        raise invalid(f"time filters of {' and '.join(named)} exclude each other")
    kind = named[0]
    at_ns = {
        "created": market.event.created_ns,
        "close": market.close_ns,
        "settled": market.settled_ns,
        "updated": market.updated_ns,
    }[kind]
    least, most = _seconds(query, f"min_{kind}_ts", 0), _seconds(query, f"max_{kind}_ts", _MOST_S)
    return at_ns is not None and least <= at_ns // NS_PER_SECOND <= most


def nested_body(event: ServedEvent, nested: bool) -> dict[str, Any]:
    """One event, with its markets inside where ``nested``."""
    body = bodies.event_body(event)
    if nested:
        body["markets"] = [bodies.market_body(market) for market in event.markets]
    return body


def fee_type_of(event: ServedEvent) -> str:
    """Fee type of an event's series."""
    return "quadratic_with_combo_maker_fees" if event.markets[0].legs else "quadratic"


def series_body(event: ServedEvent) -> dict[str, Any]:
    """Series of an event."""
    return {
        "ticker": event.series,
        "title": f"Simulated series {event.series}",
        "frequency": "custom",
        "category": event.category,
        "categories": [event.category],
        "tags": ["Simulated"],
        "settlement_sources": [],
        "contract_url": "",
        "contract_terms_url": "",
        "fee_type": fee_type_of(event),
        "fee_multiplier": 1,
        "exchange_index": event.exchange_index,
    }
