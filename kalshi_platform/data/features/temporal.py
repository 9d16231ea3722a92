"""Feature set ``temporal``: 16 features of the market's clock, formulas in ``spec.SPEC``.

Owns       the ring of message times (ns): every message of the last 5 minutes and always the last 21.
Invariant  windows count exactly, by time: a message at t is in a window of w at ``now`` iff now - t < w.
"""

import math
from typing import Final, NamedTuple

import numpy as np

from kalshi_platform.data.features.spec import TEMPORAL
from kalshi_platform.data.features.squash import log_day, log_of, tanh
from kalshi_platform.domain.compiled import inline_kernel, kernel
from kalshi_platform.domain.units import NO_TIME, NS_PER_DAY, NS_PER_MS, NS_PER_SECOND

_FIRST: Final = TEMPORAL.start
_OF_LOG_YEAR_HOURS: Final = 1.0 / math.log1p(8_760.0)
_NS_PER_HOUR: Final = 3_600 * NS_PER_SECOND
_HOURS_A_NS: Final = 1.0 / _NS_PER_HOUR
_NS_10S, _NS_1MIN, _NS_5MIN = 10 * NS_PER_SECOND, 60 * NS_PER_SECOND, 300 * NS_PER_SECOND
_GAPS: Final = 10
#: 1970-01-01 was a Thursday, day 3 of a week that starts on Monday.
_EPOCH_WEEKDAY: Final = 3
_WEEKDAY_SIN: Final = np.array([math.sin(2 * math.pi * d / 7) for d in range(7)])
_WEEKDAY_COS: Final = np.array([math.cos(2 * math.pi * d / 7) for d in range(7)])
_MINUTE_SIN: Final = np.array([math.sin(2 * math.pi * m / 1_440) for m in range(1_440)])
_MINUTE_COS: Final = np.array([math.cos(2 * math.pi * m / 1_440) for m in range(1_440)])

#: Smallest ring: holds the 2 x 10 gaps whatever their age. Sizes are powers of two.
MIN_RING: Final = 32
#: Places in ``Clock.marks``; HEAD and TAIL_* count messages since the start, LAST_NS and RESYNC_NS are times.
#: MINUTE and WEEKDAY are those of the minute that begins at MINUTE_NS.
HEAD, TAIL_10S, TAIL_1MIN, TAIL_5MIN, LAST_NS, RESYNC_NS, CLOSE_NS, MINUTE_NS, MINUTE, WEEKDAY = range(10)


class Clock(NamedTuple):
    """Times of a market's messages; the kernels change them in place."""

    ring_ns: np.ndarray  # (power of two,) i8
    marks: np.ndarray  # (10,) i8


def new_clock(close_ns: int, size: int = 1024) -> Clock:
    """Return the clock of a market before its first message.

    close_ns: the time to which the clock counts, NO_TIME where unknown; size: messages of the last 5 minutes
    that the clock can hold. A market with more messages in 5 minutes needs :func:`grown`.
    """
    marks = np.zeros(10, np.int64)
    marks[LAST_NS] = marks[RESYNC_NS] = NO_TIME
    marks[WEEKDAY] = _EPOCH_WEEKDAY  # minute 0 of 1970, as MINUTE_NS says
    marks[CLOSE_NS] = close_ns
    return Clock(np.zeros(max(size, MIN_RING), np.int64), marks)


def grown(clock: Clock) -> Clock:
    """Clock with the same messages and room for twice as many."""
    size = clock.ring_ns.size
    ring_ns = np.zeros(2 * size, np.int64)
    head = int(clock.marks[HEAD])
    kept = np.arange(max(0, head - size), head)
    ring_ns[kept & (2 * size - 1)] = clock.ring_ns[kept & (size - 1)]
    return Clock(ring_ns, clock.marks)


@inline_kernel
def _tail(ring_ns: np.ndarray, marks: np.ndarray, which: int, now_ns: int, window_ns: int) -> int:
    mask = ring_ns.size - 1
    tail = marks[which]
    while tail < marks[HEAD] and now_ns - ring_ns[tail & mask] >= window_ns:
        tail += 1
    marks[which] = tail
    return tail


@inline_kernel
def has_room(ring_ns: np.ndarray, marks: np.ndarray, now_ns: int) -> bool:
    """True where a message at ``now_ns`` fits without pushing out one that a window still counts."""
    head = marks[HEAD]
    size = ring_ns.size
    if head - marks[TAIL_5MIN] < size:
        return True
    return head - _tail(ring_ns, marks, TAIL_5MIN, now_ns, _NS_5MIN) < size


@inline_kernel
def since_last_ns(marks: np.ndarray, now_ns: int) -> int:
    """Time since the previous message, -1 at the first.

    Call this before :func:`write_temporal` moves the clock on.
    """
    return now_ns - marks[LAST_NS] if marks[HEAD] > 0 else -1


@inline_kernel
def _write_gap(out: np.ndarray, row: int, marks: np.ndarray, now_ns: int) -> None:
    """Write log_gap, is_burst, is_active and is_quiet, all 0 at the first message."""
    last_ns = marks[LAST_NS]
    seen = marks[HEAD] > 0
    gap_ns = now_ns - last_ns if seen else 0
    out[row, _FIRST] = log_day(gap_ns)
    out[row, _FIRST + 4] = 1.0 if seen and gap_ns < 100 * NS_PER_MS else 0.0
    out[row, _FIRST + 5] = 1.0 if seen and gap_ns < 5 * NS_PER_SECOND else 0.0
    out[row, _FIRST + 6] = 1.0 if gap_ns > 30 * NS_PER_SECOND else 0.0


@inline_kernel
def _write_activity(out: np.ndarray, row: int, ring_ns: np.ndarray, marks: np.ndarray, now_ns: int) -> None:
    head = marks[HEAD]
    n_10s = head - _tail(ring_ns, marks, TAIL_10S, now_ns, _NS_10S)
    n_1min = head - _tail(ring_ns, marks, TAIL_1MIN, now_ns, _NS_1MIN)
    n_5min = head - _tail(ring_ns, marks, TAIL_5MIN, now_ns, _NS_5MIN)
    # (n / w) / (1 + n / w) = n / (n + w)
    out[row, _FIRST + 1] = n_10s / (n_10s + 10.0)
    out[row, _FIRST + 2] = n_1min / (n_1min + 60.0)
    out[row, _FIRST + 3] = n_5min / (n_5min + 300.0)


@inline_kernel
def _acceleration(ring_ns: np.ndarray, marks: np.ndarray, now_ns: int) -> float:
    """Acceleration over the last 21 messages; the one at ``now_ns`` is already in the ring."""
    head = marks[HEAD]
    if head <= 2 * _GAPS:
        return 0.0
    mask = ring_ns.size - 1
    middle_ns = ring_ns[(head - 1 - _GAPS) & mask]
    recent_ns = now_ns - middle_ns
    older_ns = middle_ns - ring_ns[(head - 1 - 2 * _GAPS) & mask]
    # sums of ten gaps each: their ratio is that of the means
    return tanh((recent_ns - older_ns) / max(older_ns, _GAPS * NS_PER_MS))


@kernel
def _set_minute(marks: np.ndarray, now_ns: int) -> None:
    """Divide once a minute to find minute and weekday, so that the rows within it need not."""
    day = now_ns // NS_PER_DAY
    minute = (now_ns - day * NS_PER_DAY) // _NS_1MIN
    marks[MINUTE_NS] = day * NS_PER_DAY + minute * _NS_1MIN
    marks[MINUTE] = minute
    marks[WEEKDAY] = (day + _EPOCH_WEEKDAY) % 7


@inline_kernel
def _write_calendar(out: np.ndarray, row: int, marks: np.ndarray, now_ns: int) -> tuple[float, float]:
    """Write the features time_to_close to weekday_cos; returns (hours until the close, log(1 + hours)).

    Unknown hours are -1, their log is then 0.
    """
    close_ns = marks[CLOSE_NS]
    left_ns = max(close_ns - now_ns, 0)
    known = close_ns != NO_TIME
    hours = left_ns * _HOURS_A_NS if known else -1.0
    log_hours = log_of(1.0 + hours) if hours > 0.0 else 0.0
    out[row, _FIRST + 8] = min(log_hours * _OF_LOG_YEAR_HOURS, 1.0) if known else -1.0
    out[row, _FIRST + 9] = 1.0 if known and left_ns < _NS_PER_HOUR else 0.0
    out[row, _FIRST + 10] = 1.0 if known and left_ns < NS_PER_DAY else 0.0
    if not 0 <= now_ns - marks[MINUTE_NS] < _NS_1MIN:
        _set_minute(marks, now_ns)
    minute, weekday = marks[MINUTE], marks[WEEKDAY]
    out[row, _FIRST + 11] = _MINUTE_SIN[minute]
    out[row, _FIRST + 12] = _MINUTE_COS[minute]
    out[row, _FIRST + 13] = _WEEKDAY_SIN[weekday]
    out[row, _FIRST + 14] = _WEEKDAY_COS[weekday]
    return hours, log_hours


@inline_kernel
def write_temporal(
    out: np.ndarray, row: int, ring_ns: np.ndarray, marks: np.ndarray, now_ns: int
) -> tuple[float, float]:
    """Advance the clock by one message at ``now_ns``; write the feature set into ``out[row]``, out (n, F) f4.

    Returns (hours until the close, -1 if unknown; log(1 + hours)). The caller has made room
    (:func:`has_room`) and set RESYNC_NS where the message held a gap or snapshot.
    """
    _write_gap(out, row, marks, now_ns)
    _write_activity(out, row, ring_ns, marks, now_ns)
    ring_ns[marks[HEAD] & (ring_ns.size - 1)] = now_ns
    marks[HEAD] += 1
    marks[LAST_NS] = now_ns
    out[row, _FIRST + 7] = _acceleration(ring_ns, marks, now_ns)
    resync_ns = marks[RESYNC_NS]
    out[row, _FIRST + 15] = log_day(now_ns - resync_ns) if resync_ns != NO_TIME else 1.0
    return _write_calendar(out, row, marks, now_ns)
