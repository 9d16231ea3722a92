"""Squashing unbounded numbers: values worked by hand, bounds and order everywhere."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshi_platform.data.features.squash import exp_of, log_day, log_of, soft, tanh
from kalshi_platform.domain.units import NS_PER_DAY, NS_PER_SECOND

KERNELS = pytest.mark.parametrize("of", [lambda k: k, lambda k: k.py_func], ids=["numba", "python"])


@KERNELS
def test_elapsed_time_is_zero_at_once_and_one_from_a_day_on(of):
    log = of(log_day)
    assert log(0) == 0.0
    # log(1 + 9) / log(1 + 86_400)
    assert log(9 * NS_PER_SECOND) == pytest.approx(math.log(10) / math.log(86_401), rel=1e-6)
    assert log(NS_PER_DAY) == pytest.approx(1.0, abs=1e-7)
    assert log(NS_PER_DAY) <= 1.0
    assert log(1_000 * NS_PER_DAY) == 1.0


@given(st.integers(0, 1 << 60), st.integers(0, 1 << 60))
def test_elapsed_time_is_never_squashed_out_of_order(one, two):
    early, late = sorted((one, two))
    assert 0.0 <= log_day(early) <= log_day(late) <= 1.0


@KERNELS
@given(x=st.floats(-1e6, 1e6))
def test_tanh_is_tanh_to_the_precision_of_float32(of, x):
    found = of(tanh)(x)
    assert found == pytest.approx(math.tanh(x), abs=3e-7)
    assert -1.0 <= found <= 1.0


def test_tanh_is_one_to_the_last_bit_from_twenty_on():
    assert tanh(20.0) == tanh(1e300) == 1.0
    assert tanh(-1e300) == -1.0


@KERNELS
def test_log_and_exp_keep_what_float32_keeps(of):
    for x in (0.01, 1.0, 2.5, 1e6):
        assert of(log_of)(x) == pytest.approx(math.log(x), rel=1e-6, abs=1e-7)
    assert of(exp_of)(1.5) == pytest.approx(math.exp(1.5), rel=1e-6)


@given(st.floats(-1e9, 1e9), st.floats(0.1, 1e6))
def test_soft_is_a_half_at_its_half_odd_and_below_one(x, half):
    assert soft(half, half) == pytest.approx(0.5)
    assert soft(-x, half) == -soft(x, half)
    assert abs(soft(x, half)) < 1.0
    assert math.copysign(1.0, soft(x, half)) == math.copysign(1.0, x)
