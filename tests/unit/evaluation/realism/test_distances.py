"""Distances worked by hand and against scipy; the noise of resamples against drawing them one by one."""

import numpy as np
import pytest
from scipy.stats import ks_2samp, wasserstein_distance

from kalshi_platform.evaluation.realism.distances import (
    distances,
    draw_distances,
    drawn_units,
    joined,
    noise_of,
    quantiles,
    tallied,
)


def pool(values, units=None):
    values = np.asarray(values, float)
    return tallied(values, np.zeros(values.size, np.int64) if units is None else np.asarray(units))


def test_distances_worked_by_hand():
    # F: 1/2 at 0, 1 at 2. G: 1 at 1. |F - G| is 1/2 on [0, 1) and 1/2 on [1, 2): W1 = 1, KS = 1/2
    assert distances(pool([0, 2]), pool([1])) == (1.0, 0.5)
    # quantiles from 25 % to 75 %: |0 - 1| and |2 - 1|, their mean is 1 as well
    assert distances(pool([0, 2]), pool([1]), 0.25, 0.75) == (1.0, 0.5)
    # the outlier 100 lies above the 75 % quantile: it counts in W1, and in no trimmed one
    assert distances(pool([0, 0, 0, 100]), pool([0])) == (25.0, 0.25)
    assert distances(pool([0, 0, 0, 100]), pool([0]), 0.25, 0.75)[0] == 0.0


def test_untrimmed_distances_are_those_of_scipy(rng):
    a, b = rng.choice(40, 500).astype(float), rng.normal(20, 9, 300)
    w1, ks = distances(pool(a), pool(b))
    assert w1 == pytest.approx(wasserstein_distance(a, b))
    assert ks == pytest.approx(ks_2samp(a, b).statistic)


def test_a_trimmed_distance_is_the_mean_distance_of_the_quantiles(rng):
    a, b = rng.exponential(3, 1_000), rng.exponential(5, 1_000)
    inside = slice(50, 950)  # equal sizes: quantiles are the sorted values
    wanted = np.abs(np.sort(a)[inside] - np.sort(b)[inside]).mean()
    assert distances(pool(a), pool(b), 0.05, 0.95)[0] == pytest.approx(wanted)


def test_a_pool_is_at_no_distance_from_itself(rng):
    a = pool(rng.exponential(3, 1_000), rng.integers(0, 7, 1_000))
    assert distances(a, a, 0.05, 0.95) == (0.0, 0.0)


def test_a_tally_keeps_every_value_of_every_unit(rng):
    values, units = rng.integers(0, 5, 200).astype(float), rng.integers(0, 3, 200)
    first = joined([tallied(values[:90], units[:90]), tallied(values[90:], units[90:])])
    for unit in range(3):
        mine = first.unit == unit
        np.testing.assert_array_equal(
            np.repeat(first.value[mine], first.times[mine].astype(int)), np.sort(values[units == unit])
        )
    assert first.n == 200
    assert joined([]).n == 0


def test_quantiles_are_the_least_values_that_reach_the_share():
    assert quantiles(pool([1, 2, 3, 4]), (0.25, 0.5, 0.51, 1.0)) == [1, 2, 3, 4]
    assert quantiles(pool([7]), (0.05, 0.95)) == [7, 7]


@pytest.mark.parametrize("kernel", [draw_distances, draw_distances.py_func], ids=["numba", "python"])
def test_the_distance_of_a_draw_is_that_of_the_values_drawn(rng, kernel):
    values, units = rng.integers(0, 30, 300).astype(float), rng.integers(0, 5, 300)
    whole = pool(values, units)
    times = np.array([[1, 1, 1, 1, 1], [2, 0, 1, 0, 2], [0, 0, 0, 5, 0], [0, 0, 0, 0, 0]], float)
    found = np.empty((4, 2))
    kernel(whole.value, whole.unit, whole.times, times, 0.05, 0.95, found)
    assert found[0].tolist() == [0, 0]
    for drawn, row in zip(times[1:3], found[1:3], strict=True):
        again = np.repeat(values, drawn[units].astype(int))
        np.testing.assert_allclose(row, distances(pool(again), whole, 0.05, 0.95))
    assert np.isnan(found[3]).all()


def test_noise_shrinks_with_the_root_of_the_units():
    rng = np.random.default_rng(5)
    medians = []
    for n_units in (16, 256):
        values = rng.normal(0, 1, n_units * 20)
        whole = pool(values, np.repeat(np.arange(n_units), 20))
        medians.append(np.median(noise_of(whole, drawn_units(n_units, 200, 1))[:, 0]))
    assert medians[0] / medians[1] == pytest.approx(4, rel=0.3)


def test_equal_seeds_draw_equal_units():
    assert drawn_units(9, 5, 3).tolist() == drawn_units(9, 5, 3).tolist()
    assert drawn_units(9, 5, 3).sum(axis=1).tolist() == [9] * 5
