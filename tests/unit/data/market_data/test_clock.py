"""A number that is no time is refused with the unit it looks like, whatever the units are."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshi_platform.data.market_data.clock import (
    EXCHANGE,
    MADE_UP,
    SCHEDULE,
    UNITS_NS,
    live_span,
    receive_span,
    strange_time,
    unit_like,
    utc_text,
)
from kalshi_platform.domain.units import NS_PER_DAY, NS_PER_SECOND

NOW_NS = 1_795_400_000 * NS_PER_SECOND  # 2026-11-23T02:13:20Z
Y2021_NS = 1_609_459_200 * NS_PER_SECOND
SPANS = (receive_span(NOW_NS), EXCHANGE, SCHEDULE, MADE_UP)


def test_receive_times_lie_in_2021_to_a_day_after_the_clock() -> None:
    span = receive_span(NOW_NS)
    for time_ns, possible in (
        (Y2021_NS - 1, False), (Y2021_NS, True), (NOW_NS + NS_PER_DAY, True),
        (NOW_NS + NS_PER_DAY + 1, False), (0, False), (-1, False), (1 << 80, False),
    ):  # fmt: skip
        assert span.holds(time_ns) == possible


def test_without_a_clock_this_machines_own_is_read() -> None:
    assert receive_span().latest_ns > Y2021_NS + NS_PER_DAY


@given(
    time_ns=st.integers(Y2021_NS, NOW_NS),
    wrong=st.sampled_from(sorted(UNITS_NS)),
    named=st.sampled_from(sorted(UNITS_NS)),
    span=st.sampled_from(SPANS),
)
def test_a_time_in_one_unit_named_as_another_is_refused_with_its_own(
    time_ns: int, wrong: str, named: str, span: object
) -> None:
    value = -(-time_ns // UNITS_NS[wrong])
    assert unit_like(value, span) == wrong  # type: ignore[arg-type]
    if wrong == named:
        return
    assert not span.holds(value * UNITS_NS[named])  # type: ignore[attr-defined]
    said = strange_time("t", value, UNITS_NS[named], span)  # type: ignore[arg-type]
    assert said.startswith(f"t = {value} looks like {wrong}: as ")
    # the remedy gives the time
    done, power = re.search(r"(multiply|divide) by 1e(\d+)$", said).groups()  # type: ignore[union-attr]
    mended = value * 10 ** int(power) if done == "multiply" else value // 10 ** int(power)
    assert span.holds(mended * UNITS_NS[named])  # type: ignore[attr-defined]


def test_the_sentence_names_time_unit_remedy_and_the_column_for_the_unit() -> None:
    said = strange_time("recv_ns", 1_795_400_000_000, 1, receive_span(NOW_NS), {10**6: "recv_ts_ms"})
    assert said == (
        "recv_ns = 1795400000000 looks like milliseconds: as ns it is 1970-01-01T00:29:55Z; "
        "multiply by 1e6, or name it recv_ts_ms"
    )


@pytest.mark.parametrize(
    ("time_ns", "shown"),
    [
        (946_684_800 * NS_PER_SECOND, "2000-01-01T00:00:00Z"),
        (NOW_NS + 3 * NS_PER_DAY, "2026-11-26T02:13:20Z"),
        (-5, "no time between 1970 and 9999"),
        (1 << 90, "no time between 1970 and 9999"),
    ],
)
def test_a_time_that_is_one_in_no_unit_is_shown_with_what_is_allowed(time_ns: int, shown: str) -> None:
    said = strange_time("recv_ns", time_ns, 1, receive_span(NOW_NS))
    assert f"recv_ns = {time_ns} cannot be: as ns it is {shown}" in said
    assert "2021 to a day after this machine's clock (2026-11-24T02:13:20Z)" in said


def test_text_of_a_time_is_in_whole_seconds_of_utc() -> None:
    assert utc_text(NOW_NS + 999_999_999) == "2026-11-23T02:13:20Z"


def test_a_stream_takes_times_up_to_ten_seconds_after_the_servers_clock() -> None:
    now_ns = 1_800_000_000 * NS_PER_SECOND
    span = live_span(now_ns)
    assert span.holds(now_ns + 10 * NS_PER_SECOND)
    assert not span.holds(now_ns + 10 * NS_PER_SECOND + 1)
    assert span.holds(1_700_000_000 * NS_PER_SECOND), "a recording that is sent again"
    assert not span.holds(now_ns // 1_000), "microseconds"
