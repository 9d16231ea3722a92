"""Corrections for having looked at many trials: how much of a winner is luck.

Owns       the matrix trial x block, the effective number of trials, the deflated Sharpe ratio of the
           winner and the probability of backtest overfitting (CSCV).
Units      returns are fractions of an episode's capital; a block is one independent draw; Sharpe per block.
Invariant  a figure that cannot be computed is None in its record, and the record's note says why; never NaN.
Not        tests against baselines (superiority.py), the spread over training seeds (seeds.py).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np
from pydantic import Field
from scipy import stats

from kalshi_platform.domain.config import Config
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.evaluation.statistics import metrics
from kalshi_platform.evaluation.statistics.blocks import MIN_BLOCKS, decides_nothing
from kalshi_platform.evaluation.statistics.metrics import NO_SPREAD

#: Below this many blocks no correction says anything: four parts of two are the least CSCV can split.
MIN_TESTED: Final = 8
#: C(16, 8) = 12_870 splits; C(18, 9) would be 48_620 and say the same.
MAX_PARTS: Final = 16
#: Means are compared after rounding to this many decimals, so that equal trials tie on every machine.
_TIE_DECIMALS: Final = 12


@dataclass(frozen=True)
class TrialReturns:
    """Return of every trial on every block: ``values`` (N, E) f8, all finite, names of both sides."""

    trials: tuple[str, ...]
    blocks: tuple[str, ...]
    values: np.ndarray

    def __post_init__(self) -> None:
        shape = (len(self.trials), len(self.blocks))
        if self.values.shape != shape:
            raise ContractError(f"returns have shape {self.values.shape}; expected trials x blocks {shape}")
        if not np.isfinite(self.values).all():
            raise ContractError("returns contain NaN or infinity: drop or repair those trials first")

    @classmethod
    def of(cls, returns: Mapping[str, Mapping[str, float]]) -> "TrialReturns":
        """Matrix of trial -> block -> return, over the blocks that every trial was judged on, sorted."""
        common = set.intersection(*map(set, returns.values())) if returns else set()
        blocks = tuple(sorted(common))
        rows = [[row[block] for block in blocks] for row in returns.values()]
        values = np.array(rows, np.float64).reshape(len(returns), len(blocks))
        return cls(tuple(returns), blocks, values)

    @property
    def too_few(self) -> str:
        """Reason why nothing can be corrected; empty where there are enough trials and blocks."""
        n, e = self.values.shape
        if n < 2:
            return f"{n} trial with validation returns: nothing was selected from, nothing to correct"
        if e < MIN_TESTED:
            return f"only {e} blocks shared by all trials; at least {MIN_TESTED} are needed"
        return ""


class EffectiveTrials(Config):
    """Number of independent trials that the tried ones amount to."""

    n_trials: int
    n_events: int  # of blocks; the name is older than they are
    mean_correlation: float | None
    effective: float | None
    note: str = ""


class DeflatedSharpe(Config):
    """Sharpe ratio of the winner beside the ratio that the best of as many worthless trials would show."""

    winner: str
    n_trials: int
    n_events: int  # of blocks; the name is older than they are
    sharpe: float | None  # None below three blocks
    sharpe_variance: float | None  # of the trials' Sharpe ratios, unbiased
    trials_used: int | None  # the effective number, rounded up
    luck: float | None  # Sharpe ratio the best of that many worthless trials is expected to show
    probability: float | None  # that the winner's true Sharpe ratio exceeds ``luck``
    note: str = ""


class CscvConfig(Config):
    """Settings of the repeated cut of the blocks into halves."""

    blocks: int = Field(
        MAX_PARTS, ge=4, le=MAX_PARTS, multiple_of=2, description="most parts of blocks; an even number"
    )
    seed: int = Field(20_240_607, ge=0, description="seed of the assignment of blocks to parts")


class BacktestOverfitting(Config):
    """Probability of backtest overfitting and its companions (Bailey et al. 2015)."""

    n_trials: int
    n_events: int  # of blocks; the name is older than they are
    n_blocks: int  # parts that CSCV cut the blocks into; the name is older than they are
    n_splits: int
    probability: (
        float | None
    )  # share of splits whose in-sample best is out of sample no better than the median
    median_logit: float | None
    degradation_slope: (
        float | None
    )  # out-of-sample on in-sample mean return of the chosen; None without spread
    loss_probability: float | None  # share of splits whose in-sample best loses money out of sample
    note: str = ""


def effective_trials(returns: TrialReturns) -> EffectiveTrials:
    """Effective number of trials r + (1 - r) N with r the mean correlation of two trials' block returns.

    Bailey, Lopez de Prado 2014 ("The Deflated Sharpe Ratio", appendix on the number of independent trials).
    A negative r counts as 0, so that 1 <= effective <= N. The participation ratio of the correlation's
    eigenvalues was tried too. It counts twice what trials have in common, because that lowers the variance of
    their Sharpe ratios already. From 400 sweeps of 20 worthless trials on 40 blocks with r = 0, 0.5, 0.9 the
    deflated ratio's 95 % passed 0.3, 3.0, 6.2 % with this number and 0.3, 7.0, 9.0 % with that one. Where
    trials fall into a few tight groups this number is too large, which errs to the strict side. Trials
    without spread (they never trade) count as copies of each other, unrelated to the rest.
    """
    n, e = returns.values.shape
    if returns.too_few:
        return EffectiveTrials(
            n_trials=n, n_events=e, mean_correlation=None, effective=None, note=returns.too_few
        )
    mean = float((_correlation(returns.values).sum() - n) / (n * (n - 1)))
    shared = min(max(mean, 0.0), 1.0)
    return EffectiveTrials(
        n_trials=n, n_events=e, mean_correlation=mean, effective=shared + (1.0 - shared) * n
    )


def _correlation(values: np.ndarray) -> np.ndarray:
    """Correlations (N, N) of the rows of ``values`` (N, E); constant rows: 1 with each other, else 0."""
    centred = values - values.mean(axis=1, keepdims=True)
    spread = np.sqrt((centred**2).mean(axis=1))
    flat = spread <= NO_SPREAD
    unit = centred / np.where(flat, 1.0, spread)[:, None]
    unit[flat] = 0.0
    found = np.clip(unit @ unit.T / values.shape[1], -1.0, 1.0)
    found[np.ix_(flat, flat)] = 1.0
    np.fill_diagonal(found, 1.0)
    return np.asarray(found)


def sharpes(values: np.ndarray) -> np.ndarray:
    """Sharpe ratios (N,): mean / population std of each row of ``values`` (N, E), no floor.

    0 without spread.
    """
    std = values.std(axis=1)
    flat = std <= NO_SPREAD
    return np.asarray(np.where(flat, 0.0, values.mean(axis=1) / np.where(flat, 1.0, std)))


def deflate(returns: TrialReturns, winner: str, effective: EffectiveTrials) -> DeflatedSharpe:
    """Deflated Sharpe ratio of ``winner``, one of the trials (metrics.deflated_sharpe).

    The effective number of trials is rounded up. With one trial nothing was selected and the probability is
    that of a Sharpe ratio above zero. ContractError where ``winner`` is not among the trials.
    """
    if winner not in returns.trials:
        raise ContractError(f"winner {winner!r} is not among the trials {list(returns.trials)}")
    n, e = returns.values.shape
    row = returns.values[returns.trials.index(winner)]
    all_sharpes = sharpes(returns.values)
    own = float(all_sharpes[returns.trials.index(winner)]) if e >= MIN_BLOCKS else None
    if n > 1 and effective.effective is None:
        return DeflatedSharpe(
            winner=winner, n_trials=n, n_events=e, sharpe=own, sharpe_variance=None, trials_used=None,
            luck=None, probability=None, note=effective.note,
        )  # fmt: skip
    used = 1 if effective.effective is None else math.ceil(effective.effective - 1e-9)
    variance = float(all_sharpes.var(ddof=1)) if n > 1 else 0.0
    probability = None if float(row.std()) <= NO_SPREAD else metrics.deflated_sharpe(row, used, variance)
    spreadless = "the winner's returns have no usable spread over the blocks"
    note = "" if probability is not None else decides_nothing(e) or spreadless
    return DeflatedSharpe(
        winner=winner,
        n_trials=n,
        n_events=e,
        sharpe=own,
        sharpe_variance=variance,
        trials_used=used,
        luck=metrics.expected_max_sharpe(used, variance),
        probability=probability,
        note=note,
    )


def backtest_overfitting(returns: TrialReturns, config: CscvConfig | None = None) -> BacktestOverfitting:
    """Probability of backtest overfitting by combinatorially symmetric cross-validation.

    Bailey, Borwein, Lopez de Prado, Zhu 2015. The blocks are cut into S parts, S = min(config.blocks, largest
    even number <= E / 2), whose sizes differ by one block at most; each of the C(S, S/2) halves is in sample
    once, the other half out of sample. The figure of merit is what trials are selected by: the mean return
    over blocks. The rank of the in-sample best out of sample, w = rank / (N + 1), gives the logit
    ln(w / (1 - w)); the probability is the share of splits with a logit <= 0.

    Blocks are exchangeable draws, no time series: a seeded permutation assigns them to parts.
    Ties: equal means share their average rank; where several trials are best in sample their out-of-sample
    ranks and returns are averaged, so that the order of the trials never matters; a logit of exactly 0 (the
    chosen is the median) counts as overfit, as in the paper.
    """
    config = config or CscvConfig()
    n, e = returns.values.shape
    if returns.too_few:
        return _no_overfitting(n, e, returns.too_few)
    if np.ptp(returns.values, axis=0).max() <= NO_SPREAD:
        return _no_overfitting(n, e, "all trials earned the same on every block: there is nothing to select")
    n_blocks = min(config.blocks, e // 2 // 2 * 2)
    # Sorted, then permuted: the answer depends on the blocks' names and the seed, not on their order.
    order = np.random.default_rng([config.seed, e]).permutation(np.argsort(np.array(returns.blocks)))
    parts = np.array_split(order, n_blocks)
    inside, outside = _half_means(returns.values, parts)
    return _from_halves(inside, outside, n_blocks, e)


def _no_overfitting(n: int, e: int, note: str) -> BacktestOverfitting:
    return BacktestOverfitting(
        n_trials=n, n_events=e, n_blocks=0, n_splits=0, probability=None, median_logit=None,
        degradation_slope=None, loss_probability=None, note=note,
    )  # fmt: skip


def _half_means(values: np.ndarray, parts: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Mean returns (N, C) in sample and out of sample for every choice of half the parts."""
    n_blocks = len(parts)
    chosen = np.array(list(combinations(range(n_blocks), n_blocks // 2)))
    mask = np.zeros((n_blocks, len(chosen)))
    mask[chosen.T, np.arange(len(chosen))] = 1.0
    sums = np.stack([values[:, part].sum(axis=1) for part in parts], axis=1)  # (N, S)
    sizes = np.array([part.size for part in parts], np.float64)
    inside = sums @ mask / (sizes @ mask)
    outside = sums @ (1.0 - mask) / (sizes @ (1.0 - mask))
    return np.round(inside, _TIE_DECIMALS), np.round(outside, _TIE_DECIMALS)


def _from_halves(inside: np.ndarray, outside: np.ndarray, n_blocks: int, e: int) -> BacktestOverfitting:
    n, n_splits = inside.shape
    best = inside == inside.max(axis=0)  # (N, C); several where they tie
    share = best / best.sum(axis=0)
    rank = (stats.rankdata(outside, method="average", axis=0) * share).sum(axis=0)
    omega = rank / (n + 1)
    logit = np.log(omega / (1.0 - omega))
    chosen_in, chosen_out = inside.max(axis=0), (outside * share).sum(axis=0)
    centred = chosen_in - chosen_in.mean()
    spread = float((centred**2).sum())
    flat = math.sqrt(spread / n_splits) <= NO_SPREAD
    return BacktestOverfitting(
        n_trials=n,
        n_events=e,
        n_blocks=n_blocks,
        n_splits=n_splits,
        # A rank is a multiple of 1/N! at worst: rounding may not decide on which side of 0 a logit falls.
        probability=float((logit <= 1e-9).mean()),
        median_logit=float(np.median(logit)),
        degradation_slope=None if flat else float((centred * chosen_out).sum() / spread),
        loss_probability=float((chosen_out < 0).mean()),
    )
