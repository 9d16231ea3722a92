"""Samples a second of whole PPO iterations: sampling, learning, reports; same net, env, batch and epochs.

train_iteration         small net, against RLlib as it comes: its sampler, its training step, its PPO policy
train_iteration_sb3     small net, against Stable-Baselines3's PPO over our Gymnasium environment
train_iteration_sb3_vector  the same where SB3 is handed our compiled vector environment
train_iteration_simple  level simple, against PPO in plain PyTorch (bare_ppo.py)
Checked: every side moves its weights.
"""

from collections.abc import Callable, Iterator

import bare_ppo
import sb3_ppo
import stock_sampler
import torch
import training_input as made
from stable_baselines3.common.vec_env import VecEnv

from kalshi_platform.learning.training.config import TrainConfig
from kalshi_platform.learning.training.ppo import build_algorithm
from kalshi_platform.learning.training.source import TrainingSource

MakeEnvs = Callable[[TrainingSource, TrainConfig], VecEnv]


def rate(network: torch.nn.Module, iterate: Callable[[], object], runs: int) -> float:
    before = [weights.detach().clone() for weights in network.parameters()]
    measured = made.samples_per_s(iterate, runs)
    moved = [not torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True)]
    assert all(moved), f"{moved.count(False)} of {len(moved)} weights of the peer or ours did not learn"
    return measured


def ours(source: TrainingSource, level: str, runs: int = 4) -> float:
    algorithm = build_algorithm(source, made.config(level))
    measured = rate(algorithm.get_policy().model.network, algorithm.train, runs)
    algorithm.stop()
    return measured


def stock_rllib(source: TrainingSource) -> float:
    algorithm = stock_sampler.build(source, made.config("tiny"))
    measured = rate(algorithm.get_policy().model.network, algorithm.train, runs=1)
    algorithm.stop()
    return measured


def stable_baselines(source: TrainingSource, make_envs: MakeEnvs) -> float:
    config = made.config("tiny")
    model = sb3_ppo.build(source, config, make_envs(source, config))

    def iterate() -> None:
        model.learn(made.N_SAMPLES, reset_num_timesteps=False)

    return rate(model.policy.network, iterate, runs=1)


def bare(source: TrainingSource, level: str = "simple", runs: int = 4) -> float:
    loop = bare_ppo.BarePPO(source, made.config(level))
    return rate(loop.network, loop.iterate, runs)


def main() -> Iterator[dict[str, object]]:
    source = made.source()
    with made.runtime():
        small = ours(source, "tiny")
        yield made.line("train_iteration", small, "RLlib PPO, stock sampler and loss", stock_rllib(source))
        for name, make_envs, peer in (
            ("train_iteration_sb3", sb3_ppo.gymnasium_envs, "Stable-Baselines3 PPO, its DummyVecEnv"),
            ("train_iteration_sb3_vector", sb3_ppo.ReplayVecEnv, "Stable-Baselines3 PPO, our vector env"),
        ):
            yield made.line(name, small, peer, stable_baselines(source, make_envs))
        yield made.line("train_iteration_simple", ours(source, "simple"), "plain PyTorch PPO", bare(source))


if __name__ == "__main__":
    for result in main():
        print(result)
