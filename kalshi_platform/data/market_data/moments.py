"""Times of other people's files as ns since 1970, with the unit that the name or the size of a number shows.

Unit   an ending of the name (``_ns``, ``_us``, ``_ms``, ``_s``) or the text of RFC 3339. A number under a
       name without unit has the one unit in which it lies between 2021 (the exchange began) and 2100: the
       four ranges do not meet.
"""

import math
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from kalshi_platform.data.market_data.clock import EXCHANGE
from kalshi_platform.domain.bounded import shown_value
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.units import NS_PER_MS, NS_PER_SECOND, parse_qty, parse_rfc3339

UNITS_NS: Final = {"s": NS_PER_SECOND, "ms": NS_PER_MS, "us": 1_000, "ns": 1}
UNIT_WORDS: Final = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
#: Names under which recorders keep the time at which they received something, the clearest first.
RECEIVE_NAMES: Final = (
    "recv_ns", "received_ns", "receive_ns", "recv_ts_ns", "local_ns", "recv_us", "received_us", "recv_ts_us",
    "recv_ms", "received_ms", "receive_ms", "recv_ts_ms", "local_ts_ms", "received_at_ms", "captured_ms",
    "recv_s", "received_at", "recv_at", "receive_time", "received_time", "recv_time", "recv_ts", "received",
    "local_timestamp", "local_ts", "local_time", "polled_at", "fetched_at", "_fetched_at", "captured_at",
    "recorded_at", "_recorded_at", "logged_at", "timestamp_ns", "timestamp_us", "timestamp_ms", "ts_ns",
    "ts_us", "ts_ms", "time_ns", "time_us", "time_ms", "timestamp", "ts", "time", "t", "at",
)  # fmt: skip
_NO_ZONE: Final = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d)(:\d\d(?:\.\d{1,9})?)?")
_ENDING: Final = re.compile(r"_(ns|us|ms|s)$")


def unit_of_name(name: str) -> str | None:
    """Unit that the ending of ``name`` shows (s, ms, us, ns); None where it shows none."""
    found = _ENDING.search(name)
    return found.group(1) if found else None


def unit_of_size(value: int | float) -> str | None:
    """Only unit in which ``value`` lies between 2021 and 2100; None where there is none."""
    return next(
        (u for u, ns in UNITS_NS.items() if EXCHANGE.earliest_ns <= value * ns <= EXCHANGE.latest_ns), None
    )


def moment_ns(value: Any, name: str) -> int:
    """Time of one value under ``name``, ns; DataError names the value and the unit it looks like."""
    if isinstance(value, str) and not _is_number(value):
        return _of_text(value)
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise DataError(f"{name} = {shown_value(value)}; expected a number or an RFC 3339 time")
    number = _size_of(value)
    unit = unit_of_name(name)
    looks = unit_of_size(number)
    if looks is None:
        raise DataError(f"{name} = {shown_value(value)} is no time between 2021 and 2100 in any unit")
    if unit is not None and unit != looks:
        raise DataError(
            f"{name} = {shown_value(value)} looks like {UNIT_WORDS[looks]}, but its name says "
            f"{UNIT_WORDS[unit]}; name it {name.removesuffix('_' + unit)}_{looks}"
        )
    if isinstance(value, int):
        return value * UNITS_NS[looks]
    return _scaled_ns(str(value), looks)


def received_ns(record: Mapping[str, Any]) -> int | None:
    """Time at which a recorder received ``record``, ns; None where the record keeps none."""
    found = received(record)
    return None if found is None else found[0]


def received(record: Mapping[str, Any]) -> tuple[int, str] | None:
    """(Time at which a recorder received ``record``, ns, and in words its unit); None where it keeps none."""
    for name in RECEIVE_NAMES:
        if (value := record.get(name)) is not None:
            time_ns = moment_ns(value, name)
            if isinstance(value, str) and not _is_number(value):
                return time_ns, "text"
            return time_ns, UNIT_WORDS[unit_of_size(_size_of(value)) or "ns"]
    return None


def utc_ns(text: str) -> int:
    """Time from text that may lack its zone, seconds too, and is then UTC: ``2026-11-23 02:13``."""
    if (found := _NO_ZONE.fullmatch(text)) is None:
        return parse_rfc3339(text)
    day, minute, seconds = found.groups()
    return parse_rfc3339(f"{day}T{minute}{seconds or ':00'}Z")


def zone_hint(text: str) -> str | None:
    """Sentence about a time whose only fault is that it lacks a zone; None for any other text."""
    return f"time {shown_value(text)} has no zone" if _NO_ZONE.fullmatch(text) else None


def _of_text(text: str) -> int:
    """Time of RFC 3339 text."""
    if hint := zone_hint(text):
        raise DataError(f"{hint}; where it is UTC, write Z behind it")
    time_ns = parse_rfc3339(text)
    if not EXCHANGE.holds(time_ns):
        raise DataError(f"time {shown_value(text)} cannot be: {EXCHANGE.words}")
    return time_ns


def _size_of(number: int | float | str | Decimal) -> float:
    """Size of a number, to find its unit; infinite where no float is as large."""
    try:
        return float(number)
    except OverflowError:
        return math.inf


def _scaled_ns(text: str, unit: str) -> int:
    """Decimal text of a number of ``unit`` as whole ns; digits beyond 1 ns are cut off."""
    whole, _, fraction = text.partition(".")
    digits = len(str(UNITS_NS[unit])) - 1
    if not (whole.isdecimal() and (fraction == "" or fraction.isdecimal())):
        return parse_qty(text) // 100 * UNITS_NS[unit]
    return int(whole) * UNITS_NS[unit] + int((fraction + "0" * digits)[:digits] or "0")


def _is_number(text: str) -> bool:
    """True for text that is a plain decimal number."""
    return re.fullmatch(r"\d+(?:\.\d+)?", text.strip()) is not None
