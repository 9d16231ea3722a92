"""The time of a decision, measured with clocks that only the policy under test moves."""

import pytest
import torch
from made.registry_models import made_policy

from kalshi_platform.domain import timing
from kalshi_platform.evaluation.promotion.latency import measure_latency


class Clock:
    """Nanoseconds that pass only in ``act``."""

    def __init__(self, policy, cost_ms) -> None:
        self.now_ns, self.calls, self.policy, self.cost_ms = 0, 0, policy, cost_ms
        self.windows: list[bool] = []
        self.threads: set[int] = set()
        self.spec = policy.spec

    def thread_time_ns(self) -> int:
        return self.now_ns

    def perf_counter_ns(self) -> int:
        return self.now_ns + 7_000_000 * self.calls  # the wall: 7 ms of waiting a call

    def act(self, flat, *, windows=None):
        assert flat.shape == (1, self.spec.width)
        self.policy.act(flat, windows=windows)
        self.windows.append(windows is not None)
        self.threads.add(torch.get_num_threads())
        self.now_ns += round(self.cost_ms(self.calls) * 1e6)
        self.calls += 1


def measured(monkeypatch, cost_ms, level="tiny"):
    clock = Clock(made_policy(level), cost_ms)
    monkeypatch.setattr(timing, "time", clock)
    return measure_latency(clock), clock


def test_the_warm_up_is_not_counted_and_one_thread_decides(monkeypatch, two_torch_threads):
    found, clock = measured(monkeypatch, lambda call: 50.0 if call < 50 else 1.0)
    assert (found.p50_ms, found.p99_ms, found.runs) == (1.0, 1.0, 1_000)
    assert clock.threads == {1}


def test_waiting_for_a_processor_is_reported_and_not_judged(monkeypatch):
    found, _ = measured(monkeypatch, lambda call: 1.0)
    assert (found.p99_ms, found.wall_p99_ms) == (1.0, 8.0)


def test_the_tail_of_the_policy_is_seen(monkeypatch):
    # 20 of 1,000 calls take 3 ms: the 99th percentile lies among them
    found, _ = measured(monkeypatch, lambda call: 3.0 if call % 50 == 0 else 1.0)
    assert (found.p50_ms, found.p99_ms) == (1.0, 3.0)


def test_a_slow_policy_is_timed_at_least_200_times(monkeypatch):
    found, _ = measured(monkeypatch, lambda call: 100.0)  # 10 s are over after 94 calls of 107 ms
    assert (found.p99_ms, found.runs) == (100.0, 200)


@pytest.mark.parametrize(("level", "windows"), [("tiny", False), ("simple", True)])
def test_history_windows_are_part_of_a_decision(monkeypatch, level, windows):
    _, clock = measured(monkeypatch, lambda call: 100.0, level)
    assert set(clock.windows) == {windows}
