"""Distances of pooled values, and what the same distances are between the data and a resample of it.

Formulas   those of ``measures.py``. The untrimmed W1 and KS equal scipy's ``wasserstein_distance`` and
           ``ks_2samp`` (tests).
Noise      units are drawn with replacement, as many as there are; the distance of the drawn data to the data
           as it is shows how far another sample of the same size, from the same market, would lie.
"""

from typing import Final, NamedTuple

import numpy as np

from kalshi_platform.domain.compiled import kernel

QUANTILES: Final = (0.05, 0.10, 0.25, 0.50, 0.75, 0.90, 0.95)


class Pooled(NamedTuple):
    """Values of a side (n,) f8 ascending, the unit of each (n,) i8, and how often it stands there (n,) f8."""

    value: np.ndarray
    unit: np.ndarray
    times: np.ndarray

    @property
    def n(self) -> int:
        """Number of values."""
        return int(self.times.sum())


def tallied(values: np.ndarray, units: np.ndarray) -> Pooled:
    """Values with equal ones of a unit counted together."""
    if not values.size:
        return Pooled(np.zeros(0), np.zeros(0, np.int64), np.zeros(0))
    order = np.lexsort((units, values))
    values, units = values[order], units[order]
    starts = np.concatenate([[0], np.flatnonzero((np.diff(values) != 0) | (np.diff(units) != 0)) + 1])
    return Pooled(values[starts], units[starts], np.diff(np.append(starts, values.size)).astype(float))


def joined(parts: list[Pooled]) -> Pooled:
    """One pool of ``parts``, whose units are already those of the side."""
    if not parts:
        return tallied(np.zeros(0), np.zeros(0, np.int64))
    value, unit, times = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    order = np.argsort(value, kind="stable")
    return Pooled(value[order], unit[order], times[order])


def quantiles(pooled: Pooled, shares: tuple[float, ...] = QUANTILES) -> list[float]:
    """Least value that the share of all values does not exceed, for each of ``shares``."""
    reached = np.cumsum(pooled.times)
    at = np.searchsorted(reached, np.array(shares) * reached[-1] * (1 - 1e-12))
    return [float(v) for v in pooled.value[at]]


def distances(ours: Pooled, theirs: Pooled, low: float = 0.0, high: float = 1.0) -> tuple[float, float]:
    """(W1 trimmed to [low, high], KS) of two pools on the same scale, neither of them empty."""
    grid = np.union1d(ours.value, theirs.value)
    f, g = _shares(ours, grid), _shares(theirs, grid)
    apart = np.abs(np.clip(f, low, high) - np.clip(g, low, high))[:-1]
    return float(apart @ np.diff(grid)) / (high - low), float(np.abs(f - g).max())


def _shares(pooled: Pooled, grid: np.ndarray) -> np.ndarray:
    """Share of the values at or below each point of ``grid``."""
    reached = np.concatenate([[0.0], np.cumsum(pooled.times)])
    return reached[np.searchsorted(pooled.value, grid, "right")] / reached[-1]


def drawn_units(n_units: int, draws: int, seed: int) -> np.ndarray:
    """Number of times (draws, n_units) f8 that each unit was drawn."""
    rng = np.random.default_rng([seed, n_units])
    return rng.multinomial(n_units, np.full(n_units, 1.0 / n_units), draws).astype(np.float64)


def noise_of(pooled: Pooled, times: np.ndarray, low: float = 0.0, high: float = 1.0) -> np.ndarray:
    """(W1, KS) (draws, 2) of every draw to the pool itself; NaN for a draw without any of its values."""
    found = np.empty((times.shape[0], 2))
    draw_distances(pooled.value, pooled.unit, pooled.times, times, low, high, found)
    return found


@kernel
def draw_distances(
    value: np.ndarray,
    unit: np.ndarray,
    count: np.ndarray,
    times: np.ndarray,
    low: float,
    high: float,
    out: np.ndarray,
) -> None:
    """Write W1, trimmed to [low, high], and KS of every draw to the whole sample into ``out`` (draws, 2).

    value (n,) f8 ascending, unit (n,) i8, count (n,) f8; times (draws, units) f8.
    """
    whole = 0.0
    for i in range(value.size):
        whole += count[i]
    for d in range(times.shape[0]):
        drawn = 0.0
        for i in range(value.size):
            drawn += times[d, unit[i]] * count[i]
        if drawn == 0.0:
            out[d, 0] = np.nan
            out[d, 1] = np.nan
            continue
        f, g, w1, ks = 0.0, 0.0, 0.0, 0.0
        for i in range(value.size):
            f += count[i]
            g += times[d, unit[i]] * count[i]
            if i + 1 < value.size and value[i + 1] == value[i]:
                continue
            f_share, g_share = f / whole, g / drawn
            ks = max(ks, abs(f_share - g_share))
            if i + 1 < value.size:
                cut_f, cut_g = min(max(f_share, low), high), min(max(g_share, low), high)
                w1 += abs(cut_f - cut_g) * (value[i + 1] - value[i])
        out[d, 0] = w1 / (high - low)
        out[d, 1] = ks
