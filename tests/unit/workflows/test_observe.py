"""Observations for comparing two policies: every fifth step of a policy that draws, the same for a seed."""

import numpy as np
import pytest
import torch
from made.bank import made_bank

from kalshi_platform.learning.training.config import TrainConfig
from kalshi_platform.learning.training.session import RunSettings
from kalshi_platform.learning.training.source import TrainingSource
from kalshi_platform.models.networks.actions import sample_actions
from kalshi_platform.models.networks.history import HistoryCodes
from kalshi_platform.models.networks.networks import build_network
from kalshi_platform.models.networks.policy import FrozenPolicy
from kalshi_platform.simulation.envs.config import EnvConfig, EpisodeConfig
from kalshi_platform.workflows.observe import observations

BANK = made_bank()
SETTINGS = RunSettings(
    env=EnvConfig(n_slots=3), episodes=EpisodeConfig(min_steps=5, max_steps=25), train=TrainConfig(seed=4)
)


def made_source() -> TrainingSource:
    return TrainingSource(lambda: BANK, "f" * 12, SETTINGS.env, SETTINGS.episodes)


@pytest.mark.parametrize("level", ["tiny", "simple"])
def test_every_fifth_step_of_a_plain_loop_is_kept(level, one_torch_thread):
    policy = FrozenPolicy(build_network(made_source().policy_spec(level), 2))
    seen = observations(BANK, SETTINGS, policy, n=150)
    assert (seen.flat.shape, seen.rows.shape) == ((192, policy.spec.width), (192, 3))  # whole rounds of 64

    network, (env, _) = policy.network, made_source().vector_env(64, 4)
    rng, codes = np.random.default_rng([4, 150]), None
    if policy.spec.reads_history:
        codes = HistoryCodes(network, BANK.arrays, 64)
    flat, rows = env.buffers()
    env.reset(flat, rows)
    out = np.zeros(64, np.float32), np.zeros(64, bool), np.zeros(64, bool)
    for step in range(15):
        if step % 5 == 0:
            part = slice(64 * (step // 5), 64 * (step // 5 + 1))
            np.testing.assert_array_equal(seen.flat[part], flat)
            np.testing.assert_array_equal(seen.rows[part], rows)
        at = network.spec.split(torch.from_numpy(flat))
        logits, _ = network.decide(
            at.market, None if codes is None else codes.at(rows), at.portfolio, at.slot_mask
        )
        actions, log_prob = np.zeros(rows.shape, np.int8), np.zeros(rows.shape, np.float32)
        sample_actions(logits.numpy(), at.action_mask.numpy(), rng.random(rows.shape), actions, log_prob)
        env.step(actions, flat, rows, *out)
