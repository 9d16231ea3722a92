"""Timing of a call: without its warm-up, with its tail, and without other programs on the machine.

Units      clocks ns, results milliseconds.
Judged     is the time that the thread itself computes. Time spent waiting for a processor says what else runs
           on the machine: at a load of 12 on two cores the 99th percentile of a decision was 9 ms by the
           wall clock and the median 0.17 ms. The thread's clock does not see work that a call hands to other
           threads, so time only calls that compute in one thread.
"""

import time
from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np

from kalshi_platform.domain.units import NS_PER_SECOND

_WARM_UP: Final = 50
#: 1,000 calls put ten beyond the 99th percentile, 200 put two.
RUNS: Final = 1_000
MIN_RUNS: Final = 200
_ENOUGH_NS: Final = 10 * NS_PER_SECOND


class CallTimes(NamedTuple):
    """Percentiles of a call's time: of the thread's own time, and ``wall_p99_ms`` by the wall clock."""

    p50_ms: float
    p99_ms: float
    wall_p99_ms: float
    runs: int


def time_calls(
    call: Callable[[int], object], runs: int = RUNS, min_runs: int = MIN_RUNS, warm_up: int = _WARM_UP
) -> CallTimes:
    """Time ``call(k)`` for k = 0, 1, ..., ``runs`` - 1 and return the percentiles in milliseconds.

    ``warm_up`` calls come first and are not timed. Once the timed calls have taken 10 s, timing stops early,
    but never before ``min_runs`` calls.
    """
    own_ns, wall_ns = np.empty(runs, np.int64), np.empty(runs, np.int64)
    for k in range(warm_up):
        call(k)
    n = 0
    while n < min_runs or (n < runs and wall_ns[:n].sum() < _ENOUGH_NS):
        wall_start_ns, own_start_ns = time.perf_counter_ns(), time.thread_time_ns()
        call(n)
        own_ns[n] = time.thread_time_ns() - own_start_ns
        wall_ns[n] = time.perf_counter_ns() - wall_start_ns
        n += 1
    p50, p99 = np.percentile(own_ns[:n], (50, 99)) / 1e6
    wall_p99 = np.percentile(wall_ns[:n], 99) / 1e6
    return CallTimes(float(p50), float(p99), float(wall_p99), n)
