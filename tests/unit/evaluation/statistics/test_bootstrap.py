"""Clustered intervals: what they cover, and that they resample blocks."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.evaluation.statistics.bootstrap import (
    BootstrapConfig,
    Interval,
    block_mean_interval,
    cluster_sums,
    mean_interval,
    paired_sharpe_difference,
    ratio_interval,
)

FAST = BootstrapConfig(resamples=2_000)


def test_sums_are_kept_per_cluster():
    num, den = cluster_sums(np.array([7, 3, 7]), np.array([1.0, 2.0, 4.0]))
    np.testing.assert_array_equal(num, [2.0, 5.0])  # clusters 3, 7
    np.testing.assert_array_equal(den, [1.0, 2.0])


def test_the_ratio_is_sum_over_sum():
    cluster, values = np.array([0, 0, 0, 1]), np.array([1.0, 1.0, 1.0, 5.0])
    assert mean_interval(cluster, values, FAST).estimate == pytest.approx(2.0)  # 8 / 4
    assert block_mean_interval(np.array([1.0, 5.0, 3.0]), FAST).estimate == pytest.approx(3.0)


@pytest.mark.parametrize("seed", range(4))
def test_skewed_blocks_have_the_bounds_of_an_independent_bca(seed):
    """scipy's BCa knows no widening for few clusters, so its confidence is set to the widened tail."""
    n = 40
    values = np.random.default_rng([21, seed]).lognormal(0.0, 1.0, n)
    config = BootstrapConfig(resamples=40_000, seed=seed)
    tail = stats.norm.cdf(math.sqrt(n / (n - 1)) * stats.t.ppf(0.025, n - 1))
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=40_000, confidence_level=1 - 2 * tail, method="BCa", rng=seed
    ).confidence_interval
    ours = block_mean_interval(values, config)
    spread = theirs.high - theirs.low
    assert ours.low == pytest.approx(theirs.low, abs=0.02 * spread)
    assert ours.high == pytest.approx(theirs.high, abs=0.03 * spread)
    # The correction is at work: it lies above the percentile interval, as the long tail asks.
    plain = stats.bootstrap(
        (values,), np.mean, n_resamples=40_000, confidence_level=1 - 2 * tail, method="percentile", rng=seed
    ).confidence_interval
    assert ours.high > plain.high
    assert ours.low > plain.low


def test_repeating_ticks_inside_events_does_not_narrow_the_interval():
    rng = np.random.default_rng([3])
    values = rng.normal(0, 1, 20)
    once = mean_interval(np.arange(20), values, FAST)
    many = mean_interval(np.repeat(np.arange(20), 500), np.repeat(values, 500), FAST)
    assert many.low == pytest.approx(once.low)
    assert many.high == pytest.approx(once.high)


def test_the_same_seed_gives_the_same_interval_and_another_seed_another():
    values = np.random.default_rng([4]).normal(0, 1, 12)
    a, b = (ratio_interval(values, np.ones(12), FAST) for _ in range(2))
    assert a == b
    assert ratio_interval(values, np.ones(12), FAST.replace(seed=1)).low != a.low


@pytest.mark.parametrize("n", [6, 30])
def test_the_interval_covers_the_truth_as_often_as_it_says(n):
    rng = np.random.default_rng([11, n])
    config = BootstrapConfig(resamples=600)
    hits = 0
    for _ in range(400):
        got = ratio_interval(rng.normal(1.0, 2.0, n), np.ones(n), config)
        hits += got.low <= 1.0 <= got.high
    # 95 % of 400 = 380, binomial sd 4.4; a plain percentile interval of 6 draws covers about 87 % (348)
    assert 364 <= hits <= 396


def test_one_block_has_an_estimate_but_no_interval():
    got = mean_interval(np.zeros(50, int), np.arange(50.0), FAST)
    assert got.estimate == pytest.approx(24.5)
    assert got.low is None
    assert got.high is None
    assert not got.excludes_zero
    assert got.note == "n = 1, decides nothing"


def test_two_blocks_have_no_interval_however_far_from_zero_they_are():
    got = block_mean_interval(np.array([0.5, 0.6]), FAST)
    assert (got.estimate, got.low, got.high) == (pytest.approx(0.55), None, None)
    assert (got.above_zero, got.excludes_zero, got.note) == (False, False, "n = 2, decides nothing")
    gap = paired_sharpe_difference(np.array([0.5, 0.6]), np.array([0.1, 0.3]), FAST)
    assert (gap.estimate, gap.note) == (None, "n = 2, decides nothing")


def test_no_data_has_neither():
    got = mean_interval(np.array([], int), np.array([]), FAST)
    assert (got.estimate, got.low, got.n_clusters) == (None, None, 0)


def test_few_blocks_are_said_to_be_few():
    assert "only 4 blocks" in ratio_interval(np.arange(4.0), np.ones(4), FAST).note
    assert ratio_interval(np.arange(10.0), np.ones(10), FAST).note == ""


def test_nan_is_refused():
    with pytest.raises(ContractError, match="NaN"):
        ratio_interval(np.array([1.0, np.nan]), np.ones(2), FAST)


@given(
    st.lists(st.floats(-5, 5), min_size=3, max_size=25),
    st.floats(-3, 3),
    st.floats(0.1, 10),
)
def test_the_interval_moves_and_stretches_with_the_data(values, shift, scale):
    config = BootstrapConfig(resamples=200)
    base = np.array(values)
    one = ratio_interval(base, np.ones(base.size), config)
    other = ratio_interval(base * scale + shift, np.ones(base.size), config)
    assert one.low <= one.high
    if np.ptp(base) > 1e-3:
        assert other.estimate == pytest.approx(one.estimate * scale + shift, abs=1e-6)
        assert other.low == pytest.approx(one.low * scale + shift, abs=0.2 * scale * np.ptp(base))


def test_excluding_zero_needs_the_whole_interval_on_one_side():
    values = np.array([1.0, 1.1, 0.9, 1.05, 0.95, 1.0])
    assert ratio_interval(values, np.ones(6), FAST).above_zero
    assert ratio_interval(-values, np.ones(6), FAST).excludes_zero
    assert not ratio_interval(-values, np.ones(6), FAST).above_zero
    assert not ratio_interval(values - 1.0, np.ones(6), FAST).excludes_zero


def test_the_difference_of_sharpe_ratios_is_worked_by_hand():
    # ours 1, 2, 3: mean 2, std sqrt(2/3) = 0.816497, Sharpe 2.449490
    # theirs 0, 1, 5: mean 2, std sqrt(14/3) = 2.160247, Sharpe 0.925820
    found = paired_sharpe_difference(np.array([1.0, 2, 3]), np.array([0.0, 1, 5]), FAST)
    assert found.estimate == pytest.approx(1.523670, abs=1e-6)
    assert found.n_clusters == 3
    assert found.note.startswith("only 3 blocks")


def test_what_both_have_in_common_cancels_because_blocks_are_drawn_jointly(rng: np.random.Generator):
    theirs = rng.normal(0.02, 0.1, 40)
    ours = theirs + 0.03 + rng.normal(0, 0.005, 40)
    found = paired_sharpe_difference(ours, theirs, FAST)
    assert found.above_zero
    apart = paired_sharpe_difference(ours, rng.permutation(theirs), FAST)
    assert apart.high - apart.low > 2 * (found.high - found.low)


@given(st.integers(0, 2**32 - 1), st.floats(0.1, 50))
def test_sharpe_differences_do_not_depend_on_the_unit_of_returns(seed: int, scale: float):
    ours, theirs = np.random.default_rng(seed).normal(0.1, 1, (2, 12))
    one = paired_sharpe_difference(ours, theirs, FAST)
    other = paired_sharpe_difference(scale * ours, scale * theirs, FAST)
    assert (other.estimate, other.low, other.high) == pytest.approx(
        (one.estimate, one.low, one.high), rel=1e-6, abs=1e-9
    )


def test_a_policy_against_itself_gains_exactly_nothing(rng: np.random.Generator):
    returns = rng.normal(size=15)
    found = paired_sharpe_difference(returns, returns, FAST)
    assert (found.estimate, found.low, found.high) == (0.0, 0.0, 0.0)
    assert not found.above_zero


def test_a_policy_that_does_not_trade_has_a_sharpe_of_zero(rng: np.random.Generator):
    returns = rng.normal(1.0, 1.0, 15)
    found = paired_sharpe_difference(returns, np.zeros(15), FAST)
    assert found.estimate == pytest.approx(returns.mean() / returns.std())


def test_one_block_or_a_gain_without_spread_has_no_sharpe():
    one = paired_sharpe_difference(np.array([0.3]), np.array([0.1]), FAST)
    alike = paired_sharpe_difference(np.full(5, 0.3), np.arange(5.0), FAST)
    assert one.estimate is one.low is alike.estimate is None
    assert alike.note == "5 blocks without spread: no Sharpe ratio"
    with pytest.raises(ContractError, match=r"shapes \(2,\) and \(3,\)"):
        paired_sharpe_difference(np.zeros(2), np.zeros(3), FAST)


def test_the_interval_of_a_sharpe_difference_covers_the_truth_about_as_often_as_it_says():
    # two policies of the same Sharpe 0.5 whose returns hang together: the true difference is 0
    rng, covered = np.random.default_rng(7), 0
    config = FAST.replace(resamples=400)
    for _ in range(200):
        common = rng.normal(size=(2, 25))
        ours, theirs = 0.5 + common[0], 0.5 + 0.8 * common[0] + 0.6 * common[1]
        found = paired_sharpe_difference(ours, theirs, config)
        covered += found.low <= 0.0 <= found.high
    assert 0.90 * 200 <= covered <= 0.995 * 200


def test_files_keep_the_name_level_for_the_confidence_of_an_interval():
    text = '{"estimate":1.0,"low":0.5,"high":2.0,"level":0.9,"n_clusters":3,"note":""}'
    assert Interval.model_validate_json(text).confidence == 0.9
    assert Interval.model_validate_json(text).model_dump_json() == text
    assert BootstrapConfig(confidence=0.9).model_dump() == {
        "resamples": 10_000,
        "level": 0.9,
        "seed": 20_240_607,
    }
    # the digest of the settings as earlier releases wrote them
    assert BootstrapConfig().digest == "2c78e0667f5a"
    assert BootstrapConfig().replace(confidence=0.9).confidence == 0.9
