"""The weekly pause: Thursday 03:00 to 05:00 in New York, summer and winter."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshi_platform.domain.trading_hours import PAUSE_NS, pause_start_ns

NS = 10**9


def in_pause(at_ns: int, start_ns=pause_start_ns) -> bool:
    """True where the first pause that ends after ``at_ns`` has begun."""
    start = start_ns(at_ns)
    assert at_ns < start + PAUSE_NS
    return start <= at_ns


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * NS


@pytest.mark.parametrize(
    ("text", "paused"),
    [
        ("2026-01-15T07:59:59+00:00", False),  # a Thursday in winter: 02:59:59
        ("2026-01-15T08:00:00+00:00", True),
        ("2026-01-15T09:59:59+00:00", True),
        ("2026-01-15T10:00:00+00:00", False),
        ("2026-07-16T07:00:00+00:00", True),  # in summer an hour earlier
        ("2026-07-16T09:00:00+00:00", False),
        ("2026-07-15T07:30:00+00:00", False),  # a Wednesday
    ],
)
def test_the_pause_is_two_hours_of_thursday_morning(text: str, paused: bool) -> None:
    assert in_pause(ns(text)) == in_pause(ns(text), pause_start_ns.py_func) == paused


@given(st.datetimes(datetime(2021, 1, 1), datetime(2115, 1, 1)))
def test_it_is_what_a_clock_in_new_york_shows(at: datetime) -> None:
    there = at.replace(tzinfo=UTC).astimezone(ZoneInfo("America/New_York"))
    expected = there.weekday() == 3 and 3 <= there.hour < 5
    assert in_pause(int(at.replace(tzinfo=UTC).timestamp()) * NS) == expected
