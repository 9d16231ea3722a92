"""The source of a training run: every process opens the same bank, environments and features from it.

Owns       the recipe, small enough to travel to a worker, and the bank that each process opens once.
Invariant  copies of a source in one process share one bank: RLlib copies its configuration many times.
Shares     a source that is ``shared_by`` workers gives worker k = 1, 2, ... its own events only. Process 0,
           the learner, opens all of them, because it meets the rows of every worker.
"""

import copy
from collections.abc import Callable
from typing import Any, Self

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.models.networks.levels import level_named
from kalshi_platform.models.networks.spec import PolicySpec
from kalshi_platform.simulation.envs.config import EnvConfig, EpisodeConfig
from kalshi_platform.simulation.envs.curriculum import CurriculumConfig
from kalshi_platform.simulation.envs.episodes import RandomEpisodes
from kalshi_platform.simulation.envs.vector import ReplayVectorEnv
from kalshi_platform.simulation.replay.bank import Bank
from kalshi_platform.simulation.replay.infos import numbered
from kalshi_platform.simulation.replay.observation import PORTFOLIO
from kalshi_platform.simulation.replay.open import Share, SplitOpener


class _Recipe:
    """A bank that is opened at its first use, and travels to another process unopened."""

    def __init__(self, open_bank: Callable[[], Bank]) -> None:
        self.open_bank: Any = open_bank
        self._bank: Bank | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return _Recipe, (self.open_bank,)

    @property
    def bank(self) -> Bank:
        if self._bank is None:
            self._bank = self.open_bank()
        return self._bank

    def close(self) -> None:
        self._bank = None


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
        self._recipe = _Recipe(open_bank)
        self._workers = 0
        self._of_workers: dict[int, Self] = {}

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def shared_by(self, workers: int) -> Self:
        """The same source, in which each of ``workers`` opens only its own events.

        ContractError where ``open_bank`` cannot open shares or there are fewer events than workers.
        """
        if not isinstance(self._recipe.open_bank, SplitOpener):
            raise ContractError(
                f"worker_events=own needs a dataset's split (replay.open.SplitOpener), not "
                f"{self._recipe.open_bank!r}; use worker_events=all"
            )
        events = numbered(self.bank.markets, "event").names
        if len(events) < workers:
            raise ContractError(
                f"worker_events=own: {len(events)} training events are too few for {workers} workers; "
                f"use at most {len(events)} workers, or worker_events=all"
            )
        shared = copy.copy(self)
        shared._workers, shared._of_workers = workers, {}
        return shared

    def of_worker(self, worker: int) -> Self:
        """Source for RLlib's worker ``worker``: its share (1, 2, ...), or everything (0, the learner)."""
        if not self._workers or worker == 0:
            return self
        if worker not in self._of_workers:  # asked for by the sampler and by the policy: one bank for both
            open_bank = self._recipe.open_bank
            assert isinstance(open_bank, SplitOpener)  # shared_by refuses others
            own = copy.copy(self)
            own._recipe = _Recipe(open_bank.only(Share(worker - 1, self._workers)))
            own._workers = 0
            self._of_workers[worker] = own
        return self._of_workers[worker]

    @property
    def bank(self) -> Bank:
        """Bank of the training split, opened at the first use in this process."""
        return self._recipe.bank

    def close(self) -> None:
        """Release the bank in this process."""
        self._recipe.close()

    def policy_spec(self, level: str) -> PolicySpec:
        """Spec of a policy of ``level`` trained on this source."""
        return PolicySpec(
            level=level_named(level),
            n_slots=self.env.n_slots,
            market=self.bank.feature_names,
            portfolio=PORTFOLIO,
            n_history=self.bank.arrays.temporal.shape[1],
            feature_digest=self.feature_digest,
            groups=self.env.groups,
        )

    def vector_env(self, n_envs: int, seed: int, worker: int = 0) -> tuple[ReplayVectorEnv, RandomEpisodes]:
        """``n_envs`` training environments and the source of their episodes."""
        episodes = RandomEpisodes(self.bank, self.episodes, self.curriculum, seed, worker)
        env = ReplayVectorEnv(self.bank, episodes, self.env, n_envs, seed=seed * 4_096 + worker)
        return env, episodes
