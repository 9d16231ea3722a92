"""What every process of a training run opens: the same bank, environments and features.

Owns       the recipe, small enough to travel to a worker, and the bank it opens there once.
Invariant  copies of a source share one bank in a process: RLlib copies its configuration many times.
"""

import uuid
from collections.abc import Callable
from typing import Any, Final, Self

from kalshi_platform.envs.config import EnvConfig, EpisodeConfig
from kalshi_platform.envs.curriculum import CurriculumConfig
from kalshi_platform.envs.episodes import RandomEpisodes
from kalshi_platform.envs.vector import ReplayVectorEnv
from kalshi_platform.models.history import History
from kalshi_platform.models.levels import level_named
from kalshi_platform.models.spec import PolicySpec
from kalshi_platform.replay.bank import Bank

_OPEN_BANKS: Final[dict[str, Bank]] = {}


class TrainingSource:
    """Training data and environment settings; the picklable ``open_bank`` is called once a process."""

    def __init__(
        self,
        open_bank: Callable[[], Bank],
        feature_digest: str,
        env: EnvConfig | None = None,
        episodes: EpisodeConfig | None = None,
        curriculum: CurriculumConfig | None = None,
    ) -> None:
        self.env = env or EnvConfig()
        self.episodes = episodes or EpisodeConfig()
        self.curriculum = curriculum or CurriculumConfig()
        self.feature_digest = feature_digest
        self._open_bank = open_bank
        self._key = uuid.uuid4().hex

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    @property
    def bank(self) -> Bank:
        """The training split's rows, opened at the first use in this process."""
        if self._key not in _OPEN_BANKS:
            _OPEN_BANKS[self._key] = self._open_bank()
        return _OPEN_BANKS[self._key]

    @property
    def history(self) -> History:
        """Where history windows are gathered from."""
        return self.bank.arrays

    def close(self) -> None:
        """Let go of the bank in this process."""
        _OPEN_BANKS.pop(self._key, None)

    def policy_spec(self, level: str) -> PolicySpec:
        """The record of a policy of ``level`` trained on this source."""
        layout = self.vector_env(1, level, seed=0)[0].layout
        return PolicySpec(
            level=level_named(level),
            n_slots=layout.n_slots,
            market=layout.market,
            portfolio=layout.portfolio,
            n_history=layout.n_history,
            feature_digest=self.feature_digest,
            groups=self.env.groups,
        )

    def vector_env(
        self, n_envs: int, level: str, seed: int, worker: int = 0
    ) -> tuple[ReplayVectorEnv, RandomEpisodes]:
        """``n_envs`` training environments and the source of their episodes."""
        episodes = RandomEpisodes(self.bank, self.episodes, self.curriculum, seed, worker)
        env = ReplayVectorEnv(self.bank, episodes, self.env, n_envs, level_named(level).window)
        return env, episodes
