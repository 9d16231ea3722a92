"""Timing a call: warm-up left out, enough calls and no more, the thread's own time beside the wall's."""

import time

import numpy as np
import pytest

from kalshi_platform.domain import timing
from kalshi_platform.domain.timing import time_calls


class Clocks:
    """Two clocks that a call moves: ``wall_ns`` runs on while the thread waits, ``own_ns`` does not."""

    def __init__(self, monkeypatch):
        self.wall_ns = self.own_ns = 0
        self.asked: list[int] = []
        monkeypatch.setattr(timing.time, "perf_counter_ns", lambda: self.wall_ns)
        monkeypatch.setattr(timing.time, "thread_time_ns", lambda: self.own_ns)

    def call(self, own_ms: float, wait_ms: float = 0.0):
        """A call that computes for ``own_ms`` times its number and waits for ``wait_ms``."""

        def takes(k: int) -> None:
            self.asked.append(k)
            self.own_ns += round(own_ms * 1e6 * k)
            self.wall_ns += round((own_ms * k + wait_ms) * 1e6)

        return takes


def test_percentiles_are_those_of_the_counted_calls_worked_by_hand(monkeypatch):
    clocks = Clocks(monkeypatch)
    found = time_calls(clocks.call(1.0, wait_ms=5.0), runs=5, min_runs=1, warm_up=3)
    # own times 0, 1, 2, 3, 4 ms: median 2; the 99th percentile lies 0.96 of the way from 3 to 4
    assert found.p50_ms == pytest.approx(2.0)
    assert found.p99_ms == pytest.approx(3.96)
    assert found.wall_p99_ms == pytest.approx(8.96)
    assert found.runs == 5
    assert clocks.asked == [0, 1, 2, 0, 1, 2, 3, 4]


def test_a_slow_call_is_timed_until_ten_seconds_are_over_but_never_less_than_asked(monkeypatch):
    clocks = Clocks(monkeypatch)
    # 3 s a call: after the fourth 12 s are over
    assert time_calls(clocks.call(0.0, wait_ms=3_000.0), runs=50, min_runs=2, warm_up=0).runs == 4
    assert time_calls(clocks.call(0.0, wait_ms=3_000.0), runs=50, min_runs=9, warm_up=0).runs == 9


def test_waiting_is_seen_by_the_wall_alone():
    found = time_calls(lambda _: time.sleep(0.02), runs=3, min_runs=3, warm_up=1)
    assert found.wall_p99_ms >= 20.0
    assert found.p99_ms < 20.0


def test_computing_is_seen_by_both_clocks():
    work = np.ones((300, 300))
    found = time_calls(lambda _: np.sort(work.ravel() * -1.0).sum(), runs=20, min_runs=20, warm_up=2)
    assert 0.0 < found.p50_ms <= found.p99_ms <= found.wall_p99_ms + 1.0
