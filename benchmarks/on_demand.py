"""Stepping and sampling over a bank on demand, once its rows are there, against the bank in the cache.

Input    60 simulated events, built here; 64 environments of the default settings, level simple for sampling.
Peer     the same split opened as a whole, as every bank that fits into the cache.
Warm     both have played once before: what is measured is the guard of the rows, not reading the shards.
         Rounds take turns; the best of each counts.
Checked  both play the same bits.
"""

import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
import training_input as made
from env_step import play

from kalshi_platform.data.dataset.build import BuildConfig, build_dataset
from kalshi_platform.learning.training.reader import ColumnarReader
from kalshi_platform.learning.training.source import TrainingSource
from kalshi_platform.models.networks.networks import PolicyNetwork
from kalshi_platform.simulation.envs.config import EnvConfig
from kalshi_platform.simulation.replay import open as opening
from kalshi_platform.simulation.replay.cache import CACHE_VARIABLE, LIMIT_VARIABLE
from kalshi_platform.simulation.replay.pages import pages_of
from kalshi_platform.simulation.simexchange.config import SimConfig
from kalshi_platform.simulation.simexchange.simulate import simulate

N_EVENTS, N_ENVS, STEPS, FRAGMENTS, ROUNDS = 60, 64, 1_500, 12, 7
LEAST_RATIO = 0.97


def sources(folder: Path) -> tuple[TrainingSource, TrainingSource]:
    """(source over the bank in the cache, source over the same bank on demand)."""
    simulate(SimConfig(n_events=N_EVENTS), folder / "raw")
    build_dataset([folder / "raw"], folder / "data", BuildConfig(workers=0))
    opener = opening.SplitOpener(str(folder / "data"), "train", EnvConfig().groups)
    whole = opener()
    kept, opening.fits = opening.fits, lambda n_bytes: False
    os.environ[CACHE_VARIABLE] = str(folder / "other-cache")  # in the first, the whole bank is found
    try:
        on_demand = opener()
    finally:
        opening.fits = kept
    if pages_of(whole.arrays) is not None or pages_of(on_demand.arrays) is None:
        raise RuntimeError("on_demand: a bank was not opened as it was asked for")
    return TrainingSource(lambda: whole, "0" * 12), TrainingSource(lambda: on_demand, "0" * 12)


def stepping(source: TrainingSource) -> tuple[float, str]:
    """(decisions a second, digest of what was played)."""
    env, _ = source.vector_env(N_ENVS, seed=0)
    spent_s, decisions, _, digest = play(env, STEPS)
    return decisions / spent_s, digest


def sampling(source: TrainingSource) -> tuple[float, str]:
    """(samples a second of one reader with a network of level simple, digest of the last batch)."""
    torch.manual_seed(0)
    config = made.config("simple").replace(n_envs=N_ENVS)
    reader = ColumnarReader(source, config, PolicyNetwork(source.policy_spec("simple")), 0)
    reader.next()
    started_s = time.perf_counter()
    for _ in range(FRAGMENTS):
        batch = reader.next()
    rate = FRAGMENTS * batch.count / (time.perf_counter() - started_s)
    return rate, hashlib.sha256(np.ascontiguousarray(batch["obs"]).data).hexdigest()


def compared(
    bench: str,
    unit: str,
    measure: Callable[[TrainingSource], tuple[float, str]],
    pair: tuple[TrainingSource, TrainingSource],
) -> dict[str, object]:
    """Line of one measure; raises where the banks play different bits."""
    whole, on_demand = pair
    rates: dict[str, list[float]] = {"whole": [], "on demand": []}
    for round_number in range(ROUNDS + 1):
        played = {"whole": measure(whole), "on demand": measure(on_demand)}
        if len({digest for _, digest in played.values()}) != 1:
            raise RuntimeError(f"{bench}: the bank on demand plays other bits")
        if round_number:  # the first fills rows and compiles
            for name, (rate, _) in played.items():
                rates[name].append(rate)
    value, peer = max(rates["on demand"]), max(rates["whole"])
    return {
        "bench": bench,
        "value": round(value),
        "unit": unit,
        "peer": "the same bank whole in the cache",
        "peer_value": round(peer),
        "ratio": round(value / peer, 3),
        "rounds": ROUNDS,
        "meets_targets": bool(value / peer >= LEAST_RATIO),
    }


def main() -> Iterator[dict[str, object]]:
    """Yield a line for stepping and one for sampling."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ[CACHE_VARIABLE], os.environ[LIMIT_VARIABLE] = f"{folder}/cache", "20"
        pair = sources(Path(folder))
        torch.set_num_threads(made.config("simple").torch_threads)
        yield compared("step_on_demand", "market-slot decisions/s", stepping, pair)
        yield compared("sampling_on_demand", "samples/s", sampling, pair)
