"""Difference between this machine's clock and the exchange's, read from the ``Date`` header of its answers.

Why     signatures carry our time, and an exchange refuses a request whose time is too far off; receive times
        of a recording are worth nothing where the clock is wrong.
Units   ns, ours minus the exchange's. The header counts whole seconds, so that a skew is known to half a
        second at best; a slow answer adds its way.
"""

from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Final

from kalshi_platform.domain.units import NS_PER_SECOND

#: A skew beyond this is told, ns.
MOST_SKEW_NS: Final = 5 * NS_PER_SECOND
_HALF_SECOND_NS: Final = NS_PER_SECOND // 2


class SkewWatch:
    """The last skew, told once each time that it passes the limit."""

    def __init__(self, tell: Callable[[int], None]) -> None:
        """``tell`` takes the skew in ns when it passes the limit."""
        self._tell = tell
        self.skew_ns: int | None = None  # None: no answer yet

    @property
    def is_over(self) -> bool:
        """True where the last skew is beyond the limit."""
        return self.skew_ns is not None and abs(self.skew_ns) > MOST_SKEW_NS

    def observe(self, date: str | None, wall_ns: int) -> None:
        """Take the ``Date`` of an answer received at ``wall_ns``; one that is absent or no date says
        nothing."""
        exchange_ns = date_ns(date)
        if exchange_ns is None:
            return
        was_over = self.is_over
        # The exchange's clock stood somewhere in that second: its middle is the best guess.
        self.skew_ns = wall_ns - (exchange_ns + _HALF_SECOND_NS)
        if self.is_over and not was_over:
            self._tell(self.skew_ns)


def date_ns(date: str | None) -> int | None:
    """Time of a ``Date`` header, ns since 1970; None where it is absent or no date."""
    if date is None:
        return None
    try:
        return round(parsedate_to_datetime(date).timestamp()) * NS_PER_SECOND
    except ValueError:
        return None
