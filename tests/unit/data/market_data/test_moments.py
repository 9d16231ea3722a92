"""Times of other people's files: the unit that a name or a size shows."""

from decimal import Decimal
from typing import Any

import pytest

from kalshi_platform.data.market_data.moments import (
    moment_ns,
    received_ns,
    unit_of_name,
    unit_of_size,
    utc_ns,
)
from kalshi_platform.domain.errors import DataError

SECOND = 1_795_400_000


@pytest.mark.parametrize(
    ("value", "name", "ns"),
    [
        (SECOND, "ts", SECOND * 10**9),
        (SECOND * 1_000 + 7, "received_ms", (SECOND * 1_000 + 7) * 10**6),
        (SECOND * 10**9 + 1, "recv_ns", SECOND * 10**9 + 1),
        (Decimal("1795400000.123456789"), "time", SECOND * 10**9 + 123_456_789),
        (1795400000.5, "time", SECOND * 10**9 + 500_000_000),
        ("1795400000.25", "time", SECOND * 10**9 + 250_000_000),
        ("2026-11-23T02:13:20.5Z", "received_at", SECOND * 10**9 + 500_000_000),
    ],
)
def test_a_time_is_read_exactly_in_the_unit_it_shows(value: Any, name: str, ns: int) -> None:
    assert moment_ns(value, name) == ns


@pytest.mark.parametrize(
    ("value", "name", "message"),
    [
        (SECOND, "recv_ms", "looks like seconds, but its name says milliseconds; name it recv_s"),
        (SECOND * 1_000, "recv_ns", "looks like milliseconds, but its name says nanoseconds"),
        (42, "ts", "no time between 2021 and 2100 in any unit"),
        (True, "ts", "expected a number or an RFC 3339 time"),
        ("yesterday", "ts", "is not RFC 3339"),
    ],
)
def test_a_time_that_cannot_be_is_refused(value: Any, name: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        moment_ns(value, name)


def test_units_are_told_by_the_ending_of_a_name_and_by_size() -> None:
    assert (unit_of_name("ts_us"), unit_of_name("status"), unit_of_name("ts")) == ("us", None, None)
    assert [unit_of_size(SECOND * f) for f in (1, 10**3, 10**6, 10**9, 10**12)] == [
        "s",
        "ms",
        "us",
        "ns",
        None,
    ]


def test_the_clearest_of_several_receive_times_counts() -> None:
    assert received_ns({"ts": SECOND, "recv_ms": SECOND * 1_000 + 1}) == (SECOND * 1_000 + 1) * 10**6
    assert received_ns({"market": "A"}) is None


def test_text_without_a_zone_is_utc_only_where_somebody_says_so() -> None:
    assert utc_ns("2026-11-23 02:13") == utc_ns("2026-11-23T02:13:00") == utc_ns("2026-11-23T02:13:00Z")
    assert utc_ns("2026-11-23T03:13:20.5+01:00") == SECOND * 10**9 + 500_000_000
    with pytest.raises(DataError, match="'2026-11-23 02:13' has no zone; where it is UTC, write Z behind it"):
        moment_ns("2026-11-23 02:13", "time")
    with pytest.raises(DataError, match="is not RFC 3339 text"):
        utc_ns("11/23/2026 02:13")
