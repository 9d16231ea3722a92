"""The deepest falls of an equity curve: when each began, where it ended, whether it was made good.

Units      time ns, equity a fraction of capital.
Invariant  falls do not overlap: one lasts from a peak to the first point that is as high again.
"""

from collections.abc import Sequence
from typing import Final

from kalshi_platform.domain.config import Config

#: Falls that a report shows.
DEEPEST: Final = 5


class Drawdown(Config):
    """One fall of the curve below its peak; depth is positive, a fraction of capital."""

    peak_ns: int
    trough_ns: int
    recovery_ns: int | None  # None: not made good by the end of the curve
    depth: float


def deepest_drawdowns(
    times_ns: Sequence[int], equity: Sequence[float], start_ns: int, most: int = DEEPEST
) -> tuple[Drawdown, ...]:
    """At most ``most`` falls of the curve, the deepest first; it begins at zero at ``start_ns``."""
    found: list[Drawdown] = []
    peak, peak_ns, trough, trough_ns = 0.0, start_ns, 0.0, start_ns
    for at_ns, value in zip(times_ns, equity, strict=True):
        if value < trough:
            trough, trough_ns = value, at_ns
        if value >= peak:
            if trough < peak:
                found.append(
                    Drawdown(peak_ns=peak_ns, trough_ns=trough_ns, recovery_ns=at_ns, depth=peak - trough)
                )
            peak, peak_ns, trough, trough_ns = value, at_ns, value, at_ns
    if trough < peak:
        found.append(Drawdown(peak_ns=peak_ns, trough_ns=trough_ns, recovery_ns=None, depth=peak - trough))
    return tuple(sorted(found, key=lambda fall: -fall.depth)[:most])
