"""Wall clock on which no session of the tests meets the exchange's weekly pause, in which none sends orders.

Thursday  from an hour before the pause to its end the tests' clock, and that of their children, is a day
          behind; at any other time it is the machine's.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from kalshi_platform.domain.trading_hours import pause_start_ns
from kalshi_platform.domain.units import NS_PER_DAY
from kalshi_platform.trading.simserver import clock
from kalshi_platform.trading.simserver.faults import frames

_HOUR_NS: Final = NS_PER_DAY // 24
_SITE: Final = Path(__file__).parent / "clock_site"


def shift_ns(now_ns: int) -> int:
    """What to add to the machine's clock at ``now_ns``, UTC."""
    return -NS_PER_DAY if now_ns >= pause_start_ns(now_ns) - _HOUR_NS else 0


@contextmanager
def away_from_pause() -> Iterator[None]:
    """Shift the clock of this process and of those it starts, where the pause is near."""
    shift = shift_ns(time.time_ns())
    if not shift:
        yield
        return
    seconds, nanoseconds = time.time, time.time_ns
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TESTS_CLOCK_SHIFT_NS", str(shift))
        patch.setenv("PYTHONPATH", str(_SITE), prepend=os.pathsep)
        patch.setattr(time, "time", lambda: seconds() + shift / 1e9)
        for module in (time, clock, frames):
            patch.setattr(module, "time_ns", lambda: nanoseconds() + shift)
        yield
