"""Reads of the own account: limits, keys, cash, positions, fills, orders, groups, settlements.

Lists      come as page sets that say whether they are whole (pages.py): an incomplete list of orders or fills
           is no evidence that one is not there.
Freshness  reads lag behind writes; ``as_of_ns`` says up to when they are whole.
"""

from collections.abc import Iterable
from typing import Final, TypeVar

from kalshi_platform.domain.units import NS_PER_SECOND
from kalshi_platform.trading.exchange import account_answers as answers
from kalshi_platform.trading.exchange.pages import PageSet, collect_list
from kalshi_platform.trading.exchange.rest import Params, RestTransport

Item = TypeVar("Item")
MOST_PAGES: Final = 200
_PAGE_ROWS: Final = 1_000
_PAGE_SETTLEMENTS: Final = 200


class AccountCalls:
    """Reads that need a key of scope ``read``."""

    def __init__(self, transport: RestTransport) -> None:
        self._rest = transport

    async def learn_limits(self) -> answers.AccountLimits:
        """Ask for the account's limits and the endpoints' costs, and hold the client to them from now on."""
        limits = answers.read_limits(await self._rest.get("/account/limits"))
        costs = answers.read_costs(await self._rest.get("/account/endpoint_costs"))
        self._rest.limits.set_limits(limits)
        self._rest.limits.set_costs(costs)
        return limits

    async def keys(self) -> answers.ApiKeysAnswer:
        """API keys of the account, and when their attested location expires."""
        return answers.read_keys(await self._rest.get("/api_keys"))

    async def as_of_ns(self) -> int:
        """Time up to which balance, orders, fills and positions are whole."""
        return (await self._rest.get("/exchange/user_data_timestamp")).time_ns("as_of_time")

    async def balance(self, subaccount: int | None = None, shard: int | None = None) -> answers.BalanceAnswer:
        """Cash, whole and by shard."""
        params: Params = {"subaccount": subaccount, "exchange_index": shard}
        return answers.read_balance(await self._rest.get("/portfolio/balance", params=params))

    async def market_shard(self, ticker: str) -> int | None:
        """Shard of a market, where cash of its orders lies; None where the exchange does not name it."""
        answer = await self._rest.get("/markets/{ticker}", {"ticker": ticker})
        return answer.object("market").maybe_shard("exchange_index")

    async def positions(
        self, *, settled: str = "unsettled", ticker: str | None = None, most_pages: int = MOST_PAGES
    ) -> PageSet[answers.PositionAnswer]:
        """Positions of subaccount 0; ``settled`` unsettled, settled or all."""
        return await collect_list(
            self._rest,
            "/portfolio/positions",
            {"settlement_status": settled, "ticker": ticker, "limit": _PAGE_ROWS},
            lambda page: list(map(answers.read_position, page.listed("market_positions"))),
            lambda position: (position.exchange_index, position.ticker),
            most_pages,
        )

    async def fills(
        self,
        *,
        tickers: Iterable[str] = (),
        order_id: str | None = None,
        since_ns: int | None = None,
        until_ns: int | None = None,
        most_pages: int = MOST_PAGES,
    ) -> PageSet[answers.FillAnswer]:
        """Fills of all subaccounts and shards; at most 100 tickers."""
        return await collect_list(
            self._rest,
            "/portfolio/fills",
            {
                "ticker": ",".join(tickers) or None,
                "order_id": order_id,
                "min_ts": None if since_ns is None else since_ns // NS_PER_SECOND,
                "max_ts": None if until_ns is None else -(-until_ns // NS_PER_SECOND),
                "limit": _PAGE_ROWS,
            },
            lambda page: list(map(answers.read_fill, page.listed("fills"))),
            lambda fill: (fill.trade_id, fill.order_id, fill.raw.get("fill_id")),
            most_pages,
        )

    async def order(self, order_id: str) -> answers.OrderAnswer:
        """One order; ExchangeError with status 404 where the exchange does not (or not yet) know it."""
        answer = await self._rest.get("/portfolio/orders/{order_id}", {"order_id": order_id})
        return answers.read_order(answer.object("order"))

    async def orders(
        self,
        *,
        status: str | None = None,
        ticker: str | None = None,
        event: str | None = None,
        since_ns: int | None = None,
        most_pages: int = MOST_PAGES,
    ) -> PageSet[answers.OrderAnswer]:
        """Orders of all subaccounts and shards; ``status`` resting, canceled or executed."""
        return await collect_list(
            self._rest,
            "/portfolio/orders",
            {
                "status": status,
                "ticker": ticker,
                "event_ticker": event,
                "min_ts": None if since_ns is None else since_ns // NS_PER_SECOND,
                "limit": _PAGE_ROWS,
            },
            lambda page: list(map(answers.read_order, page.listed("orders"))),
            lambda order: order.order_id,
            most_pages,
        )

    async def groups(self) -> tuple[answers.GroupAnswer, ...]:
        """All order groups."""
        answer = await self._rest.get("/portfolio/order_groups")
        return tuple(answers.read_group(each.text("id"), each) for each in answer.objects("order_groups"))

    async def group(self, group_id: str) -> answers.GroupAnswer:
        """One order group."""
        values = {"order_group_id": group_id}
        answer = await self._rest.get("/portfolio/order_groups/{order_group_id}", values)
        return answers.read_group(group_id, answer)

    async def settlements(
        self, *, ticker: str | None = None, since_ns: int | None = None, most_pages: int = MOST_PAGES
    ) -> PageSet[answers.SettlementAnswer]:
        """Settlements of the account's positions."""
        return await collect_list(
            self._rest,
            "/portfolio/settlements",
            {
                "ticker": ticker,
                "min_ts": None if since_ns is None else since_ns // NS_PER_SECOND,
                "limit": _PAGE_SETTLEMENTS,
            },
            lambda page: list(map(answers.read_settlement, page.listed("settlements"))),
            # Subaccounts are paid at the same time: only what they held tells their settlements apart.
            lambda paid: (paid.ticker, paid.settled_ns, paid.yes_e2, paid.no_e2),
            most_pages,
        )
