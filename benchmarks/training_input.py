"""Input of the training benchmarks: made markets in the real environment, and one way to time it.

256 environments of five slots, 64 steps each: 16,384 samples an iteration, eight minibatches, four epochs.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import ray
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from made.bank import made_bank

from kalshi_platform.learning.training.config import TrainConfig
from kalshi_platform.learning.training.source import TrainingSource
from kalshi_platform.simulation.envs.config import EpisodeConfig
from kalshi_platform.simulation.replay.bank import Bank

N_ENVS, N_STEPS, MINIBATCH, EPOCHS = 256, 64, 2_048, 4
N_SAMPLES = N_ENVS * N_STEPS


def bank() -> Bank:
    """Bank of twelve events of five markets with 2,000 rows each; every process makes its own."""
    return made_bank(n_events=12, per_event=5, n_rows=2_000)


def source() -> TrainingSource:
    """Source of episodes of 500 to 1,500 steps over :func:`bank`."""
    return TrainingSource(bank, "0" * 12, episodes=EpisodeConfig(min_steps=500, max_steps=1_500))


def config(level: str) -> TrainConfig:
    """Settings that every peer is given."""
    return TrainConfig(
        level=level,
        n_envs=N_ENVS,
        fragment_length=N_STEPS,
        minibatch=MINIBATCH,
        epochs=EPOCHS,
        total_env_steps=10**9,
    )


def samples_per_s(iterate: Callable[[], object], runs: int, warm_ups: int = 1) -> float:
    """Samples a second of the fastest of ``runs`` calls, each of N_SAMPLES samples."""
    for _ in range(warm_ups):
        iterate()
    best_s = float("inf")
    for _ in range(runs):
        started_s = time.perf_counter()
        iterate()
        best_s = min(best_s, time.perf_counter() - started_s)
    return N_SAMPLES / best_s


def line(bench: str, value: float, peer: str, peer_value: float) -> dict[str, object]:
    """Result line of a benchmark."""
    return {
        "bench": bench,
        "value": round(value),
        "unit": "samples/s",
        "peer": peer,
        "peer_value": round(peer_value),
        "ratio": round(value / peer_value, 2),
    }


@contextmanager
def runtime(num_cpus: int = 2) -> Iterator[None]:
    """Start Ray without a dashboard, with the thread count of training, for every peer alike."""
    # "local": never the cluster that somebody else runs on this machine
    ray.init(
        "local", num_cpus=num_cpus, include_dashboard=False, log_to_driver=False, configure_logging=False
    )
    torch.set_num_threads(config("tiny").torch_threads)
    try:
        yield
    finally:
        ray.shutdown()
