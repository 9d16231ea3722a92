"""How long one decision takes: one group of slots, one thread, history windows included, as in serving."""

import time
from typing import Final

import numpy as np

from kalshi_platform.evaluation.evaluate import torch_threads
from kalshi_platform.models.policy import FrozenPolicy
from kalshi_platform.registry.evidence import Latency
from kalshi_platform.registry.export import probes

_WARM_UP: Final = 50
_RUNS: Final = 1_000


def measure_latency(policy: FrozenPolicy, runs: int = _RUNS) -> Latency:
    """Median and 99th percentile of ``runs`` calls of ``policy.act`` for one environment, after a warm-up.

    Every call sees another observation, with windows where the level reads history. 1,000 calls put ten
    beyond the 99th percentile; fewer would make it the slowest call.
    """
    flat, windows = probes(policy.spec)
    each = [
        (flat[k : k + 1], windows[k : k + 1] if policy.spec.reads_history else None) for k in range(len(flat))
    ]
    taken_ns = np.empty(runs, np.int64)
    with torch_threads(1):
        for k in range(_WARM_UP):
            observation, window = each[k % len(each)]
            policy.act(observation, windows=window)
        for k in range(runs):
            observation, window = each[k % len(each)]
            start = time.perf_counter_ns()
            policy.act(observation, windows=window)
            taken_ns[k] = time.perf_counter_ns() - start
    p50, p99 = np.percentile(taken_ns, (50, 99)) / 1e6
    return Latency(p50_ms=float(p50), p99_ms=float(p99), runs=runs)
