"""Share of the attainable optimum that our PPO earns in a Cartea-Jaimungal-Penalva world.

World    ``simulation/simexchange/oracles/making_world.py``: the theory's fills as recordings that the replay
         environment plays; the policy is trained and judged through the ordinary environment and trainer.
Peer     value iteration under our actions and price grid (``making_optimum.py``), exact, dollar an episode.
         ``theory``, ``one_depth`` and ``our_actions`` are the optimum without restrictions, at our one depth
         and step, and with one side at a time: what discretisation costs, before any learning.
Share    (optimum + mean of (policy - optimal table) over the held-out markets) / optimum: both play the same
         market orders, so that their luck cancels. ``standard_errors`` are those of the shares.
Beside   the same share of a policy that draws among the allowed actions: an easy world would pay it too.
Checked  the optimal table earns its exact value in the environment within four standard errors.

    python benchmarks/cjp_policy.py [--seeds 5] [--first-seed 0] [--steps 300000] [--step-ms 1000]
"""

import argparse
import json
import time
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
import training_input as made

from kalshi_platform.data.features.spec import FEATURE_DIGEST
from kalshi_platform.evaluation.statistics.metrics import interquartile_mean
from kalshi_platform.learning.training.config import TrainConfig
from kalshi_platform.learning.training.ppo import build_algorithm
from kalshi_platform.learning.training.source import TrainingSource
from kalshi_platform.models.networks.acting import NetworkPolicy
from kalshi_platform.simulation.envs.episodes import FixedEpisodes, market_episodes
from kalshi_platform.simulation.envs.vector import ReplayVectorEnv
from kalshi_platform.simulation.replay.bank import Bank
from kalshi_platform.simulation.rollout.policy import Policy
from kalshi_platform.simulation.rollout.stepper import Stepper
from kalshi_platform.simulation.simexchange.oracles.making_optimum import TablePolicy, ladder, solve
from kalshi_platform.simulation.simexchange.oracles.making_world import MakingWorld, world_bank

STEP_MS, EPISODE_MS = 1_000, 200_000
DECISIONS_TRAIN, DECISIONS_HELD_OUT = 80_000, 200_000  # in the recordings: as many markets as it takes
TRAIN_SEED, HELD_OUT_SEED = 0, 1
N_SEEDS, N_STEPS = 5, 300_000
TARGET_SHARE = 0.95


class Share(NamedTuple):
    """Share of the optimum that a policy earns, and its standard error."""

    share: float
    error: float


class RandomPolicy:
    """Draws among the allowed actions, each equally likely."""

    def __init__(self, env: ReplayVectorEnv, seed: int) -> None:
        self._layout, self._rng = env.layout, np.random.default_rng(seed)

    def act(self, flat: np.ndarray, rows: np.ndarray) -> np.ndarray:
        mask = self._layout.action_mask(flat)
        return np.asarray((self._rng.random(mask.shape) * mask).argmax(2).astype(np.int8))


def world_of(step_ms: int) -> MakingWorld:
    """The default world, decided every ``step_ms``."""
    return MakingWorld(step_ms=step_ms, n_steps=EPISODE_MS // step_ms)


def environment(world: MakingWorld, bank: Bank) -> ReplayVectorEnv:
    """Every market of ``bank`` once, all side by side."""
    table = market_episodes(bank, 1)
    return ReplayVectorEnv(bank, FixedEpisodes(table), world.env, table.number.size)


def earned(world: MakingWorld, env: ReplayVectorEnv, policy: Policy) -> np.ndarray:
    """Dollars (M,) that ``policy`` earns in each market, less the holding cost."""
    stepper = Stepper(env, policy)
    while env.envs["active"].any():
        stepper.step()
    records = env.drain_episodes()
    return records.episode_return[np.argsort(records.market)] / world.reward_per_dollar


def trained(world: MakingWorld, seed: int, n_steps: int) -> NetworkPolicy:
    """Policy of the ordinary trainer after ``n_steps``, for the held-out bank: no network reads its rows."""
    source = TrainingSource(
        partial(world_bank, world, TRAIN_SEED, DECISIONS_TRAIN // world.n_steps),
        FEATURE_DIGEST,
        world.env,
        world.episodes,
    )
    config = TrainConfig(seed=seed, level="tiny", total_env_steps=n_steps)
    algorithm = build_algorithm(source, config)
    for _ in range(config.iterations):
        algorithm.train()
    network = algorithm.get_policy().model.network
    algorithm.stop()
    return NetworkPolicy(network.eval(), source.bank.arrays)


def main(
    seeds: int = N_SEEDS, first_seed: int = 0, n_steps: int = N_STEPS, step_ms: int = STEP_MS
) -> Iterator[dict[str, object]]:
    """Yield one line; raises where the optimal table does not earn its value."""
    world = world_of(step_ms)
    steps = ladder(world)
    bank = world_bank(world, HELD_OUT_SEED, DECISIONS_HELD_OUT // world.n_steps)
    env = environment(world, bank)
    best = earned(world, env, TablePolicy(world, solve(world).choice, env.layout))
    error = best.std(ddof=1) / best.size**0.5
    if abs(best.mean() - steps.our_actions) > 4 * error:
        raise RuntimeError(
            f"cjp_policy: the optimal table earned {best.mean():.4f} +- {error:.4f} dollar, not "
            f"{steps.our_actions:.4f}: value iteration and the environment disagree"
        )
    env = environment(world, bank)
    by_chance = earned(world, env, RandomPolicy(env, 0))
    shares, spent_s = [], []
    with made.runtime():
        for seed in range(first_seed, first_seed + seeds):
            started_s = time.perf_counter()
            behind = earned(world, environment(world, bank), trained(world, seed, n_steps)) - best
            spent_s.append(time.perf_counter() - started_s)
            shares.append(
                Share(
                    1 + behind.mean() / steps.our_actions,
                    behind.std(ddof=1) / behind.size**0.5 / steps.our_actions,
                )
            )
    value = interquartile_mean(np.array([s.share for s in shares]))
    yield {
        "bench": "cjp_policy",
        "value": round(value, 4),
        "unit": "share of the optimum under our actions, interquartile mean over seeds",
        "peer": "value iteration",
        "peer_value": 1.0,
        "ratio": round(value, 4),
        "shares": [round(s.share, 4) for s in shares],
        "standard_errors": [round(s.error, 4) for s in shares],
        "dollars_an_episode": {name: round(x, 4) for name, x in steps._asdict().items()},
        "random_share": round(float(by_chance.mean()) / steps.our_actions, 4),
        "table_played": round(float(best.mean()), 4),
        "table_played_error": round(float(error), 4),
        "step_ms": step_ms,
        "env_steps": n_steps,
        "seconds_a_seed": [round(s, 1) for s in spent_s],
        "target": TARGET_SHARE,
        "meets_target": bool(value >= TARGET_SHARE),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=N_SEEDS)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=N_STEPS, help="environment steps of each training")
    parser.add_argument("--step-ms", type=int, default=STEP_MS, help="time between two decisions")
    asked = parser.parse_args()
    for line in main(asked.seeds, asked.first_seed, asked.steps, asked.step_ms):
        print(json.dumps(line), flush=True)
