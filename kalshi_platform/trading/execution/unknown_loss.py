"""Loss of the orders of one market that may be there, each filled at its limit: the worst that can have been.

Held     a contract that an order closes counts at the position's own mark: what it is told at goes, the
         order's price comes. Who offers YES is nothing to who sells it.
Opened   a contract that an order adds, or turns round, counts at what could be had for it: the best bid of a
         YES, the best ask of a NO; nothing where that side is empty.
Several  orders together close a position once: all are counted at one of these marks, at that which makes the
         loss largest. Worth as the position grows is a line with two bends, so that this is the worst of all
         choices of orders, also of parts of them (test_unknown_loss.py counts them out). Where a book is
         crossed it is more than that, never less.
Fees     of every order count at most; a gain of one counts as nothing: it may not be there.
"""

from collections.abc import Iterable, Iterator
from typing import TypeAlias

from kalshi_platform.domain.units import DOLLAR_E4
from kalshi_platform.trading.exchange.new_orders import BookSide
from kalshi_platform.trading.execution.orders.order import Order
from kalshi_platform.trading.execution.orders.positions import MarketPosition

#: Best bid and best ask of one YES, 1e-4 dollar; None: that side is empty.
BestPrices: TypeAlias = tuple[int | None, int | None]


def unknown_loss_e6(market: MarketPosition, orders: Iterable[Order], prices: BestPrices | None) -> int:
    """Loss that ``orders`` of one market may have brought, 1e-6 dollar; ``prices`` None: none is known."""
    listed = list(orders)
    worst_e6 = max(
        base_e6 + sum(max(_off_e4(order, mark_e4), 0) * order.exposed_e2 for order in listed)
        for mark_e4, base_e6 in _marks(market, prices)
    )
    return worst_e6 + sum(order.fee_bound_e6 for order in listed)


def _off_e4(order: Order, mark_e4: int) -> int:
    """Loss of one contract of an order at its limit beside a mark; negative where it gains."""
    off_e4 = order.intent.price_e4 - mark_e4
    return off_e4 if order.intent.side is BookSide.BID else -off_e4


def _marks(market: MarketPosition, prices: BestPrices | None) -> Iterator[tuple[int, int]]:
    """Yield each price of one YES at which a contract may count, and what the whole position gains at it.

    The gain, 0 or less, takes back what contracts beyond those held would be counted too much.
    """
    if market.value_e4 is not None:
        yield market.value_e4, 0
        return
    held_e2, (bid_e4, ask_e4) = market.held_e2, prices or (None, None)
    sold_e4, bought_e4 = bid_e4 or 0, ask_e4 or DOLLAR_E4
    added_e4, turned_e4 = (sold_e4, bought_e4) if held_e2 >= 0 else (bought_e4, sold_e4)
    own_e4 = added_e4 if not held_e2 or market.mark_e4 is None else market.mark_e4
    if prices is None and not market.is_at_cost:
        added_e4 = own_e4  # the saved mark, or the last fill's price
    yield added_e4, 0
    yield own_e4, 0
    yield turned_e4, (own_e4 - turned_e4) * held_e2
