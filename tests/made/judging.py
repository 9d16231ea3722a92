"""Settings of a quick judgement and a policy that sees the next price, for the tests of evaluation."""

import numpy as np

from kalshi_platform.evaluation.judging.evaluation import EvalConfig
from kalshi_platform.simulation.envs.config import EnvConfig
from kalshi_platform.simulation.replay.observation import portfolio_column

ENV = EnvConfig(n_slots=2, latency_ms=0)


QUICK = EvalConfig(
    bootstrap={"resamples": 500}, rollout={"grid_points": 20, "stats_every": 4}, seeds=(0, 1), n_envs=8
)


class Foresight:
    """Buys what the leaked next mid says, leaves when it turns: beats everything."""

    def __init__(self, env):
        self.layout = env.layout
        self.columns = [env.bank.feature_names.index(n) for n in ("mid", "next_mid")]

    def act(self, flat, rows):
        mask = self.layout.action_mask(flat) > 0
        mid, after = (self.layout.split(flat).market[:, :, c] for c in self.columns)
        position = portfolio_column("position", self.layout, flat)
        up, down = after - mid > 0.015, after - mid < -0.015
        wanted = np.where(position == 0, np.where(up, 1, np.where(down, 3, 0)), 0)
        wanted = np.where((position > 0) & down, 2, np.where((position < 0) & up, 4, wanted))
        ok = np.take_along_axis(mask, wanted[..., None], 2)[..., 0]
        return np.where(ok, wanted, 0).astype(np.int8)
