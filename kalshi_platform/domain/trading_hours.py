"""Hours in which the exchange takes orders: around the clock, but for the weekly maintenance.

Owns    the maintenance pause, Thursday 03:00 to 05:00 in New York (docs/exchange.md, "Hours"): no order can
        be placed or amended, cancels work, resting orders stay.
Known   the schedule is public, so that a policy may see the pause and its orders are refused in it.
Not     pauses of one market (STATUS rows) and of the whole exchange, which nobody announces.
"""

from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from kalshi_platform.domain.compiled import kernel
from kalshi_platform.domain.units import NS_PER_SECOND

PAUSE_NS: Final = 2 * 3_600 * NS_PER_SECOND
_WEEK_NS: Final = 7 * 86_400 * NS_PER_SECOND
_WEEKS: Final = 7_630  # until 2116, the last year that times may have


def _starts_ns() -> np.ndarray:
    """Start of the pause of every week since 1970, ns after that week's Thursday 00:00 UTC."""
    new_york = ZoneInfo("America/New_York")
    first = datetime(1970, 1, 1, 3, tzinfo=new_york)  # a Thursday, as 1970-01-01 UTC
    hours = [
        3 - round(((first + timedelta(weeks=w)).utcoffset() or timedelta()) / timedelta(hours=1))
        for w in range(_WEEKS)
    ]
    return np.array(hours, np.int64) * 3_600 * NS_PER_SECOND


_START_NS: Final = _starts_ns()


@kernel
def pause_start_ns(at_ns: int) -> int:
    """Start of the first weekly pause that ends after ``at_ns`` (1970 to 2116)."""
    week = at_ns // _WEEK_NS
    start_ns = week * _WEEK_NS + _START_NS[week]
    if at_ns < start_ns + PAUSE_NS:
        return start_ns
    return (week + 1) * _WEEK_NS + _START_NS[week + 1]
