"""Exact intervals against numbers worked by hand, sums over the binomial distribution, and scipy's own."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.evaluation.statistics.exact import needed_for, percentile_places, share_bounds


def test_no_hit_and_all_hits_by_hand():
    # Nothing of 60: (1 - p)^60 = 0.025, so p = 1 - 0.025^(1/60) = 0.0596...
    low, high = share_bounds(0, 60)
    assert low == 0
    assert high == pytest.approx(1 - 0.025 ** (1 / 60))
    # All of 10: p^10 = 0.025.
    assert share_bounds(10, 10) == pytest.approx((0.025**0.1, 1))
    assert share_bounds(0, 0) == (0, 1)


@given(st.integers(1, 2_000), st.data())
def test_a_share_has_the_bounds_that_scipy_finds(n, data):
    hits = data.draw(st.integers(0, n))
    expected = stats.binomtest(hits, n).proportion_ci(0.95, "exact")
    assert share_bounds(hits, n) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_more_hits_than_tries_are_refused():
    with pytest.raises(ContractError, match="3 of 2"):
        share_bounds(3, 2)


def test_the_median_of_six_lies_between_the_least_and_the_greatest():
    # P(all six below) = 1/64 = 0.0156 <= 0.025; of five it is 1/32 = 0.03125.
    assert percentile_places(6, 0.5) == (1, 6)
    assert percentile_places(5, 0.5) == (None, None)
    assert needed_for(0.5) == 6


def test_the_99th_percentile_has_an_upper_bound_from_368_values_on():
    # 0.99^n <= 0.025: n = ln 0.025 / ln 0.99 = 367.04
    assert needed_for(0.99) == 368
    assert percentile_places(367, 0.99).high is None
    assert percentile_places(368, 0.99).high == 368
    assert percentile_places(0, 0.99) == (None, None)


def plain_places(n: int, share: float) -> tuple[int | None, int | None]:
    """Sum the binomial distribution term by term."""
    weights = [math.comb(n, k) * share**k * (1 - share) ** (n - k) for k in range(n + 1)]
    lows = [k for k in range(1, n + 1) if math.fsum(weights[:k]) <= 0.025]  # P(B <= k - 1)
    highs = [k for k in range(1, n + 1) if math.fsum(weights[k:]) <= 0.025]  # P(B >= k)
    return max(lows, default=None), min(highs, default=None)


@pytest.mark.parametrize("n", [1, 10, 59, 200, 500])
@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
def test_the_places_are_those_of_a_plain_sum(n, share):
    assert percentile_places(n, share) == plain_places(n, share)


def test_the_bounds_hold_the_true_percentile_as_often_as_they_say():
    rng = np.random.default_rng(0)
    places = percentile_places(600, 0.99)
    values = np.sort(rng.exponential(size=(2_000, 600)), axis=1)
    truth = -math.log(0.01)
    held = (values[:, places.low - 1] <= truth) & (truth <= values[:, places.high - 1])
    assert 0.95 <= held.mean() <= 0.985
