"""Environments over small banks and a scripted policy, for the tests of rollouts."""

from dataclasses import dataclass

import numpy as np

from kalshi_platform.simulation.envs.config import EnvConfig
from kalshi_platform.simulation.envs.episodes import FixedEpisodes, market_episodes
from kalshi_platform.simulation.envs.vector import ReplayVectorEnv

CONFIG = EnvConfig(n_slots=2, latency_ms=0)


def env_of(bank, n_envs=3, table=None, **settings):
    config = CONFIG.replace(**settings)
    table = market_episodes(bank, config.n_slots) if table is None else table
    return ReplayVectorEnv(bank, FixedEpisodes(table), config, n_envs)


@dataclass
class Script:
    """Plays the same action in slot 0 at every step it is available."""

    layout: object
    actions: list
    step: int = 0

    def act(self, flat, rows):
        wanted = self.actions[min(self.step, len(self.actions) - 1)]
        self.step += 1
        out = np.zeros(rows.shape, np.int8)
        out[:, 0] = np.where(self.layout.action_mask(flat)[:, 0, wanted] > 0, wanted, 0)
        return out
