"""Samples a second of whole PPO iterations: sampling, learning, reports; same net, env, batch and epochs.

train_iteration         small net, against RLlib as it comes: its sampler, its training step, its PPO policy
train_iteration_sb3     small net, against Stable-Baselines3's PPO
train_iteration_simple  level simple, against PPO in plain PyTorch (bare_ppo.py)
Checked: every side moves its weights.
"""

from collections.abc import Callable, Iterator

import bare_ppo
import sb3_ppo
import torch
import training_input as made
from ray.rllib.algorithms.ppo import PPO

from kalshi_platform.training.ppo import build_algorithm, ppo_config
from kalshi_platform.training.source import TrainingSource


def rate(network: torch.nn.Module, iterate: Callable[[], object], runs: int) -> float:
    before = [weights.detach().clone() for weights in network.parameters()]
    measured = made.samples_per_s(iterate, runs)
    moved = [not torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True)]
    assert all(moved), f"{moved.count(False)} of {len(moved)} weights of the peer or ours did not learn"
    return measured


def ours(source: TrainingSource, level: str) -> float:
    algorithm = build_algorithm(source, made.config(level))
    measured = rate(algorithm.get_policy().model.network, algorithm.train, runs=4)
    algorithm.stop()
    return measured


def stock_rllib(source: TrainingSource) -> float:
    algorithm = PPO(config=ppo_config(source, made.config("tiny", "stock")))
    measured = rate(algorithm.get_policy().model.network, algorithm.train, runs=1)
    algorithm.stop()
    return measured


def stable_baselines(source: TrainingSource) -> float:
    model = sb3_ppo.build(source, made.config("tiny"))

    def iterate() -> None:
        model.learn(made.N_SAMPLES, reset_num_timesteps=False)

    return rate(model.policy.network, iterate, runs=1)


def bare(source: TrainingSource) -> float:
    loop = bare_ppo.BarePPO(source, made.config("simple"))
    return rate(loop.network, loop.iterate, runs=4)


def main() -> Iterator[dict[str, object]]:
    source = made.source()
    with made.runtime():
        small = ours(source, "tiny")
        yield made.line("train_iteration", small, "RLlib PPO, stock sampler and loss", stock_rllib(source))
        yield made.line("train_iteration_sb3", small, "Stable-Baselines3 PPO", stable_baselines(source))
        yield made.line("train_iteration_simple", ours(source, "simple"), "plain PyTorch PPO", bare(source))


if __name__ == "__main__":
    for result in main():
        print(result)
