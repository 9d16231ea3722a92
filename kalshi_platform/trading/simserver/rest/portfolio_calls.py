"""Signed REST calls that read the account: cash, positions, fills, settlements, orders.

Subaccount  positions default to number 0, all others to every subaccount together.
"""

from typing import Any, Final

from aiohttp import web

from kalshi_platform.domain.units import DOLLAR_E4, NS_PER_SECOND
from kalshi_platform.trading.simserver import wire
from kalshi_platform.trading.simserver.config import MOST_SUBACCOUNTS, N_SHARDS
from kalshi_platform.trading.simserver.rest import order_forms as forms
from kalshi_platform.trading.simserver.rest.answers import (
    PREFIX,
    answer,
    invalid,
    page,
    whole,
)
from kalshi_platform.trading.simserver.stream import bodies
from kalshi_platform.trading.simserver.venue.desk import OrderDesk
from kalshi_platform.trading.simserver.venue.orders import (
    AccountFill,
    AccountOrder,
    AccountPosition,
    AccountSettlement,
)
from kalshi_platform.trading.simserver.venue.subaccount import Subaccount
from kalshi_platform.trading.simserver.venue.venue import LiveVenue

_MOST_S: Final = 2**40
_MOST_TICKERS: Final = 100
_P = f"{PREFIX}/portfolio"


class PortfolioRoutes:
    """Handlers of the calls about the account."""

    def __init__(self, venue: LiveVenue, desk: OrderDesk) -> None:
        self._venue, self._desk, self._account = venue, desk, venue.account

    def routes(self) -> list[web.RouteDef]:
        """Paths and handlers."""
        get = web.get
        return [
            get(f"{_P}/balance", self.balance),
            get(f"{_P}/positions", self.positions),
            get(f"{_P}/fills", self.fills),
            get(f"{_P}/settlements", self.settlements),
            get(f"{_P}/orders", self.orders),
            get(f"{_P}/orders/queue_positions", self.queue_positions),
            get(f"{_P}/orders/{{order_id}}", self.order),
            get(f"{_P}/orders/{{order_id}}/queue_position", self.queue_position),
        ]

    # Cash

    async def balance(self, request: web.Request) -> web.Response:
        """Answer ``GET /portfolio/balance``: free cash, of one shard or of all."""
        shard = forms.read_shard(request.query.get("exchange_index"))
        shards = range(N_SHARDS) if shard is None else (shard,)
        subs = self._subs(request.query.get("subaccount"))
        free = {s: sum(sub.free_on(s) for sub in subs) for s in shards}
        total = sum(free.values())
        body = {
            "balance": total // 10_000,
            "balance_dollars": wire.cash(total),
            "portfolio_value": sum(
                self._value_e6(held)
                for sub in subs
                for held in sub.positions.values()
                if held.market.event.exchange_index in free
            )
            // 10_000,
            "balance_breakdown": [
                {"exchange_index": s, "balance": wire.cash(value)} for s, value in free.items()
            ],
            "updated_ts": self._venue.clock.now_ns // NS_PER_SECOND,
        }
        return answer(body)

    def _subs(self, number: str | None) -> list[Subaccount]:
        """Return the subaccount that a query names, or all."""
        wanted = forms.read_sub(number, self._account)
        return self._account.subs if wanted is None else [self._account.subs[wanted]]

    def _value_e6(self, held: AccountPosition) -> int:
        """Value of a position at the last price."""
        price = held.market.last_e4
        return held.position_e2 * price if held.position_e2 > 0 else -held.position_e2 * (DOLLAR_E4 - price)

    # Positions, fills, settlements, orders

    async def positions(self, request: web.Request) -> web.Response:
        """Answer ``GET /portfolio/positions``."""
        query = request.query
        wanted = query.get("settlement_status") or "unsettled"
        if wanted not in ("unsettled", "settled", "all"):
            raise invalid("settlement_status is not one of unsettled, settled, all")
        shard = forms.read_shard(query.get("exchange_index"))
        found = [
            held
            for sub in self._subs(query.get("subaccount") or "0")
            for held in sub.positions.values()
            if (wanted == "all" or held.is_settled == (wanted == "settled"))
            and query.get("ticker") in (None, "", held.market.ticker)
            and query.get("event_ticker") in (None, "", held.market.event.ticker)
            and shard in (None, held.market.event.exchange_index)
        ]
        shown = page(
            query, found, "market_positions", 1_000, 100, number=_position_number, body=self._position_body
        )
        on_page = {each["ticker"] for each in shown["market_positions"]}
        of_page = [held for held in found if held.market.ticker in on_page]
        return answer(shown | {"event_positions": event_positions(of_page)})

    def _position_body(self, held: AccountPosition) -> dict[str, Any]:
        n_resting = sum(
            order.market is held.market and order.subaccount == held.subaccount
            for order in self._account.by_core.values()
        )
        return position_body(held, n_resting)

    async def fills(self, request: web.Request) -> web.Response:
        """Answer ``GET /portfolio/fills``, the newest first."""
        query = request.query
        tickers = set(filter(None, (query.get("ticker") or "").split(",")))
        if len(tickers) > _MOST_TICKERS:
            raise invalid(f"ticker names {len(tickers)} markets; at most {_MOST_TICKERS} are taken")
        number, shard = self._filters(query)
        least, most = _bounds(query)
        found = [
            fill
            for fill in self._account.fills
            if (not tickers or fill.order.market.ticker in tickers)
            and query.get("order_id") in (None, "", fill.order.order_id)
            and number in (None, fill.order.subaccount)
            and shard in (None, fill.order.market.event.exchange_index)
            and least <= fill.time_ns // NS_PER_SECOND <= most
        ]
        return answer(
            page(
                query,
                found,
                "fills",
                1_000,
                100,
                number=lambda f: f.number,
                body=fill_body,
                newest_first=True,
            )
        )

    async def settlements(self, request: web.Request) -> web.Response:
        """Answer ``GET /portfolio/settlements``, the newest first."""
        query = request.query
        number, _ = self._filters(query)
        least, most = _bounds(query)
        found = [
            paid
            for paid in self._account.settled
            if query.get("ticker") in (None, "", paid.market.ticker)
            and query.get("event_ticker") in (None, "", paid.market.event.ticker)
            and number in (None, paid.subaccount)
            and least <= paid.time_ns // NS_PER_SECOND <= most
        ]
        return answer(
            page(
                query,
                found,
                "settlements",
                1_000,
                100,
                number=lambda s: s.number,
                body=settlement_body,
                newest_first=True,
            )
        )

    async def orders(self, request: web.Request) -> web.Response:
        """Answer ``GET /portfolio/orders``, the newest first."""
        query = request.query
        status = query.get("status") or ""
        if status not in ("", "resting", "canceled", "executed"):
            raise invalid("status is not one of resting, canceled, executed")
        number, shard = self._filters(query)
        least, most = _bounds(query)
        found = [
            order
            for order in self._account.orders.values()
            if status in ("", order.status)
            and query.get("ticker") in (None, "", order.market.ticker)
            and query.get("event_ticker") in (None, "", order.market.event.ticker)
            and number in (None, order.subaccount)
            and shard in (None, order.market.event.exchange_index)
            and least <= order.created_ns // NS_PER_SECOND <= most
        ]
        return answer(
            page(
                query,
                found,
                "orders",
                1_000,
                100,
                number=lambda o: o.tag,
                body=self._order_body,
                newest_first=True,
            )
        )

    def _filters(self, query: Any) -> tuple[int | None, int | None]:
        """Return (subaccount, shard) that a query narrows a list to; None = all."""
        number = forms.read_sub(query.get("subaccount"), self._account)
        return number, forms.read_shard(query.get("exchange_index"))

    def _order_body(self, order: AccountOrder) -> dict[str, Any]:
        return order_body(order, self._account.user_id)

    async def order(self, request: web.Request) -> web.Response:
        """Answer ``GET /portfolio/orders/{order_id}``."""
        return answer({"order": self._order_body(self._desk.order(request.match_info["order_id"]))})

    async def queue_position(self, request: web.Request) -> web.Response:
        """Answer ``GET /portfolio/orders/{order_id}/queue_position``."""
        order = self._desk.order(request.match_info["order_id"])
        return answer({"queue_position_fp": wire.count(self._desk.ahead_e2(order))})

    async def queue_positions(self, request: web.Request) -> web.Response:
        """Answer ``GET /portfolio/orders/queue_positions``."""
        tickers = set(filter(None, (request.query.get("market_tickers") or "").split(",")))
        event = request.query.get("event_ticker")
        number, _ = self._filters(request.query)
        found = [
            {
                "order_id": order.order_id,
                "market_ticker": order.market.ticker,
                "queue_position_fp": wire.count(self._desk.ahead_e2(order)),
            }
            for order in self._account.by_core.values()
            if (not tickers or order.market.ticker in tickers)
            and number in (None, order.subaccount)
            and event in (None, "", order.market.event.ticker)
        ]
        return answer({"queue_positions": found})


def _bounds(query: Any) -> tuple[int, int]:
    least, most = whole(query, "min_ts", 0, _MOST_S, 0), whole(query, "max_ts", 0, _MOST_S, _MOST_S)
    assert least is not None  # there are defaults
    assert most is not None
    return least, most


def _position_number(held: AccountPosition) -> int:
    market = held.market.event.index * 1_000 + held.market.number + 1
    return market * (MOST_SUBACCOUNTS + 1) + held.subaccount


def position_body(held: AccountPosition, n_resting: int) -> dict[str, Any]:
    """One position of ``/portfolio/positions``."""
    return {
        "ticker": held.market.ticker,
        "exchange_index": held.market.event.exchange_index,
        "position_fp": wire.count(held.position_e2),
        "market_exposure_dollars": wire.cash(held.cost_e6),
        "realized_pnl_dollars": wire.cash(held.realized_e6),
        "fees_paid_dollars": wire.cash(held.fees_e6),
        "total_traded_dollars": wire.cash(held.traded_e6),
        "resting_orders_count": n_resting,
        "last_updated_ts": wire.rfc3339(held.updated_ns),
    }


def event_positions(positions: list[AccountPosition]) -> list[dict[str, Any]]:
    """Sums by event of the positions of one page: over all pages each position counts once."""
    by_event: dict[str, list[AccountPosition]] = {}
    for held in positions:
        by_event.setdefault(held.market.event.ticker, []).append(held)
    return [
        {
            "event_ticker": ticker,
            "event_exposure_dollars": wire.cash(sum(p.cost_e6 for p in held)),
            "realized_pnl_dollars": wire.cash(sum(p.realized_e6 for p in held)),
            "fees_paid_dollars": wire.cash(sum(p.fees_e6 for p in held)),
        }
        for ticker, held in by_event.items()
    ]


def fill_body(fill: AccountFill) -> dict[str, Any]:
    """One fill of ``/portfolio/fills``; it has no ``client_order_id``."""
    body = bodies.ws_fill(fill)
    for name in ("client_order_id", "post_position_fp", "purchased_side", "ts", "ts_ms", "subaccount"):
        body.pop(name, None)
    ticker = body.pop("market_ticker")
    return body | {
        "fill_id": fill.fill_id,
        "ticker": ticker,
        "market_ticker": ticker,
        "no_price_dollars": wire.dollars(DOLLAR_E4 - fill.price_e4),
        "created_time": wire.rfc3339(fill.time_ns),
        "subaccount_number": fill.order.subaccount,
    }


def order_body(order: AccountOrder, user_id: str) -> dict[str, Any]:
    """One order of ``/portfolio/orders``."""
    body = bodies.ws_order(order, user_id)
    for name in ("is_yes", "created_ts_ms", "last_updated_ts_ms", "expiration_ts_ms", "last_update_reason"):
        body.pop(name, None)
    body |= {
        "action": "buy",
        "type": "limit",
        "no_price_dollars": wire.dollars(DOLLAR_E4 - order.price_e4),
        "last_update_time": wire.rfc3339(order.updated_ns),
        "cancel_order_on_pause": order.cancel_on_pause,
    }
    if order.expiry_ns is not None:
        body["expiration_time"] = wire.rfc3339(order.expiry_ns)
    return body


def settlement_body(paid: AccountSettlement) -> dict[str, Any]:
    """One settlement of ``/portfolio/settlements``."""
    yes, no = max(paid.position_e2, 0), max(-paid.position_e2, 0)
    return {
        "ticker": paid.market.ticker,
        "event_ticker": paid.market.event.ticker,
        "exchange_index": paid.market.event.exchange_index,
        "market_result": paid.market.result,
        "yes_count_fp": wire.count(yes),
        "no_count_fp": wire.count(no),
        "yes_total_cost_dollars": wire.cash(paid.cost_e6 if yes else 0),
        "no_total_cost_dollars": wire.cash(paid.cost_e6 if no else 0),
        "revenue": paid.revenue_e6 // 10_000,
        "fee_cost": wire.cash(paid.fees_e6),
        "value": paid.value_e4 // 100,
        "settled_time": wire.rfc3339(paid.time_ns),
    }
