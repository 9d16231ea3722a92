"""Group temporal: gaps, activity, acceleration and the calendar against numbers worked by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from made.feature_rows import (
    COLUMN,
    KNOWN,
    SNAP,
    SPEC,
    book_features,
    feature,
    messages,
)
from made.strategies import START_NS, row_streams

from kalshi_platform.data.features import temporal
from kalshi_platform.data.features.kernel import build_rows
from kalshi_platform.data.features.rows import Rows
from kalshi_platform.data.market_data.schema import (
    GAP,
    NO,
    NO_SIDE,
    QUOTE,
    TRADE,
    YES,
    MarketRows,
)
from kalshi_platform.domain.units import NO_PRICE, NO_TIME, NS_PER_SECOND


def at_times(*seconds: float) -> Rows:
    """Rows of a market that got one quote message at each of these times after START_NS."""
    quote = [(QUOTE, YES, 4_000, 1), (QUOTE, NO, 5_000, 1)]
    return build_rows(messages(*((START_NS + round(s * NS_PER_SECOND), quote) for s in seconds)), SPEC)


@given(recorded=row_streams("quotes"))
def test_activity_counts_every_message_of_the_window_and_no_other(recorded: MarketRows) -> None:
    rows = build_rows(recorded, SPEC, KNOWN)
    times = rows.recv_ns
    for name, window_s in (("activity_10s", 10), ("activity_1min", 60), ("activity_5min", 300)):
        for i, now in enumerate(times):
            n = sum(1 for t in times[:i] if now - t < window_s * NS_PER_SECOND)
            assert rows.features[i, COLUMN[name]] == np.float32(n / (n + window_s))


def test_gaps_between_messages_set_log_gap_and_the_regime_flags() -> None:
    rows = at_times(0, 0.05, 0.15, 3.15, 8.15, 38.15, 68.2)
    # gaps: none, 50 ms, 100 ms, 3 s, 5 s, 30 s, 30.05 s
    scale = math.log(86_401)
    gaps = (0, 0.05, 0.1, 3, 5, 30, 30.05)
    assert feature(rows, "log_gap") == pytest.approx([math.log(1 + g) / scale for g in gaps], rel=1e-6)
    assert feature(rows, "is_burst") == [0, 1, 0, 0, 0, 0, 0]
    assert feature(rows, "is_active") == [0, 1, 1, 1, 0, 0, 0]
    assert feature(rows, "is_quiet") == [0, 0, 0, 0, 0, 0, 1]


def test_gaps_over_a_day_are_squashed_to_one() -> None:
    assert feature(at_times(0, 90_000), "log_gap") == [0.0, 1.0]


def test_activity_is_half_at_one_message_a_second() -> None:
    # at second 400: 9 before it in 10 s, 59 in 60 s, 299 in 300 s (the one exactly w ago is out)
    rows = at_times(*range(401))
    assert feature(rows, "activity_10s")[-1] == pytest.approx(9 / 19)
    assert feature(rows, "activity_1min")[-1] == pytest.approx(59 / 119)
    assert feature(rows, "activity_5min")[-1] == pytest.approx(299 / 599)


def test_acceleration_compares_the_last_ten_gaps_with_the_ten_before() -> None:
    # 10 gaps of 2 s, then 10 of 1 s: tanh((1 - 2) / 2); known from the 21st message on
    rows = at_times(*range(0, 21, 2), *range(21, 31))
    assert feature(rows, "acceleration")[:20] == [0.0] * 20
    assert feature(rows, "acceleration")[20] == pytest.approx(math.tanh(-0.5))


def test_acceleration_after_simultaneous_messages_is_relative_to_a_millisecond() -> None:
    # older gaps 0, recent 1 ms: tanh(1 / 1)
    rows = at_times(*[0.0] * 11, *(n / 1_000 for n in range(1, 11)))
    assert feature(rows, "acceleration")[-1] == pytest.approx(math.tanh(1.0))


def test_time_to_close_and_its_flags() -> None:
    day = 86_400.0
    rows = at_times(0, 1, day - 3_600, day - 3_599, day, day + 10)  # close is one day after the start
    hours = (24, 24 - 1 / 3_600, 1, 3_599 / 3_600, 0, 0)
    expected = [math.log(1 + h) / math.log(8_761) for h in hours]
    assert feature(rows, "time_to_close") == pytest.approx(expected, rel=1e-5)
    assert feature(rows, "final_day") == [0, 1, 1, 1, 1, 1]
    assert feature(rows, "final_hour") == [0, 0, 0, 1, 1, 1]


def test_an_unknown_close_is_unknown_and_never_now() -> None:
    f = book_features(spec=SPEC.replace(close_ns=None))
    assert (f["time_to_close"], f["final_hour"], f["final_day"]) == (-1, 0, 0)


def test_a_market_that_can_close_early_counts_to_its_expected_expiration() -> None:
    in_an_hour = START_NS + 3_600 * NS_PER_SECOND
    early = SPEC.replace(can_close_early=True, expected_expiration_ns=in_an_hour)
    assert book_features(spec=early)["time_to_close"] == pytest.approx(
        math.log(2) / math.log(8_761), rel=1e-5
    )
    unknown = early.replace(expected_expiration_ns=None)  # its close says nothing: it may come at any time
    assert book_features(spec=unknown)["time_to_close"] == -1


def test_the_clock_goes_round_by_minute_and_weekday() -> None:
    monday_6h = 1_704_693_600  # 2024-01-08 06:00 UTC, a Monday
    times = (monday_6h, monday_6h + 59.9, monday_6h + 86_400 + 43_200)  # the last: Tuesday 18:00
    quote = [(QUOTE, YES, 4_000, 1), (QUOTE, NO, 5_000, 1)]
    rows = build_rows(messages(*((round(t * NS_PER_SECOND), quote) for t in times)), SPEC)
    assert feature(rows, "hour_sin") == pytest.approx([1, 1, -1])
    assert feature(rows, "hour_cos") == pytest.approx([0, 0, 0], abs=1e-7)
    tuesday = 2 * math.pi / 7
    assert feature(rows, "weekday_sin") == pytest.approx([0, 0, math.sin(tuesday)])
    assert feature(rows, "weekday_cos") == pytest.approx([1, 1, math.cos(tuesday)])


def test_sequence_gap_runs_from_the_last_gap_or_snapshot() -> None:
    quote = [(QUOTE, YES, 4_000, 1), (QUOTE, NO, 5_000, 1)]
    s = NS_PER_SECOND
    rows = build_rows(
        messages(
            (START_NS, quote),
            (START_NS + s, [(GAP, NO_SIDE, NO_PRICE, 3)]),
            (START_NS + 4 * s, quote),
            (START_NS + 5 * s, [SNAP]),
            (START_NS + 12 * s, [(TRADE, YES, 4_000, 1)]),
        ),
        SPEC,
    )
    expected = [1.0, *(math.log(1 + x) / math.log(86_401) for x in (0, 3, 0, 7))]
    assert feature(rows, "sequence_gap") == pytest.approx(expected, rel=1e-6)


def test_a_ring_that_grows_keeps_its_messages() -> None:
    clock = temporal.new_clock(NO_TIME, size=temporal.MIN_RING)
    clock.marks[temporal.HEAD] = 40
    clock.ring_ns[np.arange(8, 40) % 32] = np.arange(8, 40)
    bigger = temporal.grown(clock)
    assert bigger.ring_ns[np.arange(8, 40) % 64].tolist() == list(range(8, 40))
