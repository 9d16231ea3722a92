"""Observations a policy meets when it trades: what two policies are compared on."""

from typing import NamedTuple

import numpy as np

from kalshi_platform.learning.training.session import RunSettings
from kalshi_platform.learning.training.source import TrainingSource
from kalshi_platform.models.networks.history import History
from kalshi_platform.models.networks.policy import FrozenPolicy
from kalshi_platform.simulation.replay.bank import Bank

_N_ENVS, _EVERY = 64, 5


class Observations(NamedTuple):
    """N observations in a policy's layout."""

    flat: np.ndarray  # (N, width) f4
    rows: np.ndarray  # (N, S) i4
    history: History


def observations(bank: Bank, settings: RunSettings, policy: FrozenPolicy, n: int) -> Observations:
    """At least ``n`` observations that ``policy`` meets on ``bank`` when it draws its actions; seeded."""
    source = TrainingSource(
        lambda: bank, policy.spec.feature_digest, settings.env, settings.episodes, settings.curriculum
    )
    env, _ = source.vector_env(_N_ENVS, settings.train.seed)
    rng = np.random.default_rng([settings.train.seed, n])
    flat, rows = env.buffers()
    reward = np.zeros(_N_ENVS, np.float32)
    terminated, truncated = np.zeros(_N_ENVS, bool), np.zeros(_N_ENVS, bool)
    env.reset(flat, rows)
    found = []
    for step in range(_EVERY * -(-n // _N_ENVS)):
        if step % _EVERY == 0:  # successive steps look alike
            found.append((flat.copy(), rows.copy()))
        actions = policy.act(flat, rows=rows, history=bank.arrays, deterministic=False, rng=rng)
        env.step(actions, flat, rows, reward, terminated, truncated)
    source.close()
    return Observations(
        np.concatenate([f for f, _ in found]), np.concatenate([r for _, r in found]), bank.arrays
    )
