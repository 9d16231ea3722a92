"""Times that a recording writes: this machine's wall clock, except that they never go back.

A wall clock is set, by hand or by NTP. Rows that went back in time would be refused by every reader
(``data/market_data/door.py``). After a step back the written time therefore goes on at half the speed of the
monotonic clock until the wall clock has caught up: a step of d is absorbed in 2 d, and each line of that time
also carries the wall clock (``wall_ns``). A step forward is taken at once.
"""

from typing import Final, NamedTuple

from kalshi_platform.domain.units import NS_PER_MS

#: Smallest change of the wall clock against the monotonic one that is called a step: NTP slews by 0.5 ms/s.
STEP_NS: Final = 50 * NS_PER_MS


class Written(NamedTuple):
    """Times of one line."""

    recv_ns: int  # never before the one of the line before
    wall_ns: int | None  # the wall clock where it differs
    step_ns: int  # of the wall clock since the line before; 0 where it made none


class WrittenClock:
    """Written times of one run, in the order of its lines."""

    def __init__(self, not_before_ns: int = 0) -> None:
        """Begin after ``not_before_ns``, the last time that an earlier run wrote."""
        self._last_ns = not_before_ns
        self._wall_ns: int | None = None
        self._mono_ns = 0

    @property
    def last_ns(self) -> int:
        """Last time written."""
        return self._last_ns

    def at(self, wall_ns: int, mono_ns: int) -> Written:
        """Times of a line whose clocks say ``wall_ns`` and ``mono_ns``.

        Lines of several connections may come with clocks read in another order; a monotonic time before the
        last one counts as no time passed.
        """
        passed_ns = max(mono_ns - self._mono_ns, 0)
        step_ns = 0
        if self._wall_ns is None:
            passed_ns = 0
        elif abs(change_ns := wall_ns - self._wall_ns - (mono_ns - self._mono_ns)) > STEP_NS:
            step_ns = change_ns
        self._wall_ns, self._mono_ns = wall_ns, mono_ns
        if wall_ns >= self._last_ns:
            self._last_ns = wall_ns
            return Written(wall_ns, None, step_ns)
        self._last_ns += passed_ns // 2
        self._last_ns = max(self._last_ns, wall_ns)
        return Written(self._last_ns, wall_ns, step_ns)
