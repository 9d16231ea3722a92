"""Draws of kernels: one key gives one number, the counts are uniform, plain Python does the same."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshi_platform.simulation.replay.draws import draw_below, draw_bits, draw_normal

KEYS = st.integers(-(1 << 63), (1 << 63) - 1)


@given(KEYS, st.integers(0, 1 << 20))
def test_plain_python_draws_the_same(key, counter):
    assert draw_bits(key, counter) == draw_bits.py_func(key, counter)
    assert draw_normal(key, counter) == pytest.approx(draw_normal.py_func(key, counter), abs=1e-12)
    assert 0 <= draw_below(key, counter, 7) == draw_below.py_func(key, counter, 7) < 7


@pytest.mark.parametrize("step", [1, 30_000_000_000, 1_000_003], ids=["1 ns", "30 s", "odd"])
@pytest.mark.parametrize("n", [2, 5, 64])
def test_regular_keys_draw_every_number_equally_often(step, n):
    start, n_draws = 1_700_000_000_000_000_000, 64_000
    drawn = np.bincount([draw_below(start + k * step, 3, n) for k in range(n_draws)], minlength=n)
    chi2 = float(((drawn - n_draws / n) ** 2 / (n_draws / n)).sum())
    assert abs(chi2 - (n - 1)) < 4 * np.sqrt(2 * (n - 1))  # mean n - 1, variance 2 (n - 1)


def test_counters_of_one_key_are_independent():
    pairs = np.array([[draw_bits(k, 0), draw_bits(k, 1), draw_bits(k + 1, 0)] for k in range(20_000)]) / 2**32
    rho = np.corrcoef(pairs.T)
    assert np.abs(rho[np.triu_indices(3, 1)]).max() < 4 / np.sqrt(20_000)


def test_normal_draws_have_the_moments_of_the_standard_normal():
    drawn = np.array([draw_normal(k, 0) for k in range(50_000)])
    # standard errors: mean 1/sqrt(n), variance sqrt(2/n), third moment sqrt(15/n), fourth sqrt(96/n)
    for power, due, spread in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs((drawn**power).mean() - due) < 4 * np.sqrt(spread / drawn.size)
