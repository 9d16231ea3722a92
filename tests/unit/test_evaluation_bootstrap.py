"""Clustered intervals: what they cover, and that they resample events."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.evaluation.bootstrap import (
    BootstrapConfig,
    cluster_sums,
    event_mean_interval,
    mean_interval,
    ratio_interval,
)

FAST = BootstrapConfig(resamples=2_000)


def test_sums_are_kept_per_cluster():
    num, den = cluster_sums(np.array([7, 3, 7]), np.array([1.0, 2.0, 4.0]))
    np.testing.assert_array_equal(num, [2.0, 5.0])  # clusters 3, 7
    np.testing.assert_array_equal(den, [1.0, 2.0])


def test_the_ratio_is_sum_over_sum_and_the_event_mean_counts_events_once():
    cluster, values = np.array([0, 0, 0, 1]), np.array([1.0, 1.0, 1.0, 5.0])
    assert mean_interval(cluster, values, FAST).estimate == pytest.approx(2.0)  # 8 / 4
    assert event_mean_interval(cluster, values, FAST).estimate == pytest.approx(3.0)  # (1 + 5) / 2


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


def test_one_event_has_an_estimate_but_no_interval():
    got = mean_interval(np.zeros(50, int), np.arange(50.0), FAST)
    assert got.estimate == pytest.approx(24.5)
    assert got.low is None
    assert got.high is None
    assert not got.excludes_zero
    assert "one event" in got.note


def test_no_data_has_neither():
    got = mean_interval(np.array([], int), np.array([]), FAST)
    assert (got.estimate, got.low, got.n_clusters) == (None, None, 0)


def test_few_events_are_said_to_be_few():
    assert "only 4 events" in ratio_interval(np.arange(4.0), np.ones(4), FAST).note
    assert ratio_interval(np.arange(10.0), np.ones(10), FAST).note == ""


def test_nan_is_refused():
    with pytest.raises(ContractError, match="NaN"):
        ratio_interval(np.array([1.0, np.nan]), np.ones(2), FAST)


@given(
    st.lists(st.floats(-5, 5), min_size=2, max_size=25),
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
