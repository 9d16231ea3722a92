"""``train_iteration_moderate``: level moderate, every row feature of the table, against bare PyTorch PPO.

Same network, batch, environment and loss on both sides (bare_ppo.py). Checked: both move their weights.
"""

from collections.abc import Iterator

import numpy as np
import train_iteration
import training_input as made

from kalshi_platform.data.features.spec import N_ROW_FEATURES, ROW_FEATURE_SETS, TEMPORAL, features_of
from kalshi_platform.learning.training.source import TrainingSource
from kalshi_platform.simulation.envs.config import EpisodeConfig
from kalshi_platform.simulation.replay.bank import Bank, read_only


def bank() -> Bank:
    """The made markets with noise in every column of the feature table."""
    small = made.bank()
    rng = np.random.default_rng(0)
    features = rng.uniform(-1, 1, (small.n_rows, N_ROW_FEATURES)).astype(np.float32)
    temporal = np.ascontiguousarray(features[:, list(TEMPORAL)])
    arrays = small.arrays._replace(features=features, temporal=temporal)
    return Bank(read_only(arrays), small.markets, tuple(f.name for f in features_of(ROW_FEATURE_SETS)))


def main() -> Iterator[dict[str, object]]:
    source = TrainingSource(bank, "0" * 12, episodes=EpisodeConfig(min_steps=500, max_steps=1_500))
    with made.runtime():
        ours = train_iteration.ours(source, "moderate", runs=2)
        peer = train_iteration.bare(source, "moderate", runs=2)
        yield made.line("train_iteration_moderate", ours, "plain PyTorch PPO", peer) | {
            "row_features": N_ROW_FEATURES
        }


if __name__ == "__main__":
    for result in main():
        print(result)
