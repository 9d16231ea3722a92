"""The peer of ``train_iteration_simple``: PPO in plain PyTorch over the same environment, network and loss.

A careful engineer writes it without any framework: columns, codes of unchanged windows kept, minibatches of
consecutive steps. Every cost of RLlib beyond this is overhead.
"""

import numpy as np
import torch

from kalshi_platform.learning.training.config import TrainConfig
from kalshi_platform.learning.training.learner import ppo_loss
from kalshi_platform.learning.training.ppo import standardise
from kalshi_platform.learning.training.source import TrainingSource
from kalshi_platform.models.networks.actions import mask_logits, sample_actions
from kalshi_platform.models.networks.history import HistoryCodes, WindowGatherer
from kalshi_platform.models.networks.networks import build_network
from kalshi_platform.simulation.rollout.gae import gae


class BarePPO:
    def __init__(self, source: TrainingSource, config: TrainConfig) -> None:
        self.config = config
        self.network = build_network(source.policy_spec(config.level), config.seed)
        self.env, _ = source.vector_env(config.n_envs, config.seed)
        self.optimizer = torch.optim.Adam(
            self.network.parameters(), lr=config.learning_rate, eps=1e-5, fused=True
        )
        self.rng = np.random.default_rng(config.seed)
        n, t, spec = config.n_envs, config.fragment_length, self.network.spec
        self.codes = HistoryCodes(self.network, source.bank.arrays, n)
        self.gatherer = WindowGatherer(source.bank.arrays, spec.level.window)
        self.flat, self.rows = self.env.buffers()
        self.env.reset(self.flat, self.rows)
        self.obs = np.zeros((n, t, spec.width), np.float32)
        self.obs_rows = np.zeros((n, t, spec.n_slots), np.int32)
        self.actions = np.zeros((n, t, spec.n_slots), np.int8)
        self.log_prob, self.value, self.reward, self.final = np.zeros((4, n, t, spec.n_slots), np.float32)
        self.advantage, self.target = np.zeros((2, n, t, spec.n_slots), np.float32)
        self.terminated, self.truncated = np.zeros((2, n, t), bool)

    def iterate(self) -> None:
        """Sample one batch and learn from it."""
        with torch.inference_mode():
            self._sample()
        self._learn()

    def _decide(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        market, portfolio, slots, mask = self.network.spec.split(torch.from_numpy(self.flat))
        logits, value = self.network.decide(market, self.codes.at(self.rows), portfolio, slots)
        return logits, value, mask

    def _sample(self) -> None:
        self.codes.forget()
        n = self.config.n_envs
        reward, ended, cut = np.zeros(n, np.float32), np.zeros(n, bool), np.zeros(n, bool)
        actions = np.zeros((n, self.actions.shape[2]), np.int8)
        for t in range(self.config.fragment_length):
            logits, value, mask = self._decide()
            uniform = self.rng.random(actions.shape)
            sample_actions(logits.numpy(), mask.numpy(), uniform, actions, self.log_prob[:, t])
            self.obs[:, t], self.obs_rows[:, t] = self.flat, self.rows
            self.actions[:, t], self.value[:, t] = actions, value.numpy()
            self.env.step(actions, self.flat, self.rows, reward, ended, cut)
            self.reward[:, t] = self.env.slots["reward"]
            self.terminated[:, t], self.truncated[:, t] = ended, cut & ~ended
            for i in np.flatnonzero(cut & ~ended):
                market, portfolio, slots, _ = self.network.spec.split(
                    torch.from_numpy(self.env.final_flat[i : i + 1])
                )
                codes = self.codes.fresh(self.env.final_rows[i : i + 1])
                self.final[i, t] = self.network.decide(market, codes, portfolio, slots)[1][0].numpy()
        last = self._decide()[1].numpy()
        c = self.config
        gae(
            self.reward, self.value, self.terminated, self.truncated, self.final, last,
            c.discount.of_steps(np.zeros(self.terminated.shape, np.int64)), c.gae_lambda, self.advantage,
            self.target,
        )  # fmt: skip
        self.env.drain_episodes()

    def _learn(self) -> None:
        c = self.config
        n = c.batch_size
        joined = [
            torch.from_numpy(x.reshape(n, *x.shape[2:]))
            for x in (self.obs, self.actions, self.log_prob, self.value, self.advantage, self.target)
        ]
        rows = self.obs_rows.reshape(n, -1)
        joined[4] = torch.from_numpy(standardise(joined[4].numpy(), rows))
        for _ in range(c.epochs):
            for k in self.rng.permutation(n // c.minibatch):
                part = slice(k * c.minibatch, (k + 1) * c.minibatch)
                flat, actions, log_prob, value, advantage, target = (x[part] for x in joined)
                market, portfolio, slots, mask = self.network.spec.split(flat)
                windows, index = self.gatherer.distinct(rows[part])
                logits, new_value = self.network(market, windows, index, portfolio, slots)
                loss, _ = ppo_loss(
                    mask_logits(logits, mask).log_softmax(-1),
                    slots, new_value, actions, log_prob, value, advantage, target,
                    clip=c.clip, value_clip=c.value_clip, value_coeff=c.value_coeff,
                    entropy_coeff=c.entropy_coeff,
                )  # fmt: skip
                self.optimizer.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(self.network.parameters(), c.grad_clip)
                self.optimizer.step()
