"""Samples a second of the columnar sampler against RLlib's own, same environment and network.

Checked: both hand over the same number of samples, and only legal actions (the environment refuses others).
"""

from collections.abc import Callable, Iterator

import stock_sampler
import training_input as made

from kalshi_platform.learning.training.ppo import build_algorithm, sample_or_failure
from kalshi_platform.learning.training.source import TrainingSource


def sampling_rate(name: str, sample: Callable[[], object], runs: int, warm_ups: int) -> float:
    def checked() -> None:
        batch = sample()
        count = getattr(batch, "count", None)
        assert count == made.N_SAMPLES, f"{name} sampled {batch}, not {made.N_SAMPLES} samples"

    return made.samples_per_s(checked, runs, warm_ups)


def columnar_rate(source: TrainingSource, level: str) -> float:
    algorithm = build_algorithm(source, made.config(level))
    worker = algorithm.env_runner_group.local_env_runner
    rate = sampling_rate("the columnar reader", lambda: sample_or_failure(worker), runs=5, warm_ups=2)
    algorithm.stop()
    return rate


def stock_rate(source: TrainingSource, level: str) -> float:
    algorithm = stock_sampler.build(source, made.config(level))
    rate = sampling_rate("RLlib", lambda: stock_sampler.sample(algorithm), runs=1, warm_ups=1)
    algorithm.stop()
    return rate


def main() -> Iterator[dict[str, object]]:
    source = made.source()
    with made.runtime():
        for name, level in (("rllib_sampling", "tiny"), ("rllib_sampling_simple", "simple")):
            stock = stock_rate(source, level)
            columnar = columnar_rate(source, level)
            yield made.line(name, columnar, "RLlib's stock sampler, vectorised env", stock)


if __name__ == "__main__":
    for result in main():
        print(result)
