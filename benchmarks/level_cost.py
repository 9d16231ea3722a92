"""The cost of a training sample at each level and history window, and the time of one decision.

Not part of ``run.py``: it has no peer; its figures stand in docs/adr/0005. CPU time of one thread, so that
other load on the machine counts little; the latency is wall time and is only worth reading on an idle one.

    PYTHONPATH=. python benchmarks/level_cost.py
"""

import json
import time

import numpy as np
import torch

from kalshi_platform.data.features.spec import features_of
from kalshi_platform.evaluation.promotion.latency import measure_latency
from kalshi_platform.models.networks.levels import LEVELS, Level
from kalshi_platform.models.networks.networks import PolicyNetwork, build_network
from kalshi_platform.models.networks.policy import FrozenPolicy
from kalshi_platform.models.networks.spec import PolicySpec

SAMPLES, SLOTS, DISTINCT, STEPS, WARM_UP = 512, 5, 0.35, 7, 2
WINDOWS = (8, 16, 32)


def network_of(level: Level) -> PolicyNetwork:
    names = {
        group: tuple(f.name for f in features_of([group])) for group in ("orderbook", "temporal", "portfolio")
    }
    spec = PolicySpec(
        level=level,
        n_slots=SLOTS,
        market=names["orderbook"] + names["temporal"],
        portfolio=names["portfolio"],
        n_history=len(names["temporal"]),
        feature_digest="",
        groups=(),
    )
    return build_network(spec, 0)


def us_per_sample(network: PolicyNetwork) -> float:
    spec, generator = network.spec, torch.Generator().manual_seed(0)
    market = torch.randn(SAMPLES, SLOTS, len(spec.market), generator=generator)
    portfolio = torch.randn(SAMPLES, SLOTS, len(spec.portfolio), generator=generator)
    present = torch.ones(SAMPLES, SLOTS)
    windows = index = None
    if spec.reads_history:
        n = int(SAMPLES * SLOTS * DISTINCT)
        windows = torch.randn(n, spec.level.window, spec.n_history, generator=generator)
        index = torch.randint(1, n + 1, (SAMPLES, SLOTS), generator=generator)
    optimiser = torch.optim.Adam(network.parameters(), fused=True)
    took_s = []
    for _ in range(WARM_UP + STEPS):
        start_s = time.thread_time()
        slots = network.represent(market, network.slot_codes(windows, index), portfolio, present)
        logits, value = network.judge(slots, present)
        loss = logits.log_softmax(-1)[..., 0].mean() + value.square().mean()
        if slots.foreseen is not None:
            loss = loss + slots.foreseen.square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        took_s.append(time.thread_time() - start_s)
    return float(np.median(took_s[WARM_UP:])) / SAMPLES * 1e6


def main() -> None:
    torch.set_num_threads(1)
    for level in LEVELS.values():
        for window in WINDOWS if level.window else (0,):
            network = network_of(level.replace(window=window))
            line = {"level": level.name, "window": window, "us_per_sample": round(us_per_sample(network), 1)}
            if window == level.window:
                line["parameters"] = sum(p.numel() for p in network.parameters())
                latency = measure_latency(FrozenPolicy(network))
                line |= {"p50_ms": round(latency.p50_ms, 2), "p99_ms": round(latency.p99_ms, 2)}
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
