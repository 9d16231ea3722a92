"""Discounts of steps by hand: by the step, and by the seconds that it took."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made.policies import RandomActor
from made.replay_bank import random_bank, training_env

from kalshi_platform.simulation.rollout.discount import Discount
from kalshi_platform.simulation.rollout.fragment import allocate, estimate_advantages, play
from kalshi_platform.simulation.rollout.stepper import Stepper

SECOND = 1_000_000_000


def test_by_the_step_every_step_has_the_same():
    assert Discount(0.98).of_steps(np.array([[0, 5 * SECOND]])).tolist() == [[0.98, 0.98]]


def test_by_the_second_it_is_the_power_of_the_step_s_seconds():
    # 0.9 a second: after 0 s 1, after half a second the root of 0.9, after 2 s 0.81
    found = Discount(0.98, 0.9).of_steps(np.array([0, SECOND // 2, 2 * SECOND]))
    np.testing.assert_allclose(found, [1.0, 0.9486832980505138, 0.81], rtol=1e-15)


@given(st.lists(st.integers(0, 10**14), min_size=1, max_size=20), st.floats(0.5, 1.0))
def test_by_the_second_steps_multiply_to_the_discount_of_their_time(elapsed, per_second):
    each = Discount(1.0, per_second).of_steps(np.array(elapsed))
    whole = Discount(1.0, per_second).of_steps(np.array(sum(elapsed)))
    np.testing.assert_allclose(each.prod(), whole, rtol=1e-9, atol=1e-300)


@pytest.mark.parametrize("interval_ms", [0, 1_000])
def test_a_fragment_knows_the_time_of_its_steps_also_of_the_last_of_an_episode(interval_ms):
    env = training_env(random_bank(6), n_envs=4, min_steps=5, max_steps=30, decision_interval_ms=interval_ms)
    stepper = Stepper(env, RandomActor(env, seed=1))
    first, began = allocate(4, 4, env.layout.width, env.n_slots), env.now_ns.copy()
    play(stepper, first)
    unbroken = ~(first.terminated | first.truncated).any(axis=1)
    assert unbroken.any()
    np.testing.assert_array_equal((began + first.elapsed_ns.sum(1))[unbroken], env.now_ns[unbroken])
    fragment = allocate(4, 60, env.layout.width, env.n_slots)
    last = play(stepper, fragment)
    ends = fragment.terminated | fragment.truncated
    assert ends.sum() > 3
    assert (fragment.elapsed_ns >= 0).all()
    assert len(set(fragment.elapsed_ns[~ends].tolist())) > 3
    assert len(set(fragment.elapsed_ns[ends].tolist())) > 1
    estimate_advantages(fragment, last, Discount(0.5), lam=0.9)
    by_step = fragment.advantage.copy()
    estimate_advantages(fragment, last, Discount(0.5, 0.999), lam=0.9)
    assert (fragment.advantage != by_step).any()
    estimate_advantages(fragment, last, Discount(0.5, 1.0), lam=0.9)
    undiscounted = fragment.advantage.copy()
    estimate_advantages(fragment, last, Discount(1.0), lam=0.9)
    np.testing.assert_array_equal(fragment.advantage, undiscounted)
