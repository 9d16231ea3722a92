"""States a champion meets: the champion's own answers, halves of events."""

import numpy as np
import pytest
import torch
from made.bank import made_bank

from kalshi_platform.models.networks.levels import TIER_LEVELS, level_named
from kalshi_platform.models.networks.networks import build_network
from kalshi_platform.models.networks.spec import PolicySpec
from kalshi_platform.serving.distillation.states import StateReader, choices, collect_states
from kalshi_platform.simulation.envs.config import EnvConfig, EpisodeConfig
from kalshi_platform.simulation.envs.curriculum import CurriculumConfig
from kalshi_platform.simulation.envs.episodes import RandomEpisodes
from kalshi_platform.simulation.envs.vector import ReplayVectorEnv
from kalshi_platform.simulation.replay.observation import PORTFOLIO

ENV = EnvConfig(n_slots=3, latency_ms=0)


def network_for(bank, level):

    spec = PolicySpec(
        level=level,
        n_slots=ENV.n_slots,
        market=bank.feature_names,
        portfolio=PORTFOLIO,
        n_history=bank.arrays.temporal.shape[1],
        feature_digest="f" * 12,
        groups=ENV.groups,
    )
    network = build_network(spec, 1).eval().requires_grad_(False)
    with torch.no_grad():  # decided enough that the best action is not a matter of rounding
        network.action_head[-1].weight.mul_(300)
    return network


def collected(bank, network, **changes):
    episodes = RandomEpisodes(bank, EpisodeConfig(min_steps=20, max_steps=60), CurriculumConfig(), 0)
    env = ReplayVectorEnv(bank, episodes, ENV, 8)
    settings = {"steps": 80, "kept": 300, "n_sampling": 4, "seed": 0} | changes
    return collect_states(network, env, **settings)


@pytest.fixture(scope="module")
def bank():
    return made_bank()


@pytest.mark.parametrize(
    "level", [level_named("simple"), TIER_LEVELS[1], TIER_LEVELS[2]], ids=lambda x: x.name
)
def test_kept_answers_are_those_the_network_gives_to_the_kept_state(bank, level):
    network = network_for(bank, level)
    states = collected(bank, network)
    assert states.n == 300
    _, counted = choices(network.spec.layout, states.flat)
    assert counted.any(axis=1).all()
    again = StateReader(network, bank.arrays).logits(states)
    np.testing.assert_allclose(again[counted], states.logits[counted], rtol=1e-4, atol=1e-4)
    assert np.abs(states.advantage[counted]).max() > 0
    assert np.isfinite(states.advantage).all()


def test_the_same_seed_collects_the_same_states(bank):
    network = network_for(bank, level_named("tiny"))
    first, second = collected(bank, network), collected(bank, network)
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)
    other = collected(bank, network, seed=1)
    assert not np.array_equal(first.flat, other.flat)
