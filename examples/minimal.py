"""From recordings to a judged policy in one file: simulate, build, replay, learn by PPO, report.

    .venv/bin/python examples/minimal.py

Read it from top to bottom. `kalshi-platform train` does the same with RLlib, and more: checkpoints, resume,
validation while it learns, several processes, networks that read history, a curriculum.
"""

import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from kalshi_platform.data.dataset.build import BuildConfig, build_dataset
from kalshi_platform.data.features.spec import FEATURE_DIGEST
from kalshi_platform.evaluation.judging.evaluate import evaluate, trained
from kalshi_platform.evaluation.judging.evaluation import EvalConfig, Evaluation, Subject
from kalshi_platform.evaluation.judging.report import print_view, write_report
from kalshi_platform.learning.training.presets import STANDARD_ENV, STANDARD_EPISODES
from kalshi_platform.models.networks.acting import NetworkPolicy
from kalshi_platform.models.networks.actions import mask_logits
from kalshi_platform.models.networks.levels import level_named
from kalshi_platform.models.networks.networks import PolicyNetwork, build_network
from kalshi_platform.models.networks.policy import FrozenPolicy
from kalshi_platform.models.networks.spec import PolicySpec
from kalshi_platform.simulation.envs.curriculum import CurriculumConfig
from kalshi_platform.simulation.envs.episodes import RandomEpisodes
from kalshi_platform.simulation.envs.vector import ReplayVectorEnv
from kalshi_platform.simulation.replay.observation import PORTFOLIO
from kalshi_platform.simulation.replay.open import open_bank
from kalshi_platform.simulation.rollout.discount import Discount
from kalshi_platform.simulation.rollout.fragment import Fragment, allocate, estimate_advantages, play
from kalshi_platform.simulation.rollout.stepper import Stepper
from kalshi_platform.simulation.simexchange import SimConfig, simulate


class Knobs(NamedTuple):
    """The settings; these take about a minute on two cores."""

    seed: int = 0
    n_events: int = 150  # simulated; a fifth or so is held out
    n_envs: int = 64  # environments stepped together
    n_steps: int = 64  # steps of each of them in an iteration
    iterations: int = 80
    epochs: int = 4  # passes over an iteration's steps
    minibatch: int = 512
    learning_rate: float = 1e-3
    gamma: float = 0.98  # discount a step
    gae_lambda: float = 0.95
    clip: float = 0.2  # of the ratio of the new to the old probability
    value_coeff: float = 0.5
    entropy_coeff: float = 0.006


def main(out: Path, knobs: Knobs) -> Evaluation:
    """Do it all in the folder ``out``; returns what the report says."""
    # 1. Recordings, as a recorder of the exchange would have written them.
    recordings = out / "recordings"
    simulate(SimConfig(seed=knobs.seed, n_events=knobs.n_events), recordings)

    # 2. A dataset: validated rows with their features, split by event, so that no event is in two splits.
    dataset = str(out / "dataset")
    worlds = build_dataset([recordings], dataset, BuildConfig()).worlds

    # 3. Environments that replay the training events as the preset standard does: a decision every 30 seconds
    # of market time. The knobs above have its values too.
    settings = STANDARD_ENV
    bank = open_bank(dataset, "train", settings.groups)
    episodes = RandomEpisodes(bank, STANDARD_EPISODES, CurriculumConfig(), knobs.seed)
    env = ReplayVectorEnv(bank, episodes, settings, knobs.n_envs)

    # 4. A network: logits of five actions and a value for every slot that may hold a market.
    spec = PolicySpec(
        level=level_named("tiny"),
        n_slots=settings.n_slots,
        market=bank.feature_names,
        portfolio=PORTFOLIO,
        n_history=bank.arrays.temporal.shape[1],
        feature_digest=FEATURE_DIGEST,
        groups=settings.groups,
    )
    network = build_network(spec, knobs.seed)
    torch.manual_seed(knobs.seed)
    torch.set_num_threads(1)  # for so small a network more threads wait for each other

    # 5. PPO: play with the present network, credit every decision, learn, repeat.
    stepper = Stepper(env, NetworkPolicy(network, bank.arrays, np.random.default_rng(knobs.seed)))
    fragment = allocate(knobs.n_envs, knobs.n_steps, spec.width, spec.n_slots)
    optimizer = torch.optim.Adam(network.parameters(), lr=knobs.learning_rate, eps=1e-5)
    for iteration in range(1, knobs.iterations + 1):
        last_value = play(stepper, fragment)
        estimate_advantages(fragment, last_value, Discount(knobs.gamma), knobs.gae_lambda)
        learn(network, optimizer, fragment, knobs)
        pnl_e6 = env.drain_episodes().pnl_e6  # of every market of the episodes that ended
        if iteration % 10 == 0:
            print(f"iteration {iteration}: {pnl_e6.mean() / 1e6:+.2f} $ a market, {pnl_e6.size} markets")

    # 6. Events that nobody trained on: the policy beside baselines, with intervals over events.
    held_out = open_bank(dataset, "validation", settings.groups)
    config, subject = EvalConfig.for_rows(held_out.n_rows), Subject(worlds=worlds)
    found = evaluate(trained(FrozenPolicy(network)), held_out, settings, config, subject=subject)
    html, _ = write_report(found, out)
    print_view(found, html)
    return found


def learn(network: PolicyNetwork, optimizer: torch.optim.Optimizer, fragment: Fragment, knobs: Knobs) -> None:
    """Take the steps of PPO (Schulman et al. 2017, eq. 7) on one fragment of N x T observations."""
    flat, actions, old_log_prob, advantage, target = (
        torch.from_numpy(column).flatten(0, 1)  # (N, T, ...) -> (N * T, ...)
        for column in (
            fragment.flat, fragment.actions, fragment.log_prob, fragment.advantage, fragment.target,
        )
    )  # fmt: skip
    present = network.spec.layout.slot_mask(flat)  # (N * T, S): 1 where a slot holds a market
    held = advantage[present > 0.5]
    advantage = (advantage - held.mean()) / (held.std() + 1e-4)
    for _ in range(knobs.epochs):
        for rows in torch.randperm(len(flat)).split(knobs.minibatch):
            logits, value, mask = network.answer(flat[rows], None)
            log_probs = mask_logits(logits, mask).log_softmax(-1)  # (B, S, A)
            log_prob = log_probs.gather(2, actions[rows].long()[..., None])[..., 0]  # (B, S)
            ratio = (log_prob - old_log_prob[rows]).exp()
            gain = torch.min(
                ratio * advantage[rows], ratio.clamp(1 - knobs.clip, 1 + knobs.clip) * advantage[rows]
            )
            entropy = -(log_probs.exp() * log_probs).sum(-1)
            error = (value - target[rows]) ** 2
            loss = -gain + 0.5 * knobs.value_coeff * error - knobs.entropy_coeff * entropy  # (B, S)
            weight = present[rows]
            optimizer.zero_grad()
            ((loss * weight).sum() / weight.sum()).backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 0.5)
            optimizer.step()


if __name__ == "__main__":
    main(Path(tempfile.mkdtemp(prefix="minimal-")), Knobs())
