"""Waiting for an object store that fails for a while: ask again, say so, give up in time.

Owns    how long one call waits for a failure that passes, and the lines that tell the user meanwhile.
Units   seconds of a monotonic clock.
Not     the decision which failure passes: ``bucket.py`` and ``folder.py`` know the errors of their store.
        Every client below tries once: only this module repeats.
"""

import logging
import math
import os
import random
import time
from collections.abc import Callable
from typing import Final, TypeVar

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.saying import Throttle
from kalshi_platform.storage.contract import StoreAwayError

#: Environment variable: how long one operation waits for a store that fails, seconds; 0 = not at all.
PATIENCE_VARIABLE: Final = "KALSHI_PLATFORM_STORE_PATIENCE_S"
DEFAULT_PATIENCE_S: Final = 90.0
_FIRST_PAUSE_S: Final = 0.25
_LONGEST_PAUSE_S: Final = 8.0

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


def wanted_patience_s() -> float:
    """The limit of one wait from the environment; ContractError where it is no number of seconds >= 0."""
    text = os.environ.get(PATIENCE_VARIABLE)
    if text is None or not text.strip():
        return DEFAULT_PATIENCE_S
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise ContractError(
            f"{PATIENCE_VARIABLE}={text!r} is no number of seconds; set 0 (fail at once) or more, "
            f"or unset it for {DEFAULT_PATIENCE_S:g}"
        )
    return value


class Patience:
    """Repeats an operation while its failure is a StoreAwayError and ``limit_s`` is not used up."""

    def __init__(
        self,
        limit_s: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.limit_s = limit_s
        self._clock, self._sleep, self._jitter = clock, sleep, jitter

    def call(self, operation: Callable[[], _T], what: str) -> _T:
        """Return the result of ``operation()``, repeated while its store is away.

        Raises the last StoreAwayError at the limit, and every other failure at once. ``what`` names the wait
        in the log. Pauses double from 0.25 s to 8 s, each drawn from its upper half, so that workers that
        failed together do not return together. The last pause ends at the limit.
        """
        started_s = self._clock()
        saying = Throttle(clock_s=self._clock)
        pause_s = _FIRST_PAUSE_S
        attempts = 0
        while True:
            try:
                answer = operation()
            except StoreAwayError:
                attempts += 1
                left_s = self.limit_s - (self._clock() - started_s)
                if left_s <= 0:
                    raise
                if saying.is_due():
                    _log.warning(
                        "waiting for the store to %s: %d failures, up to %.0f s more", what, attempts, left_s
                    )
                self._sleep(min(left_s, pause_s * (0.5 + 0.5 * self._jitter())))
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            else:
                if attempts:
                    _log.warning("the store is back after %.1f s: %s", self._clock() - started_s, what)
                return answer
