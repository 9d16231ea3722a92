"""Sums that limits look at: the worst loss of each market, and what orders reserve, kept up to date.

Worst     of a market: every order on one side fills, and the market settles against it. Orders of both sides
          are not added: only one outcome happens.
          loss if NO  = -(if_no_e6)  + price x size of every bid that may fill + fees
          loss if YES = -(if_yes_e6) + (1 - price) x size of every ask that may fill + fees
Orders    that may be there, and fills that are counted but did not come, are among them.
Sums      of an event, a category and the account add the worst of their markets: no outcome of one market is
          taken to exclude another's. A market whose event nobody told counts in the account's sum only; the
          views say so (session/screen, session/watching).
Units     1e-6 dollar, 1e-2 contract.
"""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from kalshi_platform.domain.fees import DIRECT_UNIT_E6, model_fee_e6
from kalshi_platform.domain.units import DOLLAR_E4
from kalshi_platform.trading.exchange.new_orders import BookSide
from kalshi_platform.trading.execution.orders.intents import Intent
from kalshi_platform.trading.execution.orders.ledger import OrderLedger
from kalshi_platform.trading.execution.orders.order import Order
from kalshi_platform.trading.execution.orders.positions import MarketPosition


class Working(NamedTuple):
    """Orders that may fill in one market, by side: sizes, their cost at their prices, their fees at most."""

    bid_e2: int = 0
    bid_cost_e6: int = 0
    ask_e2: int = 0
    ask_cost_e6: int = 0
    fees_e6: int = 0
    orders: int = 0

    def plus(self, side: BookSide, own_e4: int, qty_e2: int, fee_e6: int) -> "Working":
        """Return the same with one order more; ``own_e4``: price of the outcome that it buys."""
        is_bid = side is BookSide.BID
        return Working(
            self.bid_e2 + qty_e2 * is_bid,
            self.bid_cost_e6 + own_e4 * qty_e2 * is_bid,
            self.ask_e2 + qty_e2 * (not is_bid),
            self.ask_cost_e6 + own_e4 * qty_e2 * (not is_bid),
            self.fees_e6 + fee_e6,
            self.orders + 1,
        )


class MarketKin(NamedTuple):
    """Which event, category and shard a market belongs to."""

    event: str
    category: str
    exchange_index: int


class Exposure(NamedTuple):
    """Sums of one market."""

    worst_e6: int = 0
    reserved_e6: int = 0


class ExposureBook:
    """Sums over the ledger's markets; ``refresh`` takes in what changed."""

    def __init__(self, ledger: OrderLedger) -> None:
        self._ledger = ledger
        self.facts: dict[str, MarketKin] = {}
        self._markets: dict[str, Exposure] = {}
        self._events: Counter[str] = Counter()
        self._categories: Counter[str] = Counter()
        self._reserved: Counter[int] = Counter()
        self.account_e6 = 0

    def know(self, ticker: str, facts: MarketKin) -> bool:
        """Take note of a market's facts; True where they are new. Its sums move to them."""
        if self.facts.get(ticker) == facts:
            return False
        self._ledger.market(ticker, facts.exchange_index)
        self._add(ticker, Exposure())
        self.facts[ticker] = facts
        self._ledger.dirty.add(ticker)
        return True

    def refresh(self) -> None:
        """Sum the markets that changed anew."""
        dirty, self._ledger.dirty = self._ledger.dirty, set()
        for ticker in dirty:
            market, working = self._ledger.market(ticker), working_of(self._ledger.live_in(ticker))
            self._add(ticker, Exposure(worst_loss_e6(market, working), reserve_e6(market.held_e2, working)))

    def event_e6(self, event: str) -> int:
        """Worst loss of an event's markets, added."""
        return self._events[event]

    def category_e6(self, category: str) -> int:
        """Worst loss of a category's markets, added."""
        return self._categories[category]

    def market(self, ticker: str) -> Exposure:
        """Sums of one market."""
        return self._markets.get(ticker, Exposure())

    def free_e6(self, shard: int) -> int:
        """Cash of a shard that no order reserves, by our reckoning; the exchange has at least that."""
        return self._ledger.cash_e6.get(shard, 0) - self._reserved[shard]

    def _add(self, ticker: str, now: Exposure) -> None:
        before = self._markets.get(ticker, Exposure())
        change_e6 = now.worst_e6 - before.worst_e6
        facts = self.facts.get(ticker)
        if facts is not None:
            self._events[facts.event] += change_e6
            self._categories[facts.category] += change_e6
        self.account_e6 += change_e6
        self._reserved[self._ledger.market(ticker).exchange_index] += now.reserved_e6 - before.reserved_e6
        self._markets[ticker] = now


def working_of(orders: Iterable[Order]) -> Working:
    """Return what the orders of one market may still fill."""
    working = Working()
    for order in orders:
        if not order.is_ended or order.exposed_e2:
            intent = order.intent
            working = working.plus(intent.side, intent.own_e4, order.exposed_e2, order.fee_bound_e6)
    return working


def worst_loss_e6(market: MarketPosition, working: Working) -> int:
    """Loss of one market at its worst outcome, 0 where even that gains; a settled one can lose no more."""
    if market.value_e4 is not None:
        return 0
    if_no = market.if_no_e6 - working.bid_cost_e6
    if_yes = market.if_yes_e6 - working.ask_cost_e6
    return max(0, working.fees_e6 - min(if_no, if_yes))


def reserve_e6(position_e2: int, working: Working) -> int:
    """Cash that the orders of one market may take: what closes a position is paid by it."""
    bids = working.bid_cost_e6 - DOLLAR_E4 * min(working.bid_e2, max(-position_e2, 0))
    asks = working.ask_cost_e6 - DOLLAR_E4 * min(working.ask_e2, max(position_e2, 0))
    return max(bids, 0) + max(asks, 0) + working.fees_e6


def fee_bound_e6(intent: Intent, rate_e6: int) -> int:
    """Fees of a whole order at most: at its limit, since a better price saves more than its fee grows.

    Every fill is rounded up to a step of the balance; what that takes is given back in whole steps, but never
    more than the fill's own fee. An order that fills in crumbs of 1e-2 contract may so pay a step for each.
    """
    model_e6, crumbs = int(model_fee_e6(rate_e6, intent.price_e4, intent.qty_e2)), intent.qty_e2
    return max(crumbs * DIRECT_UNIT_E6, model_e6 + crumbs) + DIRECT_UNIT_E6
