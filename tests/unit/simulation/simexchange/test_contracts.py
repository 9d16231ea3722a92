"""Contracts of an event: intervals, tickers, grids, and the probability that each pays."""

import numpy as np
import pytest

from kalshi_platform.simulation.simexchange.contracts import fair_probability


def test_fair_probability_matches_the_normal_table():
    # P(-1 < X <= 1) = 0.682689 for a standard normal, P(X > 0.5) with variance 0.25: P(Z > 1) = 0.158655
    assert fair_probability.py_func(0.0, 1.0, -1.0, 1.0) == pytest.approx(0.682689, abs=1e-6)
    assert fair_probability(0.0, 0.25, 0.5, np.inf) == pytest.approx(0.158655, abs=1e-6)
