"""Samples a second of two sampling processes against one, level simple: what a second worker brings.

Every process samples the same number of environments; batches travel through Ray's object store to the
trainer, as in training. Checked: the batches hold the samples of all workers, and each worker has its own.
"""

import time
from collections.abc import Iterator

import numpy as np
import training_input as made

from kalshi_platform.learning.training.ppo import build_algorithm
from kalshi_platform.learning.training.source import TrainingSource

ROUNDS, BATCHES = 4, 6


def sampling_rate(source: TrainingSource, workers: int) -> float:
    """Samples a second of the fastest of ROUNDS rounds of BATCHES batches each."""
    algorithm = build_algorithm(source, made.config("simple").replace(num_env_runners=workers))
    batch = algorithm._sample()
    assert batch.count == workers * made.N_SAMPLES, f"{batch.count} samples of {workers} workers"
    parts = np.split(np.asarray(batch["obs"]), workers)
    assert workers == 1 or not np.array_equal(parts[0], parts[1]), "two workers sampled the same"
    best_s = float("inf")
    for _ in range(ROUNDS):
        started_s = time.perf_counter()
        for _ in range(BATCHES):
            batch = algorithm._sample()
        best_s = min(best_s, time.perf_counter() - started_s)
    algorithm.stop()
    return BATCHES * batch.count / best_s


def main() -> Iterator[dict[str, object]]:
    source = made.source()
    with made.runtime(num_cpus=4):
        one, two = sampling_rate(source, 1), sampling_rate(source, 2)
        yield made.line("sampling_workers", two, "one worker", one)


if __name__ == "__main__":
    for result in main():
        print(result)
