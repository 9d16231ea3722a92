"""The exchange's lists about the account, read whole or not at all.

Whole    a list that is incomplete, an answer that cannot be read, an error of the network: none is evidence
         that something is not there. ``read_lists`` raises; nothing is compared.
One      order is never asked for by its id: a 404 there proves nothing (the exchange denies orders that just
         filled). Lists are.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from kalshi_platform.domain.errors import DataError
from kalshi_platform.trading.exchange.account_answers import (
    ApiKeysAnswer,
    BalanceAnswer,
    FillAnswer,
    OrderAnswer,
    PositionAnswer,
    SettlementAnswer,
)
from kalshi_platform.trading.exchange.pages import PageSet
from kalshi_platform.trading.execution.orders.ledger import OrderLedger
from kalshi_platform.trading.execution.orders.reports import (
    FillReport,
    OrderReport,
    fill_of_rest,
    order_of_rest,
)
from kalshi_platform.trading.execution.reconcile.money import check_shards


class ReportPort(Protocol):
    """Reads that reconciliation makes; ``exchange.account_calls.AccountCalls`` is one."""

    async def as_of_ns(self) -> int:
        """Time up to which the lists are whole."""

    async def balance(self) -> BalanceAnswer:
        """Free cash, whole and by shard."""

    async def keys(self) -> ApiKeysAnswer:
        """API keys, and when their attested location expires."""

    async def market_shard(self, ticker: str) -> int | None:
        """Shard of a market; None where the exchange does not name it."""

    async def positions(self, *, settled: str = "unsettled") -> PageSet[PositionAnswer]:
        """Positions."""

    async def fills(self, *, since_ns: int | None = None) -> PageSet[FillAnswer]:
        """Fills."""

    async def orders(
        self, *, status: str | None = None, ticker: str | None = None, since_ns: int | None = None
    ) -> PageSet[OrderAnswer]:
        """Orders."""

    async def settlements(self, *, since_ns: int | None = None) -> PageSet[SettlementAnswer]:
        """Settlements."""


@dataclass(frozen=True, slots=True)
class AccountLists:
    """Everything about the account at one time, each list whole."""

    as_of_ns: int
    orders: tuple[OrderReport, ...]  # all that rest, all of late, and all of the markets in ``tickers``
    tickers: frozenset[str]
    fills: tuple[FillReport, ...]
    positions: dict[str, PositionAnswer]
    settlements: tuple[SettlementAnswer, ...]
    balance: BalanceAnswer

    @property
    def order_ids(self) -> frozenset[str]:
        """Ids of the orders listed."""
        return frozenset(order.order_id for order in self.orders)

    def client_ids(self) -> frozenset[str]:
        """Client ids of the orders listed."""
        return frozenset(order.client_order_id for order in self.orders if order.client_order_id)


async def read_lists(reports: ReportPort, ledger: OrderLedger, since_ns: int) -> AccountLists:
    """Read all lists; DataError where one is incomplete or unreadable, ExchangeError where it cannot be had.

    Ended orders are listed where they changed after ``since_ns``, and for markets in which an order of ours
    does not rest although it should, or a fill waits for its order: lists of all of them grow for ever.
    """
    as_of_ns = await reports.as_of_ns()
    resting = [order_of_rest(each) for each in (await reports.orders(status="resting")).whole()]
    fills = [fill_of_rest(each) for each in (await reports.fills(since_ns=since_ns)).whole()]
    tickers = _doubtful(ledger, resting, fills)
    late = [order_of_rest(each) for each in (await reports.orders(since_ns=since_ns)).whole()]
    found = {order.order_id: order for order in (*resting, *late)}
    for ticker in sorted(tickers):
        listed = (await reports.orders(ticker=ticker)).whole()
        found.update((each.order_id, order_of_rest(each)) for each in listed)
    positions = _by_ticker((await reports.positions()).whole())
    settlements = (await reports.settlements(since_ns=since_ns)).whole()
    balance = await reports.balance()
    check_shards(balance)
    return AccountLists(
        as_of_ns,
        tuple(found.values()),
        tickers,
        tuple(fills),
        positions,
        settlements,
        balance,
    )


def _by_ticker(positions: Iterable[PositionAnswer]) -> dict[str, PositionAnswer]:
    """Positions by their markets; DataError where a market has two that differ: it lies on one shard."""
    found: dict[str, PositionAnswer] = {}
    for each in positions:
        known = found.setdefault(each.ticker, each)
        if known.position_e2 != each.position_e2:
            raise DataError(
                f"two positions in {each.ticker}: {known.position_e2} and {each.position_e2} (1e-2 "
                "contract); which of them is held?"
            )
    return found


def _doubtful(
    ledger: OrderLedger, resting: Iterable[OrderReport], fills: Iterable[FillReport]
) -> frozenset[str]:
    """Markets whose ended orders must be looked at."""
    ids = {order.order_id for order in resting}
    tickers = {
        order.intent.ticker
        for order in ledger.live.values()
        if order.order_id is None or order.order_id not in ids or order.is_ended
    }
    known = ids | ledger.by_order_id.keys()
    unknown = [fill for fill in (*fills, *ledger.waiting.values()) if fill.key not in ledger.foreign_keys]
    return frozenset(tickers | {fill.ticker for fill in unknown if fill.order_id not in known})
