"""An even sample of a stream, whatever its length."""

import numpy as np
import pytest

from kalshi_platform.simulation.rollout.reservoir import Reservoir, States


def numbered(numbers: np.ndarray) -> States:
    column = numbers.astype(np.float32)[:, None]
    return States(column, column, column, column, column, numbers.astype(np.int32))


def test_a_reservoir_keeps_everything_until_it_is_full():
    sample = Reservoir(10, np.random.default_rng(0))
    assert sample.states() is None
    sample.add(numbered(np.arange(4)))
    sample.add(numbered(np.arange(4, 7)))
    np.testing.assert_array_equal(sample.states().env, np.arange(7))


def test_a_reservoir_is_an_even_sample_of_the_stream():
    # 200 draws of 50 from 500: the mean of all numbers is 249.5, of 10,000 draws its error is about 1.4
    rng = np.random.default_rng(1)
    means = []
    for _ in range(200):
        sample = Reservoir(50, rng)
        for part in np.split(np.arange(500), (30, 45, 200)):
            sample.add(numbered(part))
        kept = sample.states()
        assert np.unique(kept.env).size == 50
        np.testing.assert_array_equal(kept.flat[:, 0], kept.env)
        means.append(kept.env.mean())
    assert np.mean(means) == pytest.approx(249.5, abs=7)
