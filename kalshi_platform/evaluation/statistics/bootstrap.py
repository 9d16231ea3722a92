"""Intervals by resampling whole blocks: what shares a factor and a time moves together and is one draw.

Owns   the clustered bootstrap of a ratio of sums and of paired differences, seeded and vectorised.
Units  those of the values given; confidence and shares are fractions.
Not    which statistic to report (metrics.py) or who beats whom (compare.py).

Interval: BCa (Efron 1987) with the tail probabilities widened for few clusters: a percentile interval of n
draws is too narrow by sqrt((n - 1) / n) and uses the normal where Student's t belongs (Hesterberg 2015).
"""

import math
from typing import Final

import numpy as np
from pydantic import AliasChoices, ConfigDict, Field
from scipy import stats

from kalshi_platform.domain.config import Config
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.evaluation.statistics.blocks import MIN_BLOCKS, decides_nothing

#: Reports and settings on disk call the confidence of an interval ``level``.
ON_DISK: Final = AliasChoices("confidence", "level")
#: Resampled weights held at once: 2e6 x 8 bytes = 16 MB.
_CHUNK_CELLS: Final = 2_000_000


class BootstrapConfig(Config):
    """Settings of the draws behind an interval."""

    model_config = ConfigDict(serialize_by_alias=True)

    resamples: int = Field(10_000, ge=100, le=1_000_000, description="bootstrap draws")
    confidence: float = Field(
        0.95, validation_alias=ON_DISK, serialization_alias="level", gt=0.5, lt=1.0,
        description="two-sided, fraction",
    )  # fmt: skip
    seed: int = Field(20_240_607, ge=0, description="seed of the draws")


class Interval(Config):
    """An estimate with its clustered interval; ``low`` and ``high`` are None where it cannot be drawn."""

    model_config = ConfigDict(serialize_by_alias=True)

    estimate: float | None
    low: float | None
    high: float | None
    confidence: float = Field(validation_alias=ON_DISK, serialization_alias="level")
    n_clusters: int
    note: str = ""

    @property
    def excludes_zero(self) -> bool:
        """True where the whole interval lies on one side of zero; False where there is no interval."""
        if self.low is None or self.high is None:
            return False
        return self.low > 0.0 or self.high < 0.0

    @property
    def above_zero(self) -> bool:
        """True where the whole interval lies above zero."""
        return self.low is not None and self.low > 0.0


def cluster_sums(cluster: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sum and count of ``values`` (M,) f8 for each distinct id in ``cluster`` (M,), ids ascending."""
    _, code = np.unique(cluster, return_inverse=True)
    n = int(code.max()) + 1 if code.size else 0
    return np.bincount(code, values, minlength=n), np.bincount(code, minlength=n).astype(np.float64)


def ratio_interval(num: np.ndarray, den: np.ndarray, config: BootstrapConfig) -> Interval:
    """Interval of sum(num) / sum(den), resampling clusters; num, den (E,) f8, one entry a cluster.

    With den = 1 this is the mean over clusters. Fewer than MIN_BLOCKS clusters decide nothing: no interval.
    """
    num, den = np.asarray(num, np.float64), np.asarray(den, np.float64)
    if num.shape != den.shape or num.ndim != 1:
        raise ContractError(f"cluster sums have shapes {num.shape} and {den.shape}; expected one (E,) each")
    if not (np.isfinite(num).all() and np.isfinite(den).all()):
        raise ContractError("cluster sums contain NaN or infinity: drop or repair those episodes first")
    n = num.size
    if n == 0 or den.sum() == 0:
        return Interval(
            estimate=None, low=None, high=None, confidence=config.confidence, n_clusters=n, note="no data"
        )
    estimate = float(num.sum() / den.sum())
    if n < MIN_BLOCKS:
        note = decides_nothing(n)
        return Interval(
            estimate=estimate, low=None, high=None, confidence=config.confidence, n_clusters=n, note=note
        )
    draws = _ratio_draws(num, den, config)
    low, high = _bca_bounds(draws, estimate, _jackknife(num, den), n, config.confidence)
    note = "" if n >= 10 else f"only {n} blocks: read the interval as a lower bound of the uncertainty"
    return Interval(
        estimate=estimate, low=low, high=high, confidence=config.confidence, n_clusters=n, note=note
    )


def mean_interval(cluster: np.ndarray, values: np.ndarray, config: BootstrapConfig) -> Interval:
    """Interval of the mean of ``values`` (M,) with observations grouped by ``cluster`` (M,)."""
    num, den = cluster_sums(cluster, np.asarray(values, np.float64))
    return ratio_interval(num, den, config)


def block_mean_interval(values: np.ndarray, config: BootstrapConfig) -> Interval:
    """Interval of the mean of ``values`` (B,), one a block: every block counts the same."""
    values = np.asarray(values, np.float64)
    return ratio_interval(values, np.ones_like(values), config)


def paired_sharpe_difference(ours: np.ndarray, theirs: np.ndarray, config: BootstrapConfig) -> Interval:
    """Interval of Sharpe(ours) - Sharpe(theirs), returns (E,) of the same blocks in the same order.

    Sharpe per block: mean / population std. Blocks are drawn jointly for both, so whatever both have in
    common cancels. Returns that are all zero, as of a policy that does not trade, have a Sharpe of 0. Draws
    in which one side gains the same everywhere have no Sharpe ratio and are left out.
    """
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    if ours.shape != theirs.shape or ours.ndim != 1:
        raise ContractError(f"returns have shapes {ours.shape} and {theirs.shape}; expected one (E,) each")
    n = ours.size
    whole = np.ones((1, n)) if n else np.zeros((1, 0))
    gap = _sharpe_gap(whole, ours, theirs)
    if n < MIN_BLOCKS or not np.isfinite(gap).all():
        note = decides_nothing(n) or f"{n} blocks without spread: no Sharpe ratio"
        return Interval(
            estimate=None, low=None, high=None, confidence=config.confidence, n_clusters=n, note=note
        )
    estimate = float(gap[0])
    rng = np.random.default_rng([config.seed, n])
    share, left, found = np.full(n, 1.0 / n), config.resamples, []
    while left > 0:
        size = min(left, max(1, _CHUNK_CELLS // n))
        found.append(_sharpe_gap(rng.multinomial(n, share, size).astype(np.float64), ours, theirs))
        left -= size
    draws = np.concatenate(found)
    jackknife = _sharpe_gap(1.0 - np.eye(n), ours, theirs)
    jackknife = jackknife[np.isfinite(jackknife)]
    low, high = _bca_bounds(draws[np.isfinite(draws)], estimate, jackknife, n, config.confidence)
    note = "" if n >= 10 else f"only {n} blocks: read the interval as a lower bound of the uncertainty"
    return Interval(
        estimate=estimate, low=low, high=high, confidence=config.confidence, n_clusters=n, note=note
    )


def _sharpe_gap(weight: np.ndarray, ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Differences (K,) of the Sharpe ratios of blocks weighted by ``weight`` (K, E); NaN where undefined."""
    return _weighted_sharpe(weight, ours) - _weighted_sharpe(weight, theirs)


def _weighted_sharpe(weight: np.ndarray, returns: np.ndarray) -> np.ndarray:
    total = weight.sum(axis=1)
    centre = returns.mean() if returns.size else 0.0  # squares of centred returns lose no digits
    with np.errstate(invalid="ignore", divide="ignore"):
        off = weight @ (returns - centre) / total
        variance = weight @ (returns - centre) ** 2 / total - off**2
        std = np.sqrt(np.maximum(variance, 0.0))
        mean = off + centre
        return np.where(std > 1e-9, mean / std, np.where(np.abs(mean) < 1e-9, 0.0, np.nan))


def _ratio_draws(num: np.ndarray, den: np.ndarray, config: BootstrapConfig) -> np.ndarray:
    """Draws (resamples,) of the ratio; draws whose denominator is 0 are dropped."""
    rng = np.random.default_rng([config.seed, num.size])
    n, left, parts = num.size, config.resamples, []
    share = np.full(n, 1.0 / n)
    while left > 0:
        size = min(left, max(1, _CHUNK_CELLS // n))
        weight = rng.multinomial(n, share, size).astype(np.float64)  # (size, E): times each block was drawn
        top, bottom = weight @ num, weight @ den
        parts.append(top[bottom != 0] / bottom[bottom != 0])
        left -= size
    return np.concatenate(parts)


def _jackknife(num: np.ndarray, den: np.ndarray) -> np.ndarray:
    """Estimates (E,) with one cluster left out; clusters that hold all the weight are skipped."""
    rest = den.sum() - den
    keep = rest != 0
    return np.asarray((num.sum() - num[keep]) / rest[keep])


def _bca_bounds(
    draws: np.ndarray, estimate: float, jackknife: np.ndarray, n: int, confidence: float
) -> tuple[float, float]:
    """Bias-corrected, accelerated bounds with the tail widened for ``n`` clusters."""
    tail = (1.0 - confidence) / 2.0
    z_tail = math.sqrt(n / (n - 1)) * float(stats.t.ppf(tail, n - 1))
    # Ties count half, so that a statistic with few distinct values is not called biased.
    below = float(np.mean(draws < estimate) + 0.5 * np.mean(draws == estimate))
    z0 = float(stats.norm.ppf(min(max(below, 1e-6), 1.0 - 1e-6)))
    pull = jackknife.mean() - jackknife
    spread = float((pull**2).sum()) ** 1.5
    acceleration = float((pull**3).sum()) / (6.0 * spread) if spread > 0 else 0.0
    bounds = []
    for z in (z_tail, -z_tail):
        room = 1.0 - acceleration * (z0 + z)
        # Past its pole the correction turns round: the outermost draw is the honest bound there.
        shifted = z0 + (z0 + z) / room if room > 0 else math.copysign(math.inf, z)
        bounds.append(float(stats.norm.cdf(shifted)))
    low, high = np.quantile(draws, bounds)
    return float(low), float(high)
