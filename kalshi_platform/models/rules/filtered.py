"""Any policy behind the trading filter, in replay as it is served.

Used by    evaluation and the judging of tiers. Training does not: a learner must see the actions it chose.
"""

import numpy as np

from kalshi_platform.models.rules.filter_inputs import exclusive_sets, filter_slots
from kalshi_platform.models.rules.trading_filter import FREE, REASONS, allocate_inputs
from kalshi_platform.simulation.envs.vector import ReplayVectorEnv
from kalshi_platform.simulation.rollout.policy import Policy


class ReplayFilter:
    """The trading filter on the present observations of ``env``.

    Attributes callers may read: ``forced`` (N, S) i1 and ``reasons`` (N, S) u1 of the last look, ``counts``
    (len(REASONS),) i8: slots that it decided, by reason, over all looks.
    """

    def __init__(self, env: ReplayVectorEnv) -> None:
        self._env = env
        self._params = env.config.execution
        self._sets = exclusive_sets(env.bank)
        self._inputs = allocate_inputs(env.n_envs, env.n_slots)
        self.forced = np.full((env.n_envs, env.n_slots), FREE, np.int8)
        self.reasons = np.zeros((env.n_envs, env.n_slots), np.uint8)
        self.counts = np.zeros(len(REASONS), np.int64)

    def look(self) -> np.ndarray:
        """Actions (N, S) i1 that the rules demand, or FREE; overwritten by the next look."""
        env = self._env
        filter_slots(
            env.arrays, env.envs, env.slots, self._params, self._sets, self._inputs,
            self.forced, self.reasons,
        )  # fmt: skip
        self.counts += np.bincount(self.reasons.reshape(-1), minlength=self.counts.size)
        return self.forced

    def by_reason(self) -> dict[str, int]:
        """Slots decided so far, by the first words of the reason; reasons that never came are left out."""
        named = zip(REASONS, self.counts.tolist(), strict=True)
        return {sentence.split(":")[0]: count for sentence, count in named if sentence and count}


class Filtered:
    """A policy whose actions give way to the rules' demands."""

    def __init__(self, policy: Policy, env: ReplayVectorEnv) -> None:
        """``env``: the environments in which ``policy`` acts."""
        self.policy, self.filter = policy, ReplayFilter(env)

    def act(self, flat: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Actions (N, S) int8 on the present observation of the environments."""
        forced = self.filter.look()
        return np.where(forced == FREE, self.policy.act(flat, rows), forced)
