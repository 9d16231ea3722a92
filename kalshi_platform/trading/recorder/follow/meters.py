"""Meters of a running recorder: frames a second and the age of messages, over the last seconds and minutes.

Age      wall clock when a frame was received less the exchange's own time of sending (``sending_ts_ms``, else
         ``ts_ms``). It holds the difference of two clocks; the *growth* does not: the median of the last 30 s
         less the smallest such median of the last hour.
Units    seconds of the monotonic clock for windows, ms for ages
"""

from collections import deque
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from kalshi_platform.data.market_data.frame_files import own_time_ns
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.units import NS_PER_MS, NS_PER_SECOND

#: Seconds over which ages are told, and over which growth is measured.
_AGE_WINDOW_S, _HISTORY_S = 30, 3_600
#: Ages of one second that are kept; beyond, one frame in so many is looked at.
_A_SECOND, _ONE_IN = 200, 8
_KINDS: Final = frozenset({"orderbook_snapshot", "orderbook_delta", "trade", "ticker"})


class Second(NamedTuple):
    """Figures of one second."""

    at_s: int  # wall clock, s
    frames: int
    age_p50_ms: float | None
    age_p99_ms: float | None


class Meters:
    """Counts by the second; feed frames in order of arrival."""

    def __init__(self) -> None:
        self.seconds: deque[Second] = deque(maxlen=_HISTORY_S)
        self._at_s = 0
        self._frames = 0
        self._ages: list[float] = []
        self._window: deque[tuple[int, list[float]]] = deque()
        self._medians: deque[tuple[int, float]] = deque()

    def frame(self, wall_ns: int, message: Any) -> None:
        """Count one frame received at ``wall_ns``; ``message`` is the parsed frame."""
        self.turn(wall_ns // NS_PER_SECOND)
        self._frames += 1
        if len(self._ages) >= _A_SECOND and self._frames % _ONE_IN:
            return
        if isinstance(message, Mapping) and message.get("type") in _KINDS:
            age = self._age_ms(wall_ns, message)
            if age is None:
                return
            if len(self._ages) < _A_SECOND:
                self._ages.append(age)
            else:  # a spread of the whole second: every place is overwritten in turn
                self._ages[self._frames * 7_919 % _A_SECOND] = age

    def turn(self, second: int) -> None:
        """End the seconds before ``second``, once each; those without a frame count 0."""
        if second <= self._at_s:
            return
        if self._at_s:
            ages = sorted(self._ages)
            told = (_at(ages, 0.5), _at(ages, 0.99)) if ages else (None, None)
            self.seconds.append(Second(self._at_s, self._frames, *told))
            if ages:
                self._window.append((self._at_s, ages))
            for quiet in range(max(self._at_s + 1, second - _HISTORY_S), second):
                self.seconds.append(Second(quiet, 0, None, None))
        self._at_s, self._frames, self._ages = second, 0, []
        while self._window and self._window[0][0] < second - _AGE_WINDOW_S:
            self._window.popleft()
        if (now := self.age_ms(0.5)) is not None:
            self._medians.append((second, now))
        while self._medians and self._medians[0][0] < second - _HISTORY_S:
            self._medians.popleft()

    def age_ms(self, share: float) -> float | None:
        """Quantile of the ages of the last 30 s; None without any."""
        ages = sorted(age for _, some in self._window for age in some)
        return _at(ages, share) if ages else None

    def growth_ms(self) -> float:
        """Growth of the median age over the smallest of the last hour; 0 without ages."""
        now = self.age_ms(0.5)
        return 0.0 if now is None or not self._medians else now - min(m for _, m in self._medians)

    def rate(self, seconds: int) -> float:
        """Frames a second over the last full ``seconds``."""
        last = [s.frames for s in list(self.seconds)[-seconds:]]
        return sum(last) / len(last) if last else 0.0

    def _age_ms(self, wall_ns: int, message: Mapping[str, Any]) -> float | None:
        """Age of a message; None where it carries no time."""
        try:
            own_ns = own_time_ns(message)
        except DataError:
            return None
        return None if own_ns is None else (wall_ns - own_ns) / NS_PER_MS


def _at(ordered: list[float], share: float) -> float:
    """Quantile of sorted values by the nearest rank."""
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]
