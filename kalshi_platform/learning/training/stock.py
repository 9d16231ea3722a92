"""The same environments behind RLlib's stock sampler: for comparison and as a fallback.

Observation  flat | windows, in one vector: the stock sampler keeps no column beside the observation.
"""

from typing import Any

import gymnasium as gym
import numpy as np
from ray.rllib.env.env_context import EnvContext
from ray.rllib.env.vector_env import VectorEnv

from kalshi_platform.learning.training.config import TrainConfig
from kalshi_platform.learning.training.source import TrainingSource
from kalshi_platform.models.networks.history import WindowGatherer
from kalshi_platform.models.networks.rllib_adapter import action_space, observation_space


class StockVectorEnv(VectorEnv):
    """``n_envs`` replay environments as RLlib's ``VectorEnv``: stepped together, sampled one by one."""

    def __init__(self, source: TrainingSource, config: TrainConfig, worker: int) -> None:
        spec = source.policy_spec(config.level)
        super().__init__(observation_space(spec, inline_windows=True), action_space(spec), config.n_envs)
        self._env, self._episodes = source.vector_env(config.n_envs, config.seed, worker)
        self._workers = max(1, config.num_env_runners)
        self._windows = WindowGatherer(source.history, spec.level.window) if spec.reads_history else None
        self._flat, self._rows = self._env.buffers()
        self._observation = np.zeros((config.n_envs, spec.width + spec.windows_width), np.float32)
        self._reward = np.zeros(config.n_envs, np.float32)
        self._terminated, self._truncated = np.zeros(config.n_envs, bool), np.zeros(config.n_envs, bool)
        self._started = False
        self._episodes_done = 0

    def vector_reset(
        self, *, seeds: list[int] | None = None, options: list[dict[str, Any]] | None = None
    ) -> tuple[list[np.ndarray], list[dict[str, Any]]]:
        """First observations; the episodes follow the run's own seed, not RLlib's."""
        self._env.reset(self._flat, self._rows)
        self._observe(self._flat, self._rows)
        return list(self._observation.copy()), [{} for _ in range(self.num_envs)]

    def reset_at(
        self, index: int | None = None, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """The first observation of the episode that has already begun when the last one ended."""
        at = slice(index or 0, (index or 0) + 1)
        return self._join(self._flat[at], self._rows[at])[0], {}

    def vector_step(
        self, actions: list[np.ndarray]
    ) -> tuple[list[np.ndarray], list[float], list[bool], list[bool], list[dict[str, Any]]]:
        """Step all environments; where an episode ended, the observation is its final one."""
        taken = np.asarray(actions, np.int8)
        self._env.step(taken, self._flat, self._rows, self._reward, self._terminated, self._truncated)
        self._observe(self._flat, self._rows)
        observations = self._observation.copy()
        ended = np.flatnonzero(self._terminated | self._truncated)
        if ended.size:
            observations[ended] = self._join(self._env.final_flat[ended], self._env.final_rows[ended])
            self._episodes_done += ended.size
            self._episodes.advance(self._episodes_done * self._workers)
        truncated = self._truncated & ~self._terminated
        return (
            list(observations),
            self._reward.tolist(),
            self._terminated.tolist(),
            truncated.tolist(),
            [{} for _ in range(self.num_envs)],
        )

    def get_sub_environments(self) -> list[gym.Env[Any, Any]]:
        """None: the environments share one struct of arrays."""
        return []

    def _observe(self, flat: np.ndarray, rows: np.ndarray) -> None:
        self._observation[:] = self._join(flat, rows)

    def _join(self, flat: np.ndarray, rows: np.ndarray) -> np.ndarray:
        if self._windows is None:
            return flat.copy()
        windows = self._windows.windows(rows.reshape(-1).astype(np.int64)).numpy()
        return np.concatenate((flat, windows.reshape(len(flat), -1)), axis=1)


def stock_env(context: EnvContext) -> StockVectorEnv:
    """For ``register_env``."""
    return StockVectorEnv(context["source"], context["train_config"], context.worker_index)
