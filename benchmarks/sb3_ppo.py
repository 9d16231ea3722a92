"""The peers of ``train_iteration_sb3``: Stable-Baselines3's PPO over the same environment and network.

One peer is SB3 in its usual form, with one Gymnasium environment each in its DummyVecEnv. The other is handed
our vector environment.
"""

from typing import Any

import gymnasium as gym
import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from kalshi_platform.learning.training.config import TrainConfig
from kalshi_platform.learning.training.source import TrainingSource
from kalshi_platform.models.networks.actions import mask_logits
from kalshi_platform.models.networks.networks import build_network
from kalshi_platform.models.networks.rllib_adapter import action_space, observation_space
from kalshi_platform.models.networks.spec import PolicySpec
from kalshi_platform.simulation.envs.gym_env import ReplayEnv


class FlatObservation(gym.ObservationWrapper):
    """The Gymnasium environment's named blocks joined in the order the network reads them."""

    def __init__(self, env: ReplayEnv, space: gym.spaces.Box) -> None:
        super().__init__(env)
        self.observation_space = space

    def observation(self, observation: dict[str, np.ndarray]) -> np.ndarray:
        blocks = ("market", "portfolio", "slot_mask", "action_mask")
        return np.concatenate([observation[name].ravel() for name in blocks])


def gymnasium_envs(source: TrainingSource, config: TrainConfig) -> DummyVecEnv:
    """``n_envs`` environments of our own Gymnasium class, stepped one after the other by SB3."""
    space = observation_space(source.policy_spec(config.level))

    def make(k: int) -> FlatObservation:
        env = ReplayEnv(source.bank, source.env, source.episodes, source.curriculum, seed=config.seed + k)
        return FlatObservation(env, space)

    return DummyVecEnv([lambda k=k: make(k) for k in range(config.n_envs)])


class ReplayVecEnv(VecEnv):
    """The vector environment through SB3's interface."""

    def __init__(self, source: TrainingSource, config: TrainConfig) -> None:
        spec = source.policy_spec(config.level)
        super().__init__(config.n_envs, observation_space(spec), action_space(spec))
        self._env, _ = source.vector_env(config.n_envs, config.seed)
        self._flat, self._rows = self._env.buffers()
        self._reward = np.zeros(config.n_envs, np.float32)
        self._ended, self._cut = np.zeros(config.n_envs, bool), np.zeros(config.n_envs, bool)

    def reset(self) -> np.ndarray:
        self._env.reset(self._flat, self._rows)
        return self._flat.copy()

    def step_async(self, actions: np.ndarray) -> None:
        self._actions = actions.astype(np.int8)

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        self._env.step(self._actions, self._flat, self._rows, self._reward, self._ended, self._cut)
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for i in np.flatnonzero(self._ended | self._cut):
            infos[i]["terminal_observation"] = self._env.final_flat[i].copy()
            infos[i]["TimeLimit.truncated"] = not self._ended[i]
        return self._flat.copy(), self._reward.copy(), self._ended | self._cut, infos

    def close(self) -> None:
        self._env.drain_episodes()

    def get_attr(self, name: str, indices: Any = None) -> list[Any]:
        return [None] * self.num_envs

    def set_attr(self, name: str, value: Any, indices: Any = None) -> None:
        raise NotImplementedError

    def env_method(self, name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        raise NotImplementedError

    def env_is_wrapped(self, wrapper_class: type[gym.Wrapper], indices: Any = None) -> list[bool]:
        return [False] * self.num_envs


class SlotPolicy(ActorCriticPolicy):
    """Our network, without history, as an SB3 policy; masked logits go into SB3's own distribution."""

    def __init__(self, *args: Any, spec: PolicySpec, seed: int, **kwargs: Any) -> None:
        self._spec, self._seed = spec, seed
        super().__init__(*args, net_arch=[], **kwargs)

    def _build(self, lr_schedule: Any) -> None:
        self.network = build_network(self._spec, self._seed)
        self.optimizer = self.optimizer_class(
            self.network.parameters(), lr=lr_schedule(1), **self.optimizer_kwargs
        )

    def _evaluate(self, obs: torch.Tensor) -> tuple[Any, torch.Tensor]:
        market, portfolio, slots, mask = self._spec.split(obs)
        logits, value = self.network.decide(market, None, portfolio, slots)
        masked = mask_logits(logits, mask).flatten(1)
        return self.action_dist.proba_distribution(action_logits=masked), value.sum(dim=1)

    def forward(self, obs: torch.Tensor, deterministic: bool = False) -> tuple[torch.Tensor, ...]:
        distribution, value = self._evaluate(obs)
        actions = distribution.get_actions(deterministic=deterministic)
        return actions, value, distribution.log_prob(actions)

    def evaluate_actions(self, obs: torch.Tensor, actions: torch.Tensor) -> tuple[torch.Tensor, ...]:
        distribution, value = self._evaluate(obs)
        return value, distribution.log_prob(actions), distribution.entropy()

    def predict_values(self, obs: torch.Tensor) -> torch.Tensor:
        return self._evaluate(obs)[1]


def build(source: TrainingSource, config: TrainConfig, envs: VecEnv) -> PPO:
    """Build SB3's PPO over ``envs`` with the settings of ``config``."""
    return PPO(
        SlotPolicy,
        envs,
        learning_rate=config.learning_rate,
        n_steps=config.fragment_length,
        batch_size=config.minibatch,
        n_epochs=config.epochs,
        gamma=config.gamma,
        gae_lambda=config.gae_lambda,
        clip_range=config.clip,
        clip_range_vf=config.value_clip,
        ent_coef=config.entropy_coeff,
        vf_coef=config.value_coeff,
        max_grad_norm=config.grad_clip,
        policy_kwargs={"spec": source.policy_spec(config.level), "seed": config.seed},
        seed=config.seed,
        device="cpu",
    )
