"""T consecutive steps of N environments in columns, written in place while the stepper plays.

Layout     environment-major, (N, T, ...): a contiguous slice of the flattened columns holds consecutive steps
           of few environments, in which a slot's row rarely changes; learners cut minibatches as such slices.
"""

from typing import NamedTuple

import numpy as np

from kalshi_platform.domain.actions import N_ACTIONS
from kalshi_platform.simulation.rollout.discount import Discount
from kalshi_platform.simulation.rollout.gae import gae
from kalshi_platform.simulation.rollout.policy import ActorCritic
from kalshi_platform.simulation.rollout.stepper import Stepper


class Fragment(NamedTuple):
    """Columns of T steps of N environments with S slots."""

    flat: np.ndarray  # (N, T, width) f4: observation that was decided on
    rows: np.ndarray  # (N, T, S) i8
    logits: np.ndarray  # (N, T, S, A) f4, unmasked; A = 0 where they are not kept
    actions: np.ndarray  # (N, T, S) i1
    log_prob: np.ndarray  # (N, T, S) f4, of the drawn actions
    value: np.ndarray  # (N, T, S) f4
    reward: np.ndarray  # (N, T, S) f4
    terminated: np.ndarray  # (N, T) bool
    truncated: np.ndarray  # (N, T) bool
    elapsed_ns: np.ndarray  # (N, T) i8: market time that the step took
    final_value: np.ndarray  # (N, T, S) f4: value of the episode's last observation, where truncated
    advantage: np.ndarray  # (N, T, S) f4
    target: np.ndarray  # (N, T, S) f4

    @property
    def n_steps(self) -> int:
        """Number of steps of each environment, T."""
        return self.terminated.shape[1]


def allocate(n_envs: int, n_steps: int, width: int, n_slots: int, keep_logits: bool = False) -> Fragment:
    """Zeroed columns for ``n_steps`` steps of ``n_envs`` environments."""
    scalar, a_slot = (n_envs, n_steps), (n_envs, n_steps, n_slots)
    return Fragment(
        flat=np.zeros((*scalar, width), np.float32),
        rows=np.zeros(a_slot, np.int64),
        logits=np.zeros((*a_slot, N_ACTIONS if keep_logits else 0), np.float32),
        actions=np.zeros(a_slot, np.int8),
        log_prob=np.zeros(a_slot, np.float32),
        value=np.zeros(a_slot, np.float32),
        reward=np.zeros(a_slot, np.float32),
        terminated=np.zeros(scalar, bool),
        truncated=np.zeros(scalar, bool),
        elapsed_ns=np.zeros(scalar, np.int64),
        final_value=np.zeros(a_slot, np.float32),
        advantage=np.zeros(a_slot, np.float32),
        target=np.zeros(a_slot, np.float32),
    )


class _Final(NamedTuple):
    """Last observations of the episodes that step ``t`` truncated, copied before the next step."""

    t: int
    cut: np.ndarray  # (M,) indices of environments
    flat: np.ndarray  # (M, width) f4
    rows: np.ndarray  # (M, S) i8


def play(stepper: Stepper[ActorCritic], out: Fragment, finals_at_once: bool = True) -> np.ndarray:
    """Fill ``out`` with the next T steps; return the values (N, S) of the observations after them.

    ``finals_at_once``: the policy values the last observations of truncated episodes in one pass at the end,
    else after each step. A network's values differ in their last bits with the number of observations.
    """
    policy, finals = stepper.policy, list[_Final]()
    for t in range(out.n_steps):
        out.flat[:, t], out.rows[:, t] = stepper.flat, stepper.rows
        stepper.step()
        _keep(stepper, out, t)
        if (cut := stepper.cut).size:
            env = stepper.env
            finals.append(_Final(t, cut, env.final_flat[cut], env.final_rows[cut]))
            if not finals_at_once:
                _value_finals(policy, finals, out)
                finals.clear()
    after = policy.present_values(stepper.flat, stepper.rows)
    _value_finals(policy, finals, out)
    return after


def _keep(stepper: Stepper[ActorCritic], out: Fragment, t: int) -> None:
    """Write the last step into column ``t``."""
    policy = stepper.policy
    if out.logits.size:
        out.logits[:, t] = policy.logits
    out.actions[:, t] = stepper.actions
    out.log_prob[:, t] = policy.log_prob
    out.value[:, t] = policy.value
    out.reward[:, t] = stepper.slot_reward
    out.terminated[:, t] = stepper.terminated
    out.truncated[:, t] = stepper.truncated
    out.elapsed_ns[:, t] = stepper.elapsed_ns


def _value_finals(policy: ActorCritic, finals: list[_Final], out: Fragment) -> None:
    """Write the values of last observations, all in one pass."""
    if not finals:
        return
    flat, rows = (np.concatenate(parts) for parts in zip(*((f.flat, f.rows) for f in finals), strict=True))
    value = policy.final_values(flat, rows)
    at = 0
    for t, cut, _, _ in finals:
        out.final_value[cut, t] = value[at : at + cut.size]
        at += cut.size


def estimate_advantages(fragment: Fragment, last_value: np.ndarray, discount: Discount, lam: float) -> None:
    """Fill ``advantage`` and ``target``; ``last_value`` (N, S): of the observations after the fragment."""
    gae(
        fragment.reward,
        fragment.value,
        fragment.terminated,
        fragment.truncated,
        fragment.final_value,
        last_value,
        discount.of_steps(fragment.elapsed_ns),
        lam,
        fragment.advantage,
        fragment.target,
    )
