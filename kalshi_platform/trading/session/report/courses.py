"""Ways of orders through the book: when an order came, filled and ended, and where two ways parted.

Parted    two orders of one decision part at the first contract that does not fill on both sides within
          SAME_TIME_NS: frames of one moment take so long to come in.
Units     size 1e-2 contract, time ns UTC.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from kalshi_platform.domain.units import NS_PER_MS, NS_PER_SECOND
from kalshi_platform.trading.session.report.realised import RealisedOrder

#: Fills so close to each other are at the same time.
SAME_TIME_NS: Final = NS_PER_SECOND


class Course(NamedTuple):
    """Way of one order through the book: None where nothing is known."""

    arrived_ns: int | None
    ended_ns: int | None
    fills: tuple[tuple[int, int], ...] = ()  # (time, size), in order of time
    why_ended: str = ""
    rested_e2: int | None = None  # size with which the replay let it rest; None: as it was sent
    ahead_e2: int | None = None  # size that stood ahead when it came

    @property
    def filled_e2(self) -> int:
        """Size filled in all."""
        return sum(size_e2 for _, size_e2 in self.fills)


class Parting(NamedTuple):
    """Times at which the first contract that differs filled on both sides; None: never."""

    here_ns: int | None
    there_ns: int | None

    @property
    def first_ns(self) -> int:
        """Time at which the two ways parted."""
        return min(at_ns for at_ns in self if at_ns is not None)

    @property
    def is_here_first(self) -> bool:
        """True where the contract filled here first, or here only."""
        return self.here_ns is not None and (self.there_ns is None or self.here_ns < self.there_ns)

    @property
    def words(self) -> str:
        """Time between the two fills; empty where one side never had it."""
        if self.here_ns is None or self.there_ns is None:
            return ""
        return f"filled {(self.here_ns - self.there_ns) / NS_PER_SECOND:+.1f} s after the replay's"


def parting(here: Course, there: Course) -> Parting | None:
    """First contract that did not fill on both sides at the same time; None where all of them did."""
    ways = [list(here.fills), list(there.fills)]
    while any(ways):
        times = [way[0][0] if way else None for way in ways]
        if times[0] is None or times[1] is None or abs(times[0] - times[1]) > SAME_TIME_NS:
            return Parting(*times)
        both_e2 = min(way[0][1] for way in ways)
        for way in ways:
            at_ns, size_e2 = way.pop(0)
            if size_e2 > both_e2:
                way.insert(0, (at_ns, size_e2 - both_e2))
    return None


def arrivals(here: Course, there: Course) -> str:
    """Difference of the arrivals in words."""
    if here.arrived_ns is None or there.arrived_ns is None:
        return "never seen in the stream" if here.arrived_ns is None else ""
    return f"{(here.arrived_ns - there.arrived_ns) / NS_PER_MS:+.1f} ms after the replay's"


def course_of(order: RealisedOrder, fills: Sequence[tuple[int, int]]) -> Course:
    """Way of an order at the exchange; ``fills``: (time, size) as the account took them."""
    arrived_ns = order.joined_ns if order.joined_ns is not None else order.seen_ns
    known = order.place is not None and order.place.is_known
    ahead_e2 = order.place.ahead_e2 if order.place is not None and known else None
    return Course(arrived_ns, order.ended_ns, tuple(fills), order.why_ended, ahead_e2=ahead_e2)
