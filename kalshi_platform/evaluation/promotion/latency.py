"""The latency of a policy: one group of slots, one thread, history windows included, as in serving."""

from kalshi_platform.domain.timing import time_calls
from kalshi_platform.models.networks.device import torch_threads
from kalshi_platform.models.networks.policy import FrozenPolicy
from kalshi_platform.models.registry.evidence import Latency
from kalshi_platform.models.registry.export import probes


def measure_latency(policy: FrozenPolicy) -> Latency:
    """Measure ``policy.act`` for one environment; returns percentiles of 1,000 calls.

    At least 200 calls where 10 s are over.
    Judged is the time the thread itself computes (``domain/timing.py`` says why); a policy decides without
    waiting for anything else. The percentile by the wall clock is reported beside it. Every call sees another
    observation, with windows where the level reads history.
    """
    flat, windows = probes(policy.spec)
    each = [
        (flat[k : k + 1], windows[k : k + 1] if policy.spec.reads_history else None) for k in range(len(flat))
    ]

    def act(k: int) -> None:
        observation, window = each[k % len(each)]
        policy.act(observation, windows=window)

    with torch_threads(1):
        return Latency(**time_calls(act)._asdict())
