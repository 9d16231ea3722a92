"""Pace of orders, and what one day has seen, kept so that a restart forgets nothing.

Clock   seconds and minutes go by the monotonic clock: a wall clock that is set back makes no room. Days are
        UTC days of the wall clock.
"""

from collections import deque
from dataclasses import dataclass
from itertools import takewhile

from kalshi_platform.domain.units import NS_PER_DAY, NS_PER_SECOND

_MINUTE_NS = 60 * NS_PER_SECOND


@dataclass(slots=True)
class DayCounts:
    """Counts of one UTC day: orders sent; contracts filled and the cash that they took, without netting."""

    day: int = -1  # since 1970
    orders: int = 0
    contracts_e2: int = 0
    spend_e6: int = 0

    def at(self, wall_ns: int) -> "DayCounts":
        """Return the counts of the day of ``wall_ns``: these, or empty ones of a later day.

        A wall clock that is set back stays in the later day.
        """
        day = wall_ns // NS_PER_DAY
        if day > self.day:
            self.day, self.orders, self.contracts_e2, self.spend_e6 = day, 0, 0, 0
        return self


class Pace:
    """Orders of the last minute, by the monotonic clock."""

    def __init__(self) -> None:
        self._sent_ns: deque[int] = deque()

    def sent(self, mono_ns: int) -> None:
        """Count one order."""
        self._sent_ns.append(mono_ns)

    def within(self, mono_ns: int) -> tuple[int, int]:
        """(orders of the last second, orders of the last minute)."""
        while self._sent_ns and self._sent_ns[0] <= mono_ns - _MINUTE_NS:
            self._sent_ns.popleft()
        newest = takewhile(lambda at_ns: at_ns > mono_ns - NS_PER_SECOND, reversed(self._sent_ns))
        return sum(1 for _ in newest), len(self._sent_ns)
