"""Proof of what became of a write whose outcome was lost.

Shown    an order that any report or list shows is there: that proves itself at once.
Absent   that the exchange never had an order is proven only by whole lists, twice, of which the later is
         ``grace`` younger than the first by both clocks, the exchange's and ours: a request may still have
         been on its way when the first was made, and lists lag behind writes. No fill may wait for an order
         that no list shows. A request that was on its way while the lists were read begins no look: it may
         have left after they were made.
Rests    a cancel that did nothing is proven the same way: the order still rests in the later list.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from kalshi_platform.trading.execution.orders.order import Order
from kalshi_platform.trading.execution.orders.states import OrderState
from kalshi_platform.trading.execution.reconcile.lists import AccountLists

#: A request about the order is on its way.
_ON_ITS_WAY: Final = frozenset({OrderState.PENDING, OrderState.CANCELLING})


@dataclass(slots=True)
class _Looks:
    """First look at one undecided order."""

    as_of_ns: int
    mono_ns: int
    writes: int


class UnknownWrites:
    """Undecided orders, and since when whole lists have been looked at for them."""

    def __init__(self, grace_ns: int) -> None:
        self._grace_ns = grace_ns
        self._first: dict[str, _Looks] = {}
        self._asked: dict[str, int] = {}  # client id -> writes that had ended before lists were read

    def begin_look(self, orders: Iterable[Order]) -> None:
        """Note the orders that lists which are about to be read can say something of."""
        self._asked = {o.client_order_id: o.writes for o in orders if o.state not in _ON_ITS_WAY}

    def forget(self, client_order_id: str) -> None:
        """Forget the looks for an order: it is decided."""
        self._first.pop(client_order_id, None)

    def is_late_enough(self, order: Order, lists: AccountLists, mono_ns: int) -> bool:
        """True where lists that were asked for after ``mono_ns`` may prove what they do not show.

        The first call for an order notes the first look and proves nothing; so does the first one after
        another write about it left. One of which a write left since ``begin_look`` notes nothing.
        """
        if self._asked.get(order.client_order_id) != order.writes:
            return False
        first = self._first.get(order.client_order_id)
        if first is None or first.writes != order.writes:
            self._first[order.client_order_id] = _Looks(lists.as_of_ns, mono_ns, order.writes)
            return False
        passed_there = lists.as_of_ns - first.as_of_ns
        return min(passed_there, mono_ns - first.mono_ns) >= self._grace_ns
