"""Samples a second of the columnar sampler against RLlib's own, same environment and network.

Checked: both hand over the same number of samples, and only legal actions (the environment refuses others).
"""

from collections.abc import Iterator

import training_input as made

from kalshi_platform.learning.training.ppo import build_algorithm, sample_or_failure
from kalshi_platform.learning.training.source import TrainingSource


def sampling_rate(source: TrainingSource, level: str, sampler: str, runs: int) -> float:
    algorithm = build_algorithm(source, made.config(level, sampler))
    worker = algorithm.env_runner_group.local_env_runner

    def sample() -> None:
        batch = sample_or_failure(worker)
        assert batch.count == made.N_SAMPLES, f"{sampler} sampled {batch}, not {made.N_SAMPLES} samples"

    rate = made.samples_per_s(sample, runs, warm_ups=2 if sampler == "columnar" else 1)
    algorithm.stop()
    return rate


def main() -> Iterator[dict[str, object]]:
    source = made.source()
    with made.runtime():
        for name, level in (("rllib_sampling", "tiny"), ("rllib_sampling_simple", "simple")):
            stock = sampling_rate(source, level, "stock", runs=1)
            columnar = sampling_rate(source, level, "columnar", runs=5)
            yield made.line(name, columnar, "RLlib's stock sampler, vectorised env", stock)


if __name__ == "__main__":
    for result in main():
        print(result)
