"""Columns of a fragment against a plain loop, and the values of episodes that were cut."""

import numpy as np
import pytest
from made.policies import RandomActor
from made.replay_bank import random_bank, training_env

from kalshi_platform.domain.actions import N_ACTIONS
from kalshi_platform.simulation.rollout.discount import Discount
from kalshi_platform.simulation.rollout.fragment import allocate, estimate_advantages, play
from kalshi_platform.simulation.rollout.stepper import Stepper

T = 40


def made_env():
    return training_env(random_bank(6, gap_share=0.02), n_envs=4, min_steps=5, max_steps=30)


def fragment_for(env, keep_logits=False, steps=T):
    return allocate(env.n_envs, steps, env.layout.width, env.n_slots, keep_logits)


@pytest.mark.parametrize("finals_at_once", [True, False])
def test_every_column_is_that_of_a_plain_loop(finals_at_once):
    env = made_env()
    actor, n = RandomActor(env, seed=1), env.n_envs
    flat, rows = env.buffers()
    env.reset(flat, rows)
    expected = fragment_for(env, keep_logits=True)
    cuts = []
    for t in range(T):
        actions = actor.act(flat, rows)
        expected.flat[:, t], expected.rows[:, t], expected.actions[:, t] = flat, rows, actions
        expected.logits[:, t], expected.value[:, t] = actor.logits, actor.value
        expected.log_prob[:, t] = actor.log_prob
        reward, ended, cut = np.zeros(n, np.float32), np.zeros(n, bool), np.zeros(n, bool)
        env.step(actions, flat, rows, reward, ended, cut)
        expected.reward[:, t] = env.slots["reward"]
        expected.elapsed_ns[:, t] = env.envs["elapsed_ns"]
        expected.terminated[:, t], expected.truncated[:, t] = ended, cut & ~ended
        for i in np.flatnonzero(cut & ~ended):
            final = actor.final_values(env.final_flat[i : i + 1], env.final_rows[i : i + 1])
            expected.final_value[i, t] = final[0]
        cuts += [int((cut & ~ended).sum())] if (cut & ~ended).any() else []
    after = actor.present_values(flat, rows)

    env = made_env()
    actor = RandomActor(env, seed=1)
    found = fragment_for(env, keep_logits=True)
    last = play(Stepper(env, actor), found, finals_at_once)
    np.testing.assert_array_equal(last, after)
    for name, column in found._asdict().items():
        np.testing.assert_array_equal(column, getattr(expected, name), err_msg=name)
    assert found.terminated.any()
    assert len(cuts) > 3
    assert actor.asked == ([sum(cuts)] if finals_at_once else cuts)


def test_a_fragment_that_is_filled_again_goes_on_where_it_ended():
    env, other = made_env(), made_env()
    whole = fragment_for(env, steps=2 * T)
    play(Stepper(env, RandomActor(env, seed=1)), whole)
    stepper, part = Stepper(other, RandomActor(other, seed=1)), fragment_for(other)
    for k in range(2):
        play(stepper, part)
        for name in ("flat", "rows", "actions", "reward", "terminated", "truncated"):
            here = getattr(whole, name)[:, k * T : (k + 1) * T]
            np.testing.assert_array_equal(getattr(part, name), here, err_msg=name)


def test_logits_are_kept_where_they_are_asked_for():
    env = made_env()
    assert fragment_for(env).logits.shape == (4, T, 3, 0)
    kept = fragment_for(env, keep_logits=True)
    play(Stepper(env, RandomActor(env)), kept)
    assert kept.logits.shape == (4, T, 3, N_ACTIONS)
    assert (kept.logits != 0).any()


def test_advantages_are_credited_to_the_slot_that_earned_them():
    env = made_env()
    fragment = fragment_for(env, steps=2)
    fragment.reward[0] = [[1, 0, 0], [2, 0, 4]]
    fragment.value[0] = 0.5
    fragment.truncated[0, 1] = True
    fragment.final_value[0, 1] = [7, 0, 0]
    estimate_advantages(fragment, np.full((4, 3), 9, np.float32), Discount(0.5), lam=1.0)
    # t=1: 2 + 0.5 * 7 - 0.5 = 5; t=0: 1 + 0.5 * 0.5 - 0.5 + 0.5 * 5 = 3.25; nothing of the 9 behind the cut
    np.testing.assert_allclose(fragment.advantage[0, :, 0], [3.25, 5.0])
    np.testing.assert_allclose(fragment.advantage[0, :, 1], [-0.5, -0.5])
    np.testing.assert_allclose(fragment.target[0, :, 2], [2.0, 4.0])
