"""Waiting for an object store that fails for a while: ask again, say so, give up in time.

Owns    which failures pass by themselves, how long one call waits for them, what the user sees then.
Units   seconds of a monotonic clock.
Not     the wording of a failure that stays (``storage/storage.py``), nor local disks: they do not recover.
"""

import logging
import math
import os
import random
import re
import time
from collections.abc import Callable
from typing import Final, TypeVar

from kalshi_platform.domain.errors import ContractError

#: Environment variable: how long one operation waits for a store that fails, seconds; 0 = not at all.
PATIENCE_VARIABLE: Final = "KALSHI_PLATFORM_STORE_PATIENCE_S"
DEFAULT_PATIENCE_S: Final = 90.0
_FIRST_PAUSE_S: Final = 0.25
_LONGEST_PAUSE_S: Final = 8.0
#: Between two lines about the same wait.
_SAY_EVERY_S: Final = 5.0

#: What AWS's SDK writes of a store that is down, restarting or overloaded.
_TRANSIENT: Final = re.compile(
    r"NETWORK_CONNECTION|SLOW_?DOWN|THROTTL|SERVICE_?UNAVAILABLE|INTERNAL_?(FAILURE|ERROR)|REQUEST_?TIMEOUT"
    r"|TIMED? ?-?OUT|CONNECTION (RESET|REFUSED)|HTTP STATUS CODE:? 5\d\d|BANDWIDTH_LIMIT|UNABLE TO CONNECT",
    re.IGNORECASE,
)
#: Network failures that repeating cannot help: a certificate that is not trusted (curl's codes).
_PERMANENT: Final = re.compile(r"curlCode: (35|51|58|60|77)\b")

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


def is_transient(err: Exception) -> bool:
    """True where the store may answer the same request later: network, 5xx, overload, time-outs."""
    if isinstance(err, FileNotFoundError | PermissionError | ContractError):
        return False
    if isinstance(err, TimeoutError | ConnectionError):
        return True
    text = str(err)
    return _PERMANENT.search(text) is None and _TRANSIENT.search(text) is not None


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
    """Repeats an operation while its failure is transient and ``limit_s`` is not used up."""

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
        """``operation()``; its last failure where it stays transient for too long or is permanent.

        ``what`` names the wait in the log. Pauses double from 0.25 s to 8 s, each drawn from its upper half:
        workers that failed together do not return together. The last one ends at the limit.
        """
        started_s = self._clock()
        said_s = -math.inf
        pause_s = _FIRST_PAUSE_S
        attempts = 0
        while True:
            try:
                found = operation()
            except Exception as err:
                attempts += 1
                now_s = self._clock()
                left_s = self.limit_s - (now_s - started_s)
                if left_s <= 0 or not is_transient(err):
                    raise
                if now_s - said_s >= _SAY_EVERY_S:
                    _log.warning(
                        "waiting for the store to %s: %d failures, up to %.0f s more", what, attempts, left_s
                    )
                    said_s = now_s
                self._sleep(min(left_s, pause_s * (0.5 + 0.5 * self._jitter())))
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            else:
                if attempts:
                    _log.warning("the store is back after %.1f s: %s", self._clock() - started_s, what)
                return found
