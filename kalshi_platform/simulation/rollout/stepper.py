"""The loop of the house: it observes, decides for and steps N environments together.

Owns       the buffers of the present observation and of the last step; no Python runs per environment.
Invariant  the policy sees an observation, its action mask included, before it acts on it, and nothing later.
           ``truncated`` never marks an episode that also terminated: a settled market has no value beyond.
           :meth:`Stepper.set_state` continues to the bit, given the same policy (weights, generator).
"""

from typing import Any, Generic, TypeVar

import numpy as np

from kalshi_platform.simulation.envs.vector import ReplayVectorEnv
from kalshi_platform.simulation.rollout.policy import Policy

PolicyT_co = TypeVar("PolicyT_co", bound=Policy, covariant=True)


class Stepper(Generic[PolicyT_co]):
    """N environments and the policy that acts in them; every environment begins an episode at once.

    Present    flat (N, width) f4, rows (N, S) i8: the observation that the next step decides on
    Last step  actions (N, S) i1, reward (N,) f4, terminated and truncated (N,) bool; zeros before the first
    Each step overwrites all of them, so copy the arrays you keep.
    """

    def __init__(self, env: ReplayVectorEnv, policy: PolicyT_co) -> None:
        self.env = env
        self.policy = policy
        self.flat, self.rows = env.buffers()
        self.actions = np.zeros((env.n_envs, env.n_slots), np.int8)
        self.reward = np.zeros(env.n_envs, np.float32)
        self.terminated = np.zeros(env.n_envs, np.bool_)
        self.truncated = np.zeros(env.n_envs, np.bool_)
        env.reset(self.flat, self.rows)

    @property
    def action_mask(self) -> np.ndarray:
        """View (N, S, A): 1 where the present observation allows the action."""
        return self.env.layout.action_mask(self.flat)

    @property
    def slot_reward(self) -> np.ndarray:
        """View (N, S) f4: reward of each slot in the last step; ``reward`` is the sum over slots."""
        return np.asarray(self.env.slots["reward"])

    @property
    def elapsed_ns(self) -> np.ndarray:
        """View (N,) i8: market time that the last step of each environment took."""
        return np.asarray(self.env.envs["elapsed_ns"])

    @property
    def cut(self) -> np.ndarray:
        """Indices (M,) of the environments whose episode was truncated in the last step."""
        return np.flatnonzero(self.truncated)

    def step(self) -> None:
        """Let the policy act on the present observation and move every environment on.

        ContractError where the policy chooses a masked action; no environment is stepped then.
        """
        self.actions = self.policy.act(self.flat, self.rows)
        self.env.step(self.actions, self.flat, self.rows, self.reward, self.terminated, self.truncated)
        np.greater(self.truncated, self.terminated, out=self.truncated)

    def get_state(self) -> dict[str, Any]:
        """Copies of everything that decides the next step, apart from the policy.

        ``env`` holds arrays, ``episodes`` plain values; records that nobody drained are not part of it.
        """
        return {"env": self.env.get_state(), "episodes": self.env.episodes.get_state()}

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue exactly where :meth:`get_state` was called, with the same bank and settings."""
        self.env.set_state(state["env"])
        self.env.episodes.set_state(state["episodes"])
        self.env.observe(self.flat, self.rows)
