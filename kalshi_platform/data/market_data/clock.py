"""The one rule that says whether a number can be a time, and which unit a wrong number looks like.

Owns       the spans of possible times: the receive times of files (2021 to a day after this machine's
           clock) and of live streams (to a few seconds after it), the exchange's own times (2021 to 2099),
           and the times of a market's schedule (2015 to 2099: a market may close years from now).
Invariant  no number is a possible time in two units: the spans are far shorter than a factor of 1,000.
Simulated  rows carry made-up times, which may lie in the future; their span ends with 2099.
Not here   the order of times within a market (``door.py``), the text of times (``domain/units.py``).
"""

import time
from datetime import UTC, datetime
from typing import Final, NamedTuple

from kalshi_platform.domain.units import NS_PER_DAY, NS_PER_MS, NS_PER_SECOND

#: Seconds by which the clock of a stream's client may be ahead of the server's.
AHEAD_S: Final = 10

#: Units of time by name, in ns, from the coarsest on.
UNITS_NS: Final = {
    "seconds": NS_PER_SECOND,
    "milliseconds": NS_PER_MS,
    "microseconds": 1_000,
    "nanoseconds": 1,
}
_SHORT: Final = {NS_PER_SECOND: "s", NS_PER_MS: "ms", 1_000: "us", 1: "ns"}

_Y2015_NS: Final = 1_420_070_400 * NS_PER_SECOND
_Y2021_NS: Final = 1_609_459_200 * NS_PER_SECOND  # the exchange opened in July 2021
_Y2100_NS: Final = 4_102_444_800 * NS_PER_SECOND
_LAST_SECOND: Final = 253_402_300_799  # of the year 9999


class TimeSpan(NamedTuple):
    """Times from ``earliest_ns`` to ``latest_ns``, both possible; ``words`` name them."""

    earliest_ns: int
    latest_ns: int
    words: str

    def holds(self, time_ns: int) -> bool:
        """True for a possible time."""
        return self.earliest_ns <= time_ns <= self.latest_ns


#: Times that the exchange stamps on its frames.
EXCHANGE: Final = TimeSpan(_Y2021_NS, _Y2100_NS, "the exchange's times lie in 2021 to 2099")
#: Times at which markets open, close, expire and are determined.
SCHEDULE: Final = TimeSpan(_Y2015_NS, _Y2100_NS, "times of a market lie in 2015 to 2099")
#: Receive times of a simulated exchange: made up, so they may lie in the future.
MADE_UP: Final = TimeSpan(_Y2021_NS, _Y2100_NS, "simulated times lie in 2021 to 2099")


def receive_span(now_ns: int | None = None) -> TimeSpan:
    """Span of receive times where the clock says ``now_ns`` (None: this machine's clock, read now)."""
    latest_ns = (time.time_ns() if now_ns is None else now_ns) + NS_PER_DAY
    return TimeSpan(_Y2021_NS, latest_ns, "receive times lie in 2021 to a day after this machine's clock")


def live_span(now_ns: int) -> TimeSpan:
    """Span of receive times of a stream where the server's clock says ``now_ns``.

    It ends soon after the present: one line with a later time would take the clock of its session there,
    behind which every true line then lay.
    """
    words = f"receive times of a stream lie in 2021 to {AHEAD_S} s after the server's clock"
    return TimeSpan(_Y2021_NS, now_ns + AHEAD_S * NS_PER_SECOND, words)


def utc_text(time_ns: int) -> str:
    """Time as RFC 3339 text in whole seconds."""
    second = time_ns // NS_PER_SECOND
    if not 0 <= second <= _LAST_SECOND:
        return "no time between 1970 and 9999"
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def unit_like(value: int, span: TimeSpan) -> str | None:
    """Name of the unit in which ``value`` is a time of ``span``; None where it is one in no unit."""
    return next((name for name, unit_ns in UNITS_NS.items() if span.holds(value * unit_ns)), None)


def strange_time(
    name: str, value: int, unit_ns: int, span: TimeSpan, columns: dict[int, str] | None = None
) -> str:
    """Sentence about a time outside ``span``: the unit it looks like, what it is as it stands, the remedy.

    ``value`` counts units of ``unit_ns``; ``columns`` (unit in ns -> name) are those that the field may be
    renamed to.
    """
    shown = f"{name} = {value}" if abs(value) < 10**40 else f"{name} = {str(value)[:40]}..."
    as_is = f"as {_SHORT[unit_ns]} it is {utc_text(value * unit_ns)}"
    like = unit_like(value, span)
    if like is None:
        latest = utc_text(span.latest_ns)
        return f"{shown} cannot be: {as_is}, and {span.words} ({latest}); correct it in the source"
    own_ns = UNITS_NS[like]
    if own_ns >= unit_ns:
        remedy = f"multiply by {_power(own_ns // unit_ns)}"
    else:
        remedy = f"divide by {_power(unit_ns // own_ns)}"
    renamed = (columns or {}).get(own_ns)
    return f"{shown} looks like {like}: {as_is}; {remedy}{f', or name it {renamed}' if renamed else ''}"


def _power(factor: int) -> str:
    """Power of ten in short form, such as 1e6."""
    return f"1e{len(str(factor)) - 1}"
