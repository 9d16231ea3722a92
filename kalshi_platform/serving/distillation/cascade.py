"""A tiered policy plays replayed events, and its champion decides beside it for comparison.

Owns       the batch that the cascade sees in replay, and the counts of who decided and who agreed, by block.
Played     is ``serving/inference/tiered.py`` itself, without the cache of answers. The trading filter stands
           before the cascade, and before the champion and every tier that plays alone, as it does where they
           are served: every difference between them comes from the tiers.
Left out   a tier that never exits (exit_threshold None): asking it could only cost time.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from kalshi_platform.data.features.history import gather_windows
from kalshi_platform.evaluation.judging.rollout import RolloutConfig, number_blocks, run_policy
from kalshi_platform.evaluation.judging.sample import Sample, pool
from kalshi_platform.models.networks.acting import NetworkPolicy
from kalshi_platform.models.networks.device import torch_threads
from kalshi_platform.models.networks.policy import FrozenPolicy
from kalshi_platform.models.networks.spec import PolicySpec
from kalshi_platform.models.rules.filtered import ReplayFilter
from kalshi_platform.models.rules.trading_filter import FREE
from kalshi_platform.serving.distillation.config import JudgeConfig
from kalshi_platform.serving.distillation.halves import stage
from kalshi_platform.serving.distillation.states import choices
from kalshi_platform.serving.inference.batch import Batch, Tier
from kalshi_platform.serving.inference.tiered import ReadyTier, TieredConfig, TieredPolicy, free
from kalshi_platform.simulation.envs.config import EnvConfig
from kalshi_platform.simulation.envs.vector import ReplayVectorEnv
from kalshi_platform.simulation.replay.bank import Bank
from kalshi_platform.simulation.replay.infos import origins
from kalshi_platform.simulation.replay.pages import reading
from kalshi_platform.simulation.rollout.policy import Policy

#: A rollout of which only the returns are read.
_WATCHED: Final = RolloutConfig(grid_points=2, stats_every=1_000_000_000)
#: Caches no answers; codes of windows it does, because their key is the window itself.
UNCACHED: Final = TieredConfig(inference_ttl_ms=0)
N_TIERS: Final = int(max(Tier)) + 1


def cascade_of(spec: PolicySpec, tiers: Collection[ReadyTier]) -> TieredPolicy:
    """Policy of the tiers that the cascade asks: those at which groups may leave, and the last."""
    ordered = sorted(tiers, key=lambda tier: tier.number)
    asked = [t for t in ordered[:-1] if t.exit_threshold is not None]
    return TieredPolicy(spec, (*asked, ordered[-1]._replace(exit_threshold=None)), UNCACHED)


def batch_of(bank: Bank, flat: np.ndarray, rows: np.ndarray, window: int) -> Batch:
    """Batch of N states for a tiered policy: ``flat`` (N, width), windows gathered at ``rows`` (N, S)."""
    windows = None
    if window:
        n_columns = bank.arrays.temporal.shape[1]
        windows = np.empty((*rows.shape, window, n_columns), np.float32)
        flattened = windows.reshape(-1, window, n_columns)
        with reading(bank.arrays, rows) as arrays:
            gather_windows(arrays.temporal, arrays.age, rows.reshape(-1).astype(np.int64), flattened)
    return Batch(flat, windows, free(*rows.shape))


@dataclass(frozen=True)
class Tally:
    """Counts by block; B blocks of the bank, tiers as in ``serving/inference/batch.py``."""

    exits: np.ndarray  # (B, N_TIERS) i8: groups by who decided
    agreed: np.ndarray  # (B,) i8: slots with a choice whose action was the champion's
    counted: np.ndarray  # (B,) i8: slots with a choice

    @property
    def exit_shares(self) -> np.ndarray:
        """Shares (N_TIERS,) of groups that each tier decided, as mean over blocks."""
        groups = self.exits.sum(axis=1)
        seen = groups > 0
        shares: np.ndarray = (self.exits[seen] / groups[seen, None]).mean(axis=0)
        return shares

    @property
    def agreement(self) -> float:
        """Mean over blocks of the share of actions that were the champion's; 1 where none had a choice."""
        seen = self.counted > 0
        return float((self.agreed[seen] / self.counted[seen]).mean()) if seen.any() else 1.0


class WatchedCascade:
    """A policy for ``run_policy``: the cascade acts, the champion decides beside it, both are compared."""

    def __init__(self, tiered: TieredPolicy, champion: FrozenPolicy, env: ReplayVectorEnv) -> None:
        self._tiered, self._bank, self._filter = tiered, env.bank, ReplayFilter(env)
        bank = env.bank
        self._champion = NetworkPolicy(champion.network, bank.arrays)
        self._first_rows = np.ascontiguousarray(bank.arrays.segments["start"])
        blocks, of_market = number_blocks(bank)
        self._segment_block = of_market[bank.arrays.segments["market"]]
        self.tally = Tally(
            exits=np.zeros((len(blocks), N_TIERS), np.int64),
            agreed=np.zeros(len(blocks), np.int64),
            counted=np.zeros(len(blocks), np.int64),
        )

    def act(self, flat: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Actions (N, S) int8 of the cascade; counts who decided them and where the champion agrees."""
        forced = self._filter.look()
        batch = batch_of(self._bank, flat, rows, self._tiered.window)._replace(forced=forced)
        found = self._tiered.decide(batch, 0)
        wanted = self._champion.act(flat, rows)
        self._count(flat, rows, found.tier, found.actions == wanted, forced == FREE)
        return found.actions

    def _count(
        self, flat: np.ndarray, rows: np.ndarray, tier: np.ndarray, same: np.ndarray, is_free: np.ndarray
    ) -> None:
        running = np.flatnonzero((rows >= 0).any(axis=1))
        # All slots of a group hold markets of one event here, so of one block.
        segment = np.searchsorted(self._first_rows, rows[running].max(axis=1), side="right") - 1
        block = self._segment_block[segment]
        _, counted = choices(self._tiered.layout, flat[running])
        counted &= is_free[running]  # a slot that the rules decide is no choice of the networks
        np.add.at(self.tally.exits, (block, tier[running]), 1)
        np.add.at(self.tally.counted, block, counted.sum(axis=1))
        np.add.at(self.tally.agreed, block, (counted & same[running]).sum(axis=1))


class Played(NamedTuple):
    """Result of one policy on the episodes of some events."""

    sample: Sample
    tally: Tally | None

    @property
    def returns(self) -> np.ndarray:
        """Mean return (B,) of every block played, in the bank's order."""
        return self.sample.block_means()[1]

    @property
    def mean_return(self) -> float:
        """Mean return over blocks, each of which counts the same."""
        return float(self.returns.mean())


class Theatre:
    """Events on which a cascade and its champion are compared: every policy plays the same episodes."""

    def __init__(
        self, bank: Bank, events: Collection[str], env: EnvConfig, champion: FrozenPolicy, config: JudgeConfig
    ) -> None:
        self.bank, self.events, self.env, self.config = bank, frozenset(events), env, config
        self.champion = champion
        played = [(event, block) for _, event, block in origins(bank.markets) if event in self.events]
        self.n_events = len({event for event, _ in played})
        self.n_blocks = len({block for _, block in played})

    def stage(self) -> ReplayVectorEnv:
        """Environments that play the events once."""
        return stage(self.bank, self.events, self.env, self.config)

    def play(self, policy: Policy, name: str) -> Sample:
        """Play the episodes with any policy behind the trading filter; ``name`` labels it in messages."""
        return self._run(policy, self.stage(), name, filtered=True)

    def _run(self, policy: Policy, env: ReplayVectorEnv, name: str, *, filtered: bool) -> Sample:
        with torch_threads(1):
            rollout = run_policy(policy, env, _WATCHED, name, filtered=filtered)
        return pool(self.bank, self.env, (0,), [rollout])

    def play_cascade(self, tiered: TieredPolicy, name: str = "cascade") -> Played:
        """Play the episodes with the cascade, and count who decided in them."""
        env = self.stage()
        watched = WatchedCascade(tiered, self.champion, env)  # it asks the filter itself
        return Played(self._run(watched, env, name, filtered=False), watched.tally)
