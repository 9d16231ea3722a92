"""The spread over training seeds: the worth of a setting, not of its luckiest run.

Owns   the interquartile mean over seeds and its bootstrap interval.
Units  returns are fractions of an episode's capital; a block is one draw, shared by all seeds.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np

from kalshi_platform.domain.config import Config
from kalshi_platform.evaluation.statistics.blocks import MIN_BLOCKS, decides_nothing
from kalshi_platform.evaluation.statistics.bootstrap import BootstrapConfig, Interval
from kalshi_platform.evaluation.statistics.metrics import interquartile_mean, interquartile_means
from kalshi_platform.evaluation.statistics.overfitting import TrialReturns

#: Fewer seeds than this have no interval: the middle half of four is two runs.
MIN_SEEDS: Final = 5
_CHUNK: Final = 2_000


class SeedSpread(Config):
    """Spread of one setting that was trained from several seeds."""

    n_seeds: int
    n_events: int  # of blocks; the name is older than they are
    scores: dict[str, float]  # run -> mean return over the shared blocks
    iqm: Interval  # of the scores
    share_positive: float | None


def seed_spread(runs: Mapping[str, Mapping[str, float]], config: BootstrapConfig | None = None) -> SeedSpread:
    """Interquartile mean over the runs of one setting (Agarwal et al. 2021); run -> block -> return.

    The interval is a percentile bootstrap that redraws seeds and, apart from that, blocks: the runs share
    their blocks, so both kinds of chance are crossed and each is resampled as a whole (Owen 2007, the
    pigeonhole bootstrap). It covers other seeds on other blocks of the same kind. With fewer than MIN_SEEDS
    seeds or MIN_BLOCKS blocks there is no interval, and the note says so.
    """
    config = config or BootstrapConfig()
    matrix = TrialReturns.of(runs)
    k, e = matrix.values.shape
    if k == 0 or e == 0:
        note = "no seed was validated" if k == 0 else "the seeds share no block"
        empty = Interval(
            estimate=None, low=None, high=None, confidence=config.confidence, n_clusters=k, note=note
        )
        return SeedSpread(n_seeds=k, n_events=e, scores={}, iqm=empty, share_positive=None)
    scores = matrix.values.mean(axis=1)
    low, high, note = None, None, ""
    if k < MIN_SEEDS:
        note = f"only {k} seeds; at least {MIN_SEEDS} are needed"
    elif e < MIN_BLOCKS:
        note = f"{decides_nothing(e)} (blocks)"
    else:
        tail = (1.0 - config.confidence) / 2.0
        low, high = (float(v) for v in np.quantile(_draws(matrix.values, config), (tail, 1.0 - tail)))
    return SeedSpread(
        n_seeds=k,
        n_events=e,
        scores=dict(zip(matrix.trials, scores.tolist(), strict=True)),
        iqm=Interval(
            estimate=interquartile_mean(scores),
            low=low,
            high=high,
            confidence=config.confidence,
            n_clusters=k,
            note=note,
        ),
        share_positive=float((scores > 0).mean()),
    )


def _draws(values: np.ndarray, config: BootstrapConfig) -> np.ndarray:
    """Interquartile means (resamples,) of redrawn seeds on redrawn blocks; values (K, E)."""
    k, e = values.shape
    rng = np.random.default_rng([config.seed, k, e])
    share = np.full(e, 1.0 / e)
    parts = []
    for start in range(0, config.resamples, _CHUNK):
        size = min(_CHUNK, config.resamples - start)
        means = rng.multinomial(e, share, size) @ values.T / e  # (size, K)
        drawn = np.take_along_axis(means, rng.integers(0, k, (size, k)), axis=1)
        parts.append(interquartile_means(drawn))
    return np.concatenate(parts)
