"""Orders that ended here and go on resting in the exchange's lists: an answer or a report was wrong.

Proven   by whole lists, twice, ``grace`` apart by our clock and by the exchange's, of which the later is as
         of a time after the first look: an older list may still show an order that has ended since.
"""

from dataclasses import dataclass

from kalshi_platform.trading.execution.orders.order import Order
from kalshi_platform.trading.execution.reconcile.lists import AccountLists


@dataclass(frozen=True, slots=True)
class _Seen:
    """First look at an order that should have ended."""

    as_of_ns: int
    wall_ns: int
    mono_ns: int


class EndedOrders:
    """Ended orders that lists show at rest, and since when."""

    def __init__(self, grace_ns: int) -> None:
        self._grace_ns = grace_ns
        self._first: dict[str, _Seen] = {}

    def still_rests(self, order: Order, lists: AccountLists, wall_ns: int, mono_ns: int) -> bool:
        """True once ``lists``, asked for after ``mono_ns`` and showing the order at rest, prove it."""
        first = self._first.setdefault(order.client_order_id, _Seen(lists.as_of_ns, wall_ns, mono_ns))
        passed_ns = min(lists.as_of_ns - first.as_of_ns, mono_ns - first.mono_ns)
        if passed_ns < self._grace_ns or lists.as_of_ns < first.wall_ns:
            return False
        del self._first[order.client_order_id]
        return True

    def forget_all_but(self, client_ids: set[str]) -> None:
        """Forget orders that the newest lists do not show at rest any more."""
        self._first = {name: seen for name, seen in self._first.items() if name in client_ids}
