"""Hansen's test of superior ability: is any trial better than a benchmark, given how many were tried?

Owns   one record a benchmark: doing nothing (every return 0) and each baseline.
Units  returns are fractions of an episode's capital; a loss is a negative return.
Not    the draws of the test: those are ``arch.bootstrap.SPA``.

Blocks are independent draws, so the bootstrap resamples single blocks: its own block length is 1. Hansen's
statistic is the largest *studentised* gain, each trial's mean over its own standard deviation (2005, eq. 8).
For independent draws his bootstrapped variance is the population variance of the gains. ``arch`` divides by
nothing, so that one noisy trial would drown the rest: it is given gains that are divided already.

Equation 8 keeps that deviation in every draw, which believes too easily where blocks are few or large
losses are rare: a trial that met no loss looks both good and steady. ``p_own_spread`` therefore divides each
draw by its own deviation, as bootstrap-t does. A trial counts as better only where both p-values are small
(``judged_p``); docs/statistics.md shows how often either is wrong.
"""

import math
from collections.abc import Mapping
from typing import Final

import numpy as np
from arch.bootstrap import SPA
from pydantic import Field

from kalshi_platform.domain.config import Config
from kalshi_platform.evaluation.statistics.metrics import NO_SPREAD
from kalshi_platform.evaluation.statistics.overfitting import MIN_TESTED, TrialReturns

DO_NOTHING: Final = "doing nothing"


class SuperiorityConfig(Config):
    """Settings of the draws of the test."""

    resamples: int = Field(5_000, ge=100, le=100_000, description="bootstrap draws")
    seed: int = Field(20_240_607, ge=0, description="seed of the draws")


class Superiority(Config):
    """Test of the hypothesis "no trial is better than the benchmark"; a small p-value speaks against it."""

    benchmark: str
    n_trials: int  # trials whose difference to the benchmark has a spread; the others are left out
    n_events: int  # of blocks; the name is older than they are
    best: str  # the trial with the largest studentised difference; empty where none was tested
    best_difference: float | None  # its mean, a fraction of capital
    p_value: float | None  # Hansen's consistent one
    p_lower: float | None
    p_upper: float | None
    resamples: int
    note: str = ""
    p_own_spread: float | None = Field(None, description="each draw over its own spread; None in older files")

    @property
    def judged_p(self) -> float | None:
        """The larger of the two p-values: what a decision may rest on."""
        if self.p_value is None:
            return None
        return max(self.p_value, self.p_own_spread or 0.0)


def superiority(
    returns: TrialReturns,
    baselines: Mapping[str, Mapping[str, float]],
    config: SuperiorityConfig | None = None,
) -> tuple[Superiority, ...]:
    """Tests against doing nothing and against each of ``baselines`` (name -> block -> return).

    Hansen 2005, "A test for superior predictive ability". The blocks of a baseline and of the trials are
    matched by name; where they share too few, the answer is a note.
    """
    config = config or SuperiorityConfig()
    nothing = dict.fromkeys(returns.blocks, 0.0)
    everyone = {DO_NOTHING: nothing, **baselines}
    return tuple(_against(returns, name, row, config) for name, row in everyone.items())


def _against(
    returns: TrialReturns, name: str, benchmark: Mapping[str, float], config: SuperiorityConfig
) -> Superiority:
    shared = [k for k, block in enumerate(returns.blocks) if block in benchmark]
    base = np.array([benchmark[returns.blocks[k]] for k in shared], np.float64)
    if not returns.trials:
        return _untested(name, 0, len(shared), "no trial was validated", config)
    if len(shared) < MIN_TESTED:
        note = f"only {len(shared)} blocks are known for both; at least {MIN_TESTED} are needed"
        return _untested(name, 0, len(shared), note, config)
    values = returns.values[:, shared]
    gain = values - base
    moving = np.flatnonzero(gain.std(axis=1) > NO_SPREAD)
    if moving.size == 0:
        note = "every trial differs from it by the same amount on every block: no spread to test with"
        return _untested(name, 0, len(shared), note, config)
    studentised = gain[moving] / gain[moving].std(axis=1, keepdims=True)
    test = SPA(
        np.zeros(len(shared)),
        -studentised.T,
        block_size=1,
        reps=config.resamples,
        bootstrap="stationary",
        seed=config.seed,
    )
    test.compute()
    p = test.pvalues
    top = int(studentised.mean(axis=1).argmax())
    left_out = len(returns.trials) - moving.size
    return Superiority(
        benchmark=name,
        n_trials=int(moving.size),
        n_events=len(shared),
        best=returns.trials[int(moving[top])],
        best_difference=float(gain[moving[top]].mean()),
        p_value=float(p["consistent"]),
        p_own_spread=_own_spread_p(studentised, config),
        p_lower=float(p["lower"]),
        p_upper=float(p["upper"]),
        resamples=config.resamples,
        note=f"{left_out} trials differ from it by no spread and are left out" if left_out else "",
    )


def _own_spread_p(gains: np.ndarray, config: SuperiorityConfig) -> float:
    """Consistent p-value of the largest t of ``gains`` (K, E), unit spread, each draw over its own spread."""
    n = gains.shape[1]
    mean = gains.mean(axis=1)
    centre = np.where(mean >= -math.sqrt(2.0 * math.log(math.log(n)) / n), mean, 0.0)
    statistic = max(0.0, float(mean.max()))
    rng = np.random.default_rng([config.seed, n])
    share = rng.multinomial(n, np.full(n, 1.0 / n), config.resamples) / n  # (R, E): weights of each draw
    drawn = share @ gains.T
    spread = np.sqrt(np.maximum(share @ (gains**2).T - drawn**2, 0.0))
    # A draw of one block alone has no spread: it is the most extreme there is, and speaks against the trial.
    with np.errstate(divide="ignore"):
        t = np.where(spread > NO_SPREAD, (drawn - centre) / np.maximum(spread, NO_SPREAD), np.inf)
    return float((np.maximum(t.max(axis=1), 0.0) > statistic).mean())


def _untested(name: str, n: int, e: int, note: str, config: SuperiorityConfig) -> Superiority:
    return Superiority(
        benchmark=name, n_trials=n, n_events=e, best="", best_difference=None, p_value=None, p_lower=None,
        p_upper=None, resamples=config.resamples, note=note,
    )  # fmt: skip
