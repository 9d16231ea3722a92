"""The peer of ``rllib_sampling`` and ``train_iteration``: the same environments behind RLlib's own sampler.

Observation  flat | windows, in one vector: RLlib's sampler keeps no column beside the observation.
Not          resuming, overlap and levels with a microstructure head: nothing here is trained for its result.
"""

from typing import Any

import gymnasium as gym
import numpy as np
import torch
from ray.rllib.algorithms.ppo import PPO, PPOConfig
from ray.rllib.env.env_context import EnvContext
from ray.rllib.env.vector_env import VectorEnv
from ray.rllib.policy.sample_batch import SampleBatch, convert_ma_batch_to_sample_batch
from ray.tune.registry import register_env

from kalshi_platform.learning.training.config import TrainConfig
from kalshi_platform.learning.training.ppo import ppo_config
from kalshi_platform.learning.training.source import TrainingSource
from kalshi_platform.models.networks.history import WindowGatherer
from kalshi_platform.models.networks.rllib_adapter import HISTORY_ROWS, SlotPolicyModel, action_space
from kalshi_platform.models.networks.spec import PolicySpec

ENV_NAME = "kalshi_platform_replay"


def observation_space(spec: PolicySpec) -> gym.spaces.Box:
    """One flat Box: the policy's observation and its S x W x H windows."""
    width = spec.width + spec.n_slots * spec.level.window * spec.n_history
    return gym.spaces.Box(-np.inf, np.inf, (width,), np.float32)


class InlineWindowsModel(SlotPolicyModel):
    """The policy's model, its windows read from the end of the observation."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.view_requirements.pop(HISTORY_ROWS, None)

    def _windows(self, batch: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
        flat, spec = batch["obs"], self.network.spec
        windows = flat[:, spec.width :].reshape(-1, spec.level.window, spec.n_history)  # (B * S, W, H)
        slot_mask = self.slot_mask(batch)
        count = torch.arange(1, len(windows) + 1, device=flat.device)
        return windows, count.view(slot_mask.shape) * (slot_mask > 0.5)  # (B, S)


class StockVectorEnv(VectorEnv):
    """``n_envs`` replay environments as RLlib's ``VectorEnv``: stepped together, sampled one by one."""

    def __init__(self, source: TrainingSource, config: TrainConfig, worker: int) -> None:
        spec = source.policy_spec(config.level)
        super().__init__(observation_space(spec), action_space(spec), config.n_envs)
        self._env, self._episodes = source.vector_env(config.n_envs, config.seed, worker)
        self._workers = max(1, config.num_env_runners)
        self._windows = WindowGatherer(source.bank.arrays, spec.level.window) if spec.reads_history else None
        self._flat, self._rows = self._env.buffers()
        self._observation = np.zeros((config.n_envs, *self.observation_space.shape), np.float32)
        self._reward = np.zeros(config.n_envs, np.float32)
        self._terminated, self._truncated = np.zeros(config.n_envs, bool), np.zeros(config.n_envs, bool)
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


def stock_config(source: TrainingSource, config: TrainConfig) -> PPOConfig:
    """The run's RLlib configuration with RLlib's own sampler in the place of the columnar reader."""
    register_env(ENV_NAME, stock_env)
    settings = ppo_config(source, config)
    model = {**settings.model, "custom_model": InlineWindowsModel}
    return (
        settings.training(model=model)
        .environment(
            ENV_NAME,
            env_config={"source": source, "train_config": config},
            observation_space=None,
            action_space=None,
            disable_env_checking=True,
        )
        .offline_data(input_="sampler", input_config={})
        .experimental(_disable_initialize_loss_from_dummy_batch=False)
    )


def build(source: TrainingSource, config: TrainConfig) -> PPO:
    """RLlib's PPO as it comes: its sampler, its training step, its policy."""
    return PPO(config=stock_config(source, config))


def sample(algorithm: PPO) -> SampleBatch:
    """The next batch of the trainer's own sampler."""
    # A batch of one policy inside a batch of many.
    return convert_ma_batch_to_sample_batch(algorithm.env_runner_group.local_env_runner.sample())
