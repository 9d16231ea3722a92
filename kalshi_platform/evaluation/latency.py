"""How long one decision takes, measured: what a level's latency budget is compared with.

Owns   the measurement. Units: milliseconds of wall time, one torch thread, windows given (as when live).
Not    the network to the exchange and back, nor computing the features: only observation to actions.
"""

import time
from typing import Final

import numpy as np
import torch

from kalshi_platform.domain.config import Config
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.evaluation.evaluate import torch_threads
from kalshi_platform.models.policy import FrozenPolicy

#: Calls before the first that counts: compile and load kernels, touch the weights.
_WARM_UP: Final = 30


class Latency(Config):
    """Wall time of a decision for ``n_groups`` observations at once.

    ``cpu_p99_ms`` counts only the time the thread was running: far below ``p99_ms``, the machine was busy.
    """

    p50_ms: float
    p99_ms: float
    max_ms: float
    cpu_p99_ms: float
    n_groups: int
    n_slots: int
    repeats: int

    def within(self, budget_ms: float) -> bool:
        """Whether all but one of 100 decisions fit into ``budget_ms``."""
        return self.p99_ms <= budget_ms


def decision_latency(policy: FrozenPolicy, n_groups: int = 1, repeats: int = 300) -> Latency:
    """Time ``repeats`` decisions for ``n_groups`` groups of slots, all slots filled with noise.

    Every decision gets windows it has not seen before: nothing is taken from a cache.
    """
    if n_groups < 1 or repeats < 100:
        raise ContractError(f"n_groups={n_groups}, repeats={repeats}: want at least 1 and 100, for a p99")
    spec = policy.spec
    rng = np.random.default_rng([n_groups, repeats])
    flat = rng.uniform(-1, 1, (n_groups, spec.width)).astype(np.float32)
    view = spec.split(torch.from_numpy(flat))
    view.slot_mask[:] = 1.0
    view.action_mask[:] = 1.0
    shape = (n_groups, spec.n_slots, spec.level.window, spec.n_history)
    windows = rng.uniform(-1, 1, shape).astype(np.float32) if spec.reads_history else None
    took_ns, ran_ns = np.empty((2, repeats), np.int64)
    with torch_threads(1):
        for k in range(-_WARM_UP, repeats):
            start_ns, running_ns = time.perf_counter_ns(), time.thread_time_ns()
            policy.act(flat, windows=windows)
            if k >= 0:
                took_ns[k] = time.perf_counter_ns() - start_ns
                ran_ns[k] = time.thread_time_ns() - running_ns
    p50_ms, p99_ms = (float(x) for x in np.percentile(took_ns, (50, 99)) / 1e6)
    return Latency(
        p50_ms=p50_ms,
        p99_ms=p99_ms,
        max_ms=float(took_ns.max()) / 1e6,
        cpu_p99_ms=float(np.percentile(ran_ns, 99)) / 1e6,
        n_groups=n_groups,
        n_slots=spec.n_slots,
        repeats=repeats,
    )
