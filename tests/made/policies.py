"""Policies without a network, for tests of the loop."""

import numpy as np

from kalshi_platform.simulation.envs.vector import ReplayVectorEnv
from made.replay_bank import random_actions


class RandomActor:
    """Draws available actions; its values are sums of an observation's columns, told apart by slot.

    ``asked`` (calls of ``final_values``) counts the observations of each.
    """

    def __init__(self, env: ReplayVectorEnv, seed: int = 0) -> None:
        self.layout = env.layout
        self.rng = np.random.default_rng(seed)
        self.asked: list[int] = []
        self.logits, self.value, self.log_prob = np.zeros((3, 0))

    def act(self, flat: np.ndarray, rows: np.ndarray) -> np.ndarray:
        mask = self.layout.action_mask(flat)
        self.logits = mask * np.float32(0.5)
        self.value = self.present_values(flat, rows)
        self.log_prob = -self.value
        return random_actions(self.rng, mask)

    def present_values(self, flat: np.ndarray, rows: np.ndarray) -> np.ndarray:
        return flat.sum(axis=1, keepdims=True) + rows.astype(np.float32)

    def final_values(self, flat: np.ndarray, rows: np.ndarray) -> np.ndarray:
        self.asked.append(len(flat))
        return 2 * self.present_values(flat, rows)
