"""The pooled rollouts of one policy, and the averages over them that let a block count once.

Owns   the order of the averages: play of a market -> market -> event -> block.
Units  returns are fractions of the episode's capital.
Plays  a market that is played through its whole life counts once a seed: its P&L is summed over the episodes
       between its gaps. Windows (schedule ``windows``) are separate plays, of which a market is the mean.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kalshi_platform.evaluation.judging.rollout import Rollout, number_blocks, number_events
from kalshi_platform.evaluation.statistics.blocks import group_sums, nested_means
from kalshi_platform.evaluation.statistics.bootstrap import BootstrapConfig, Interval, block_mean_interval
from kalshi_platform.simulation.envs.config import EnvConfig
from kalshi_platform.simulation.envs.records import EpisodeRecords, join_records
from kalshi_platform.simulation.replay.bank import Bank


@dataclass(frozen=True)
class Sample:
    """Rollouts of one policy over one bank, pooled; M records of all seeds."""

    bank: Bank
    config: EnvConfig
    seeds: tuple[int, ...]
    rollouts: tuple[Rollout, ...]
    records: EpisodeRecords  # (M,)
    seed: np.ndarray  # (M,) i8
    event: np.ndarray  # (M,) i4: index into ``events``
    block: np.ndarray  # (M,) i4: index into ``blocks``
    returns: np.ndarray  # (M,) f8: pnl / capital
    events: tuple[str, ...]
    blocks: tuple[str, ...]
    windows: bool  # the episodes of a market are windows of it, not the parts of its life

    @property
    def event_block(self) -> np.ndarray:
        """Index (E,) of the block of each event of the bank."""
        found = np.zeros(len(self.events), np.int64)
        for index, market in zip(number_events(self.bank)[1], number_blocks(self.bank)[1], strict=True):
            found[index] = market
        return found

    def plays(
        self, values: np.ndarray | None = None, keep: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """(market, value) of every play: a window, or a market's whole life under one seed.

        ``values`` (M,) are the returns unless given; ``keep`` (M,) bool picks records.
        """
        first, summed = self._plays(values, keep)
        return self.records.market[first], summed

    def event_means(
        self, values: np.ndarray | None = None, keep: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """(index of the event, mean of its markets), ascending."""
        first, summed = self._plays(values, keep)
        return nested_means(summed, (self.records.market[first], self.event[first]))

    def block_means(
        self, values: np.ndarray | None = None, keep: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """(index of the block, mean of its events), ascending."""
        first, summed = self._plays(values, keep)
        levels = (self.records.market[first], self.event[first], self.block[first])
        return nested_means(summed, levels)

    def mean_interval(
        self, config: BootstrapConfig, values: np.ndarray | None = None, keep: np.ndarray | None = None
    ) -> Interval:
        """Mean over blocks and its interval, which resamples them."""
        return block_mean_interval(self.block_means(values, keep)[1], config)

    def _plays(self, values: np.ndarray | None, keep: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """(a record of every play, its value); a play has the market, event and block of its record."""
        at = np.arange(self.returns.size) if keep is None else np.flatnonzero(keep)
        picked = (self.returns if values is None else values)[at]
        if self.windows:
            return at, picked
        play = self.seed[at] * len(self.bank.markets) + self.records.market[at]
        first, summed = group_sums(picked, play)
        return at[first], summed


def pool(
    bank: Bank,
    config: EnvConfig,
    seeds: Sequence[int],
    rollouts: Sequence[Rollout],
    *,
    windows: bool = False,
) -> Sample:
    """Join the rollouts of ``seeds``: same bank, settings and policy; ``windows`` as in Sample."""
    events, market_event = number_events(bank)
    blocks, market_block = number_blocks(bank)
    records = join_records([r.records for r in rollouts])
    return Sample(
        bank=bank,
        config=config,
        seeds=tuple(seeds),
        rollouts=tuple(rollouts),
        records=records,
        seed=np.repeat(np.array(seeds, np.int64), [r.records.pnl_e6.size for r in rollouts]),
        event=market_event[records.market],
        block=market_block[records.market],
        returns=records.pnl_e6 / config.capital_e6,
        events=events,
        blocks=blocks,
        windows=windows,
    )
