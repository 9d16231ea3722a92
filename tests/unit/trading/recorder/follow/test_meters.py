"""Meters: rates and ages worked by hand, growth that a constant difference of clocks does not fake."""

import pytest

from kalshi_platform.trading.recorder.follow.meters import Meters

S = 1_000_000_000
T0 = 1_795_400_000


def feed(meters: Meters, second: float, age_ms: float) -> None:
    wall_ns = T0 * S + round(second * 1_000) * 1_000_000
    message = {"type": "orderbook_delta", "sending_ts_ms": wall_ns // 1_000_000 - int(age_ms), "msg": {}}
    meters.frame(wall_ns, message)


def test_frames_a_second_are_those_of_full_seconds():
    meters = Meters()
    for second in (0.1, 0.2, 0.9, 1.5, 4.0):
        feed(meters, second, 10)
    # full seconds: 3, 1, 0, 0; the fourth is not over
    assert [s.frames for s in meters.seconds] == [3, 1, 0, 0]
    assert meters.rate(4) == 1.0


def test_a_look_within_a_second_does_not_end_it():
    meters = Meters()
    feed(meters, 0.1, 10)
    meters.turn(T0)
    feed(meters, 0.2, 10)
    meters.turn(T0 + 1)
    assert [s.frames for s in meters.seconds] == [2]


def test_ages_are_quantiles_by_the_nearest_rank():
    meters = Meters()
    for number in range(100):
        feed(meters, number / 100, number + 1)
    meters.turn(T0 + 1)
    # 100 ages, 1 to 100: rank 50 is 51, rank 99 is 100
    assert meters.age_ms(0.5) == pytest.approx(51)
    assert meters.age_ms(0.99) == pytest.approx(100)


def test_a_clock_that_is_off_is_no_growth_and_a_reader_that_falls_behind_is():
    meters = Meters()
    for second in range(60):
        feed(meters, second + 0.5, 5_000)  # our clock is 5 s ahead, say
    assert meters.growth_ms() == pytest.approx(0)
    for second in range(60, 120):
        feed(meters, second + 0.5, 5_000 + (second - 60) * 100)
    # ages of the last 30 s: 7,900 to 10,800; their median 9,400 to 9,500, 4,400 above the best
    assert 4_300 <= meters.growth_ms() <= 4_600


def test_a_message_without_a_time_counts_as_a_frame_only():
    meters = Meters()
    meters.frame(T0 * S, {"type": "orderbook_snapshot", "msg": {}})
    meters.frame(T0 * S, None)
    meters.turn(T0 + 1)
    assert meters.seconds[-1] == (T0, 2, None, None)
    assert meters.growth_ms() == 0.0
