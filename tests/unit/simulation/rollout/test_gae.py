"""Advantages against numbers worked by hand and against the slow obvious way."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshi_platform.simulation.rollout.discount import Discount
from kalshi_platform.simulation.rollout.gae import gae


def run(kernel, reward, value, terminated, truncated, final_value, last_value, gamma, lam):
    as_row = [np.array([x], np.float32)[..., None] for x in (reward, value)]  # (1, T, 1)
    ends = [np.array([x], bool) for x in (terminated, truncated)]
    out = np.empty((2, 1, len(reward), 1), np.float32)
    kernel(
        *as_row,
        *ends,
        np.array([final_value], np.float32)[..., None],
        np.array([[last_value]], np.float32),
        np.broadcast_to(np.asarray(gamma, np.float64), (1, len(reward))).copy(),
        lam,
        out[0],
        out[1],
    )
    return out[0, 0, :, 0], out[1, 0, :, 0]


@pytest.mark.parametrize("kernel", [gae, gae.py_func], ids=["numba", "python"])
def test_a_settled_market_is_worth_nothing_more(kernel):
    # t=1 terminates: 2 - 0.5 = 1.5; neither the final value 7 nor the last value 9 may be used
    # t=0: delta = 1 + 0.9 * 0.5 - 0.5 = 0.95; A = 0.95 + 0.9 * 0.8 * 1.5 = 2.03
    advantage, target = run(kernel, [1, 2], [0.5, 0.5], [0, 1], [0, 0], [7, 7], 9.0, 0.9, 0.8)
    np.testing.assert_allclose(advantage, [2.03, 1.5], rtol=1e-6)
    np.testing.assert_allclose(target, [2.53, 2.0], rtol=1e-6)


@pytest.mark.parametrize("kernel", [gae, gae.py_func], ids=["numba", "python"])
def test_an_episode_that_ran_out_of_data_is_worth_its_final_observation(kernel):
    # t=2 is of the next episode and goes on: 3 + 0.9 * 9 - 1 = 10.1
    # t=1 is truncated at value 7: 2 + 0.9 * 7 - 0.5 = 7.8; nothing is carried over from t=2
    # t=0: delta = 1 + 0.9 * 0.5 - 0.5 = 0.95; A = 0.95 + 0.72 * 7.8 = 6.566
    advantage, _ = run(kernel, [1, 2, 3], [0.5, 0.5, 1], [0, 0, 0], [0, 1, 0], [5, 7, 5], 9.0, 0.9, 0.8)
    np.testing.assert_allclose(advantage, [6.566, 7.8, 10.1], rtol=1e-6)


@pytest.mark.parametrize("kernel", [gae, gae.py_func], ids=["numba", "python"])
def test_every_step_is_discounted_by_its_own_discount(kernel):
    # t=2 goes on after 1 s at 0.5 a second: 3 + 0.5 * 9 - 1 = 6.5
    # t=1 took 2 s: 2 + 0.25 * 1 - 0.5 + 0.25 * 0.8 * 6.5 = 3.05
    # t=0 took none: 1 + 1 * 0.5 - 0.5 + 0.8 * 3.05 = 3.44
    each = [1.0, 0.25, 0.5]
    advantage, target = run(kernel, [1, 2, 3], [0.5, 0.5, 1], [0] * 3, [0] * 3, [0] * 3, 9.0, each, 0.8)
    np.testing.assert_allclose(advantage, [3.44, 3.05, 6.5], rtol=1e-6)
    np.testing.assert_allclose(target, [3.94, 3.55, 7.5], rtol=1e-6)


@given(st.integers(0, 2**32 - 1))
def test_with_lambda_one_the_target_is_the_discounted_return(seed: int):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 12))
    reward, value, final = rng.normal(size=(3, n)).astype(np.float32)
    kind = rng.integers(0, 5, n)
    last = float(np.float32(rng.normal()))
    _, target = run(gae, reward, value, kind == 0, kind == 1, final, last, 0.9, 1.0)
    expected = np.empty(n)
    following = last
    for t in reversed(range(n)):
        if kind[t] == 0:
            following = 0.0
        elif kind[t] == 1:
            following = float(final[t])
        following = expected[t] = reward[t] + 0.9 * following
    np.testing.assert_allclose(target, expected, rtol=1e-4, atol=1e-4)


@given(st.integers(0, 2**32 - 1), st.floats(0.0, 1.0), st.floats(0.5, 1.0))
def test_an_advantage_is_the_sum_of_the_errors_that_follow_within_its_episode(seed, lam, per_second):
    # by definition: A_t = sum over k of delta_k times the discounts and lambdas of the steps before k
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 15))
    reward, value, final = rng.normal(size=(3, n)).astype(np.float32)
    kind, last = rng.integers(0, 6, n), float(np.float32(rng.normal()))
    terminated, truncated = (kind == 0) | (kind == 5), (kind == 1) | (kind == 5)
    each = Discount(0.0, per_second).of_steps(rng.integers(0, 20_000_000_000, n))
    advantage, _ = run(gae, reward, value, terminated, truncated, final, last, each, lam)
    for t in range(n):
        expected, weight = 0.0, 1.0
        for k in range(t, n):
            after = float(value[k + 1]) if k + 1 < n else last
            after = 0.0 if terminated[k] else float(final[k]) if truncated[k] else after
            expected += weight * (float(reward[k]) + each[k] * after - float(value[k]))
            weight *= lam * each[k]
            if terminated[k] or truncated[k]:
                break
        assert advantage[t] == pytest.approx(expected, rel=1e-4, abs=1e-4)
