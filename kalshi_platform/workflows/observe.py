"""Observations that a policy meets when it trades; two policies are compared on them."""

from typing import NamedTuple

import numpy as np

from kalshi_platform.learning.training.session import RunSettings
from kalshi_platform.learning.training.source import TrainingSource
from kalshi_platform.models.networks.acting import NetworkPolicy
from kalshi_platform.models.networks.policy import FrozenPolicy
from kalshi_platform.simulation.replay.bank import Bank
from kalshi_platform.simulation.rollout.stepper import Stepper

_N_ENVS, _EVERY = 64, 5


class Observations(NamedTuple):
    """N observations in a policy's layout."""

    flat: np.ndarray  # (N, width) f4
    rows: np.ndarray  # (N, S) i4


def observations(bank: Bank, settings: RunSettings, policy: FrozenPolicy, n: int) -> Observations:
    """At least ``n`` observations that ``policy`` meets on ``bank`` when it draws its actions; seeded."""
    source = TrainingSource(
        lambda: bank, policy.spec.feature_digest, settings.env, settings.episodes, settings.curriculum
    )
    env, _ = source.vector_env(_N_ENVS, settings.train.seed)
    rng = np.random.default_rng([settings.train.seed, n])
    stepper = Stepper(env, NetworkPolicy(policy.network, bank.arrays, rng))
    flat, rows = [], []
    for step in range(_EVERY * -(-n // _N_ENVS)):
        if step % _EVERY == 0:  # successive steps look alike
            flat.append(stepper.flat.copy())
            rows.append(stepper.rows.copy())
        stepper.step()
    source.close()
    return Observations(np.concatenate(flat), np.concatenate(rows))
