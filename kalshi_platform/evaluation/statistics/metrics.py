"""Metrics of a result: pure functions of returns, with formulas and sources.

Owns   per-market and aggregate metrics, Sharpe ratios and their significance, drawdown, interquartile mean.
Units  returns are fractions of the episode's capital; time is ns; ratios are per period unless named annual.
Not    intervals (bootstrap.py), comparisons (compare.py).

A message is not an independent draw: no function here multiplies by the square root of a number of steps.
"""

import math
from typing import Final

import numpy as np
from scipy import stats

from kalshi_platform.domain.config import Config
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.market import Provenance
from kalshi_platform.domain.units import NS_PER_DAY
from kalshi_platform.evaluation.statistics.blocks import MIN_BLOCKS

#: Smallest standard deviation a Sharpe ratio is divided by.
SHARPE_STD_FLOOR: Final = 0.01
#: A mean or spread below this is rounding.
NO_SPREAD: Final = 1e-12
NS_PER_YEAR: Final = 365.25 * NS_PER_DAY
#: Below this span an annual figure would be an extrapolation of more than 52 times.
MIN_ANNUAL_SPAN_NS: Final = 7 * NS_PER_DAY
_EULER_GAMMA: Final = 0.577_215_664_901_532_9


class MarketMetrics(Config):
    """Metrics of one market over its episodes."""

    ticker: str
    event: str
    provenance: Provenance
    n_episodes: int
    mean_return: float
    std_return: float | None  # None: one play has no spread; 0 in earlier reports
    sharpe: float
    consistency: float | None  # None: fewer than three plays, or a mean of 0
    pnl_e6: int


class AggregateMetrics(Config):
    """Metrics over all markets, each counted once."""

    n_markets: int
    mean_return: float
    return_consistency: float | None
    mean_sharpe: float
    share_profitable: float


def sharpe(returns: np.ndarray, floor: float = SHARPE_STD_FLOOR) -> float:
    """Sharpe ratio per period: mean / max(std, floor), population std; 0 for no returns."""
    if returns.size == 0:
        return 0.0
    return float(returns.mean() / max(float(returns.std()), floor))


def sharpe_of_moments(count: np.ndarray, total: np.ndarray, total_sq: np.ndarray) -> np.ndarray:
    """Sharpe ratios of many series from their running sums, as :func:`sharpe`; all (M,), counts may be 0."""
    n = np.maximum(count, 1)
    mean = total / n
    std = np.sqrt(np.maximum(total_sq / n - mean**2, 0.0))
    return np.asarray(mean / np.maximum(std, SHARPE_STD_FLOOR))


def block_sharpe(returns: np.ndarray) -> float | None:
    """Sharpe ratio of independent returns (B,), one a block: mean / population std, no floor.

    None below MIN_BLOCKS returns and where they have no spread: nothing can be said there.
    """
    if returns.size < MIN_BLOCKS or float(returns.std()) <= NO_SPREAD:
        return None
    return float(returns.mean() / returns.std())


def consistency(returns: np.ndarray) -> float | None:
    """Consistency 1 - std / |mean|, population std; 1 = every period alike, 0.5 = a std of half the mean.

    None for fewer than three returns and for a mean of 0.
    """
    if returns.size < MIN_BLOCKS or abs(float(returns.mean())) <= NO_SPREAD:
        return None
    return float(1.0 - returns.std() / abs(float(returns.mean())))


def grouped_moments(
    group: np.ndarray, values: np.ndarray, n: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Count, mean and population std of ``values`` (M,) in each group 0..n-1; NaN where a group is empty."""
    count = np.bincount(group, minlength=n).astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.bincount(group, values, minlength=n) / count
        centred = values - mean[group]
        std = np.sqrt(np.bincount(group, centred**2, minlength=n) / count)
    return count, mean, std


def aggregate(mean_returns: np.ndarray, sharpes: np.ndarray) -> AggregateMetrics:
    """Aggregate of per-market mean returns and Sharpe ratios, both (K,)."""
    if mean_returns.size == 0:
        raise ContractError("no market has a finished episode: nothing to aggregate")
    return AggregateMetrics(
        n_markets=mean_returns.size,
        mean_return=float(mean_returns.mean()),
        return_consistency=consistency(mean_returns),
        mean_sharpe=float(sharpes.mean()),
        share_profitable=float((mean_returns > 0).mean()),
    )


def probabilistic_sharpe(returns: np.ndarray, benchmark: float = 0.0) -> float | None:
    """Probability that the true per-period Sharpe exceeds ``benchmark`` (Bailey, Lopez de Prado 2012).

    Phi((SR - SR*) sqrt(T - 1) / sqrt(1 - g3 SR + (g4 - 1)/4 SR^2)), g3 skewness, g4 non-excess kurtosis.
    ``returns`` (T,) must be independent draws (one a block). None where undefined: fewer than 3 returns,
    no spread, or a variance term that is not positive.
    """
    t = returns.size
    if t < 3 or not np.isfinite(returns).all():
        return None
    centred = returns - returns.mean()
    variance = float((centred**2).mean())
    if variance <= NO_SPREAD**2:
        return None
    skew = float((centred**3).mean()) / variance**1.5
    kurtosis = float((centred**4).mean()) / variance**2
    ratio = float(returns.mean()) / math.sqrt(variance)
    spread = 1.0 - skew * ratio + (kurtosis - 1.0) / 4.0 * ratio**2
    if spread <= 0.0:
        return None
    return float(stats.norm.cdf((ratio - benchmark) * math.sqrt(t - 1) / math.sqrt(spread)))


def expected_max_sharpe(n_trials: int, trial_sharpe_variance: float) -> float:
    """Sharpe ratio that the best of ``n_trials`` worthless trials is expected to show.

    Bailey, Lopez de Prado 2014:
    sqrt(V) ((1 - g) Phi^-1(1 - 1/N) + g Phi^-1(1 - 1/(N e))), g = 0.5772; 0 for one trial.
    """
    if n_trials < 1 or trial_sharpe_variance < 0:
        raise ContractError(
            f"n_trials={n_trials} and trial_sharpe_variance={trial_sharpe_variance}: want >= 1 and >= 0"
        )
    if n_trials == 1:
        return 0.0
    first = float(stats.norm.ppf(1.0 - 1.0 / n_trials))
    second = float(stats.norm.ppf(1.0 - 1.0 / (n_trials * math.e)))
    return math.sqrt(trial_sharpe_variance) * ((1.0 - _EULER_GAMMA) * first + _EULER_GAMMA * second)


def deflated_sharpe(returns: np.ndarray, n_trials: int, trial_sharpe_variance: float) -> float | None:
    """Probabilistic Sharpe against the ratio that the best of ``n_trials`` shows by luck.

    None where undefined.
    """
    return probabilistic_sharpe(returns, expected_max_sharpe(n_trials, trial_sharpe_variance))


def annual_sharpe(returns: np.ndarray, start_ns: np.ndarray, end_ns: np.ndarray) -> float | None:
    """Sharpe of independent period returns (one a block) scaled by the square root of blocks a year.

    Blocks a year = their number over the time really elapsed from the first start to the last end, so
    idle weeks count. None where the span is under seven days, or fewer than 3 returns, or no spread.
    """
    if returns.size < 3:
        return None
    span_ns = float(end_ns.max() - start_ns.min())
    std = float(returns.std(ddof=1))
    if span_ns < MIN_ANNUAL_SPAN_NS or std <= NO_SPREAD:
        return None
    return float(returns.mean()) / std * math.sqrt(returns.size * NS_PER_YEAR / span_ns)


def max_drawdown(equity: np.ndarray) -> float:
    """Largest fall of ``equity`` (T,) from an earlier peak, in its own units, >= 0; 0 for an empty curve."""
    if equity.size == 0:
        return 0.0
    return float((np.maximum.accumulate(equity) - equity).max())


def interquartile_mean(values: np.ndarray) -> float:
    """Mean of the middle half (Agarwal et al. 2021): 25 % cut from each end, borders in part."""
    if values.size == 0:
        raise ContractError("interquartile mean of no values")
    return float(interquartile_means(np.asarray(values, np.float64)[None])[0])


def interquartile_means(values: np.ndarray) -> np.ndarray:
    """Interquartile means (B,) of the rows of ``values`` (B, K) f8, K > 0."""
    ordered = np.sort(values, axis=1)
    edges = np.arange(values.shape[1] + 1) / values.shape[1]
    weight = np.clip(np.minimum(edges[1:], 0.75) - np.maximum(edges[:-1], 0.25), 0.0, None)
    return np.asarray((weight * ordered).sum(axis=1) / weight.sum())


def entropy_share(counts: np.ndarray) -> float:
    """Shannon entropy of ``counts`` (A,) over that of equal use: 0 = one action always, 1 = all alike."""
    total = float(counts.sum())
    if total <= 0 or counts.size < 2:
        return 0.0
    share = counts[counts > 0] / total
    # 0.0 - x: a single action has entropy 0, not -0
    return float(0.0 - (share * np.log(share)).sum()) / math.log(counts.size)
