"""Readiness for many who ask: a probe runs every tier, needs no token, and so is shared.

Invariant  one probe at a time, and an answer is never older than SHARED_S when it is given.
Units      seconds, monotonic.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

from kalshi_platform.serving.api.requests import Readiness

#: Longest time for which a probe's answer is given to others.
SHARED_S: Final = 0.1


class SharedProbe:
    """The latest probe of every tier, made anew where it is too old."""

    def __init__(self, probe: Callable[[], Awaitable[Readiness]]) -> None:
        self._probe = probe
        self._lock = asyncio.Lock()
        self._found: Readiness | None = None
        self._found_s = 0.0

    async def ask(self) -> Readiness:
        """Readiness as it was found at most SHARED_S ago."""
        async with self._lock:
            if self._found is None or time.monotonic() - self._found_s > SHARED_S:
                self._found = await self._probe()
                self._found_s = time.monotonic()
            return self._found
