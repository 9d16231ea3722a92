"""The clock of the client: wall time, monotonic time and waiting, so that a test can hold all three.

A simulated exchange that runs at ten times the speed is met with a clock that runs as fast: no time-out then
knows the difference.
"""

import asyncio
import time
from typing import Protocol

from kalshi_platform.domain.units import NS_PER_SECOND


class ExchangeClock(Protocol):
    """Time as the client sees it."""

    def wall_ns(self) -> int:
        """Nanoseconds since 1970 UTC."""

    def mono_ns(self) -> int:
        """Nanoseconds of a clock that never goes back; only differences mean anything."""

    async def sleep(self, seconds: float) -> None:
        """Wait; 0 or less lets other tasks run once."""


class SystemClock:
    """The machine's clock."""

    def wall_ns(self) -> int:
        """Nanoseconds since 1970 UTC."""
        return time.time_ns()

    def mono_ns(self) -> int:
        """Nanoseconds of the monotonic clock."""
        return time.monotonic_ns()

    async def sleep(self, seconds: float) -> None:
        """Wait ``seconds``."""
        await asyncio.sleep(max(seconds, 0.0))


def seconds_since(clock: ExchangeClock, mono_ns: int) -> float:
    """Seconds of the monotonic clock since ``mono_ns``."""
    return (clock.mono_ns() - mono_ns) / NS_PER_SECOND
