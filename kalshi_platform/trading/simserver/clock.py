"""Clock of the served exchange: it moves with the slices of the world, never by itself.

Exchange    every time that the exchange tells is simulated, and every limit, expiry, close and window of its.
Transport   signatures, pings and unanswered requests go by the wall clock: no client's clock is sped up.
"""

from time import monotonic_ns, time_ns
from typing import Final

from kalshi_platform.domain.units import NS_PER_MS

#: Header of every answer of REST, ``NOW_NS SPEED``: who records an exchange that is faster than a clock
#: dates by it what it receives (``trading/recorder``).
CLOCK_HEADER: Final = "Simulated-Clock"
#: Most wall time that one slice catches up; what is beyond is slipped, so that a slow machine never freezes.
MOST_SLICE_NS: Final = 250_000_000


class SimClock:
    """Simulated time, ns since 1970, ``speed`` times as fast as the wall clock."""

    def __init__(self, start_ns: int | None, speed: float) -> None:
        self.start_ns = time_ns() if start_ns is None else start_ns
        self.speed = speed
        self.now_ns = self.start_ns
        self.slipped_ns = 0  # wall time that was not caught up
        self.skew_ns = 0  # planted: added to what the exchange tells and checks
        self._wall_ns = monotonic_ns()

    def begin(self) -> None:
        """Begin to follow the wall clock: the server is ready."""
        self._wall_ns = monotonic_ns()

    @property
    def told_now_ns(self) -> int:
        """Simulated time as the exchange would tell it now, between two slices too."""
        passed = min(monotonic_ns() - self._wall_ns, MOST_SLICE_NS)
        return self.now_ns + round(passed * self.speed) + self.skew_ns

    @property
    def now_ms(self) -> int:
        """Simulated time in ms as the exchange tells it."""
        return (self.now_ns + self.skew_ns) // NS_PER_MS

    def target_ns(self) -> int:
        """Return the simulated time up to which the world must be advanced now."""
        wall = monotonic_ns()
        passed = wall - self._wall_ns
        self._wall_ns = wall
        if passed > MOST_SLICE_NS:
            self.slipped_ns += passed - MOST_SLICE_NS
            passed = MOST_SLICE_NS
        return self.now_ns + round(passed * self.speed)

    def wall_ms(self) -> int:
        """Wall clock in ms with the planted skew: signatures are checked against it."""
        return (time_ns() + self.skew_ns) // NS_PER_MS
