"""Comparison of a policy with a baseline: the paired difference on the same episodes, block by block.

Pairing   both played the same schedule: one observation a (seed, episode, slot), matched exactly. A policy
          without randomness on a fixed schedule plays it once and meets every seed of a random baseline.
Beats     the whole interval of the mean difference lies above zero; fewer than three blocks have none.
"""

import numpy as np
from pydantic import Field

from kalshi_platform.domain.config import Config
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.evaluation.judging.sample import Sample
from kalshi_platform.evaluation.statistics.blocks import MIN_BLOCKS
from kalshi_platform.evaluation.statistics.bootstrap import BootstrapConfig, Interval, block_mean_interval
from kalshi_platform.evaluation.statistics.metrics import probabilistic_sharpe


class Comparison(Config):
    """Comparison of the policy with one baseline; differences are fractions of the episode's capital."""

    baseline: str
    difference: Interval
    beats: bool
    share_of_events_better: float | None = Field(description="of blocks; None below three of them")
    probability_better: float | None


def compare(policy: Sample, baseline: Sample, name: str, bootstrap: BootstrapConfig) -> Comparison:
    """Paired difference policy - baseline; ContractError where they did not play the same episodes."""
    by_block = paired_gaps(policy, baseline, name)
    interval = block_mean_interval(by_block, bootstrap)
    return Comparison(
        baseline=name,
        difference=interval,
        beats=interval.above_zero,
        share_of_events_better=float((by_block > 0).mean()) if by_block.size >= MIN_BLOCKS else None,
        probability_better=probabilistic_sharpe(by_block),
    )


def paired_gaps(policy: Sample, baseline: Sample, name: str) -> np.ndarray:
    """Mean difference policy - baseline of every block, (B,); ContractError as in :func:`compare`."""
    left, right = _order(policy), _order(baseline)
    if len(policy.seeds) == 1:
        left = np.tile(left, len(baseline.seeds))
    if not _same_episodes(policy, left, baseline, right):
        raise ContractError(
            f"the policy ({left.size} market episodes) and {name} ({right.size}) are not the same episodes; "
            "use the same bank, seeds and schedule for both"
        )
    gap = np.empty(right.size)
    gap[right] = policy.returns[left] - baseline.returns[right]
    return baseline.block_means(gap)[1]


def _order(sample: Sample) -> np.ndarray:
    r = sample.records
    return np.asarray(np.lexsort((r.slot, r.episode, sample.seed)))


def _same_episodes(a: Sample, at: np.ndarray, b: Sample, bt: np.ndarray) -> bool:
    if at.size != bt.size:
        return False
    keys = ("episode", "slot", "market", "start_ns")
    same = all(np.array_equal(getattr(a.records, k)[at], getattr(b.records, k)[bt]) for k in keys)
    return same and (len(a.seeds) == 1 or bool(np.array_equal(a.seed[at], b.seed[bt])))
