"""Telling a person how far something is, without flooding a log.

Units   seconds of a monotonic clock.
"""

import time
from collections.abc import Callable
from typing import Final

#: Takes one line for people.
Say = Callable[[str], None]
#: Between two lines about one thing: a log of an hour stays readable, and no CI takes the command for hung.
SAY_EVERY_S: Final = 5.0


def silent(line: str) -> None:
    """Say nothing."""


class Throttle:
    """True at most once in ``every_s``: at once, unless ``wait_first``, and then after every pause."""

    def __init__(
        self,
        every_s: float = SAY_EVERY_S,
        *,
        wait_first: bool = False,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._every_s, self._clock_s = every_s, clock_s
        self._next_s: float | None = clock_s() + every_s if wait_first else None

    def is_due(self, force: bool = False) -> bool:
        """True where a line is due, or wanted in any case (``force``); the next pause begins now."""
        now_s = self._clock_s()
        if self._next_s is not None and now_s < self._next_s and not force:
            return False
        self._next_s = now_s + self._every_s
        return True
