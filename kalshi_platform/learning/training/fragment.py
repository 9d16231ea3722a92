"""One iteration's samples of N environments in columns, written in place, handed to RLlib as views.

Layout     environment-major, (N, T, ...): a contiguous slice of the flattened batch holds consecutive steps
           of few environments, in which a slot's row rarely changes; RLlib cuts minibatches as such slices.
"""

from typing import NamedTuple

import numpy as np
from ray.rllib.evaluation.postprocessing import Postprocessing
from ray.rllib.policy.sample_batch import SampleBatch

from kalshi_platform.models.networks.gae import gae
from kalshi_platform.models.networks.rllib_adapter import HISTORY_ROWS


class Fragment(NamedTuple):
    """Columns of T steps of N environments."""

    flat: np.ndarray  # (N, T, width) f4
    rows: np.ndarray  # (N, T, S) i4
    actions: np.ndarray  # (N, T, S) i1
    log_prob: np.ndarray  # (N, T, S) f4
    value: np.ndarray  # (N, T, S) f4
    reward: np.ndarray  # (N, T, S) f4
    terminated: np.ndarray  # (N, T) bool
    truncated: np.ndarray  # (N, T) bool
    final_value: np.ndarray  # (N, T, S) f4: value of the final observation, where truncated
    advantage: np.ndarray  # (N, T, S) f4
    target: np.ndarray  # (N, T, S) f4


def allocate(n_envs: int, n_steps: int, width: int, n_slots: int) -> Fragment:
    """Zeroed columns."""
    scalar, a_slot = (n_envs, n_steps), (n_envs, n_steps, n_slots)
    return Fragment(
        flat=np.zeros((*scalar, width), np.float32),
        rows=np.zeros(a_slot, np.int32),
        actions=np.zeros(a_slot, np.int8),
        log_prob=np.zeros(a_slot, np.float32),
        value=np.zeros(a_slot, np.float32),
        reward=np.zeros(a_slot, np.float32),
        terminated=np.zeros(scalar, bool),
        truncated=np.zeros(scalar, bool),
        final_value=np.zeros(a_slot, np.float32),
        advantage=np.zeros(a_slot, np.float32),
        target=np.zeros(a_slot, np.float32),
    )


def estimate_advantages(fragment: Fragment, last_value: np.ndarray, gamma: float, lam: float) -> None:
    """Fill ``advantage`` and ``target``; ``last_value`` (N, S): of the observation after the fragment."""
    gae(
        fragment.reward,
        fragment.value,
        fragment.terminated,
        fragment.truncated,
        fragment.final_value,
        last_value,
        gamma,
        lam,
        fragment.advantage,
        fragment.target,
    )


def sample_batch(fragment: Fragment) -> SampleBatch:
    """The columns PPO learns from, as views (N * T, ...) of the fragment; rewards are summed over slots."""
    columns = {
        SampleBatch.OBS: fragment.flat,
        HISTORY_ROWS: fragment.rows,
        SampleBatch.ACTIONS: fragment.actions,
        SampleBatch.ACTION_LOGP: fragment.log_prob,
        SampleBatch.VF_PREDS: fragment.value,
        SampleBatch.REWARDS: fragment.reward.sum(axis=2),
        SampleBatch.TERMINATEDS: fragment.terminated,
        SampleBatch.TRUNCATEDS: fragment.truncated,
        Postprocessing.ADVANTAGES: fragment.advantage,
        Postprocessing.VALUE_TARGETS: fragment.target,
    }
    n = fragment.terminated.size
    flat = {name: column.reshape(n, *column.shape[2:]) for name, column in columns.items()}
    return SampleBatch(flat)  # type: ignore[no-untyped-call]
