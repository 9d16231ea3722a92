"""Figures of stages."""

from kalshi_platform.trading.session.latencies import Latencies, StageTimes


def test_percentiles_are_of_the_newest_times():
    times = StageTimes(kept=100)
    for _ in range(1_000):
        times.add(10**9)
    for k in range(1, 101):
        times.add(k * 1_000_000)
    found = times.figures()
    assert found["n"] == 1_100
    assert found["most_ms"] == 100.0
    assert found["p50_ms"] == 50.5


def test_a_stage_without_times_says_so_and_ticks_count_what_was_kept():
    latencies = Latencies()
    latencies.ticks, latencies.ticks_late = 1_000, 1
    found = latencies.figures()
    assert found["kept"] == 0.999
    assert found["stages"]["order"] == {"n": 0}
