"""The loop against a plain one written out here, bit for bit; masks, ends and going on from a saved state."""

import numpy as np
import pytest
from made.policies import RandomActor
from made.replay_bank import random_actions, random_bank, training_env

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.simulation.envs.config import EnvConfig
from kalshi_platform.simulation.envs.episodes import FixedEpisodes, market_episodes
from kalshi_platform.simulation.envs.vector import ReplayVectorEnv
from kalshi_platform.simulation.rollout.stepper import Stepper

STEPS = 150


def made_env(kind="drawn"):
    bank = random_bank(6, gap_share=0.02)
    if kind == "drawn":
        return training_env(bank, n_envs=4, min_steps=5, max_steps=30, latency_ms=500)
    table = market_episodes(bank, 2, max_steps=20, per_market=30)
    return ReplayVectorEnv(bank, FixedEpisodes(table), EnvConfig(n_slots=2, latency_ms=500), 4)


def plain_loop(env, steps, seed):
    """Everything seen and done, in buffers of its own, without the stepper."""
    rng, n = np.random.default_rng(seed), env.n_envs
    flat, rows = env.buffers()
    env.reset(flat, rows)
    for _ in range(steps):
        actions = random_actions(rng, env.layout.action_mask(flat))
        seen = [flat.copy(), rows.copy(), actions.copy()]
        reward, ended, cut = np.zeros(n, np.float32), np.zeros(n, bool), np.zeros(n, bool)
        env.step(actions, flat, rows, reward, ended, cut)
        yield (*seen, reward, env.slots["reward"].copy(), ended, cut & ~ended)


def stepped(stepper, steps):
    for _ in range(steps):
        seen = (stepper.flat.copy(), stepper.rows.copy())
        stepper.step()
        last = (stepper.actions, stepper.reward, stepper.slot_reward, stepper.terminated, stepper.truncated)
        yield (*seen, *(x.copy() for x in last))


@pytest.mark.parametrize("kind", ["drawn", "listed"])
def test_every_step_is_that_of_a_plain_loop_to_the_bit(kind):
    expected = list(plain_loop(made_env(kind), STEPS, seed=3))
    env = made_env(kind)
    found = list(stepped(Stepper(env, RandomActor(env, seed=3)), STEPS))
    for t, (one, two) in enumerate(zip(found, expected, strict=True)):
        for k, (a, b) in enumerate(zip(one, two, strict=True)):
            np.testing.assert_array_equal(a, b, err_msg=f"step {t}, column {k}")
    if kind == "drawn":  # both ends were met
        assert any(step[5].any() for step in expected)
        assert any(step[6].any() for step in expected)


def test_the_mask_shown_is_the_environments_own_and_a_masked_action_steps_nothing():
    env = made_env()
    stepper = Stepper(env, RandomActor(env))
    for _ in range(20):
        np.testing.assert_array_equal(stepper.action_mask, env.slots["mask"])
        stepper.step()
    (n, s, masked), *_ = np.argwhere(stepper.action_mask == 0)
    wrong = np.zeros_like(stepper.actions)
    wrong[n, s] = masked
    stepper.policy.act = lambda flat, rows: wrong
    before = stepper.flat.copy(), stepper.rows.copy(), env.envs["step"].copy()
    with pytest.raises(ContractError, match=f"environment {n} was given actions its mask forbids"):
        stepper.step()
    for a, b in zip(before, (stepper.flat, stepper.rows, env.envs["step"]), strict=True):
        np.testing.assert_array_equal(a, b)


class BothEnds(ReplayVectorEnv):
    """Says of environment 0 that its episode settled and was cut, of environment 1 that it was cut."""

    def step(self, actions, flat, rows, reward, terminated, truncated):
        super().step(actions, flat, rows, reward, terminated, truncated)
        terminated[:], truncated[:] = False, False
        terminated[0] = truncated[0] = truncated[1] = True


def test_an_episode_that_terminated_is_not_truncated_too():
    env = made_env()
    env.__class__ = BothEnds
    stepper = Stepper(env, RandomActor(env))
    stepper.step()
    assert stepper.terminated.tolist() == [True, False, False, False]
    assert stepper.truncated.tolist() == [False, True, False, False]
    assert stepper.cut.tolist() == [1]


@pytest.mark.parametrize("kind", ["drawn", "listed"])
def test_going_on_from_a_saved_state_is_going_on(kind):
    env = made_env(kind)
    stepper = Stepper(env, RandomActor(env, seed=5))
    for _ in range(37):
        stepper.step()
    state, drawn = stepper.get_state(), stepper.policy.rng.bit_generator.state
    expected = list(stepped(stepper, 60))

    other = made_env(kind)
    again = Stepper(other, RandomActor(other, seed=99))
    for _ in range(11):  # whatever it did before
        again.step()
    again.set_state(state)
    again.policy.rng.bit_generator.state = drawn
    for one, two in zip(stepped(again, 60), expected, strict=True):
        for a, b in zip(one, two, strict=True):
            np.testing.assert_array_equal(a, b)
    assert any((step[5] | step[6]).any() for step in expected)  # new episodes were begun after the state
