"""Samples a second of whole iterations with one sampling process: overlapped against one after the other.

Level simple. Overlapped, the worker samples the next batch while the trainer learns the last one; the gain is
at most the share of an iteration that sampling takes, and needs a core for each. Checked: weights move.
"""

from collections.abc import Iterator

import train_iteration
import training_input as made

from kalshi_platform.learning.training.ppo import build_algorithm
from kalshi_platform.learning.training.source import TrainingSource


def iteration_rate(source: TrainingSource, overlap: bool) -> float:
    config = made.config("simple").replace(num_env_runners=1, overlap=overlap)
    algorithm = build_algorithm(source, config)
    network = algorithm.get_policy().model.network
    measured = train_iteration.rate(network, algorithm.train, runs=4)
    algorithm.stop()
    return measured


def main() -> Iterator[dict[str, object]]:
    source = made.source()
    with made.runtime(num_cpus=3):
        plain = iteration_rate(source, overlap=False)
        yield made.line("train_overlap", iteration_rate(source, overlap=True), "not overlapped", plain)


if __name__ == "__main__":
    for result in main():
        print(result)
