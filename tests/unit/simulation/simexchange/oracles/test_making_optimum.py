"""Value iteration against values worked by hand, a closed form, and the environment playing its choice."""

import numpy as np
import pytest

from kalshi_platform.domain.actions import BUY_NO, BUY_YES, HOLD, SELL_NO, SELL_YES
from kalshi_platform.simulation.envs.episodes import FixedEpisodes, market_episodes
from kalshi_platform.simulation.envs.vector import ReplayVectorEnv
from kalshi_platform.simulation.rollout.stepper import Stepper
from kalshi_platform.simulation.simexchange.oracles.making_optimum import (
    A_BID,
    AN_ASK,
    NOTHING,
    TablePolicy,
    ladder,
    solve,
    value_of,
)
from kalshi_platform.simulation.simexchange.oracles.making_world import MakingWorld, world_bank

WORLD = MakingWorld()


def test_two_steps_match_a_value_worked_by_hand():
    # f = chance of a fill, d = its gain, c = cost of holding one contract for a step.
    # Last step: f d from flat, f d - c with a contract, by reducing it.
    # First: f (d + f d - c) + (1 - f) f d = 2 f d - f c from flat
    world = MakingWorld(n_steps=2, max_inventory=1)
    f, d, c = world.fill_chance, world.depth, 0.0025
    assert (d, f) == pytest.approx((0.02, 1 - np.exp(-np.exp(-1))), abs=1e-15)
    optimum = solve(world)
    assert optimum.value[1, NOTHING] == pytest.approx(2 * f * d - f * c, abs=1e-15)
    # with a contract: -c, then f (d + f d) + (1 - f) (f d - c)
    with_one = -c + f * (d + f * d) + (1 - f) * (f * d - c)
    assert optimum.value[2, NOTHING] == pytest.approx(with_one, abs=1e-15)
    assert optimum.choice[2, NOTHING] == AN_ASK
    assert optimum.choice[0, NOTHING] == A_BID


def test_without_a_holding_cost_always_quoting_one_side_is_the_optimum():
    # every step one side rests and fills with the same chance, whatever the inventory
    world = MakingWorld(holding_cost=0.0, n_steps=300)
    assert ladder(world).our_actions == pytest.approx(300 * world.fill_chance * world.depth, abs=1e-12)


def test_each_restriction_costs_something_and_a_finer_step_less():
    coarse, fine = ladder(WORLD), ladder(WORLD.replace(step_ms=100, n_steps=2_000))
    for found in (coarse, fine):
        assert found.theory > found.one_depth > found.our_actions > 0
    assert fine.theory == pytest.approx(coarse.theory, abs=1e-12)
    assert fine.one_depth > coarse.one_depth
    # the figures that the benchmark's page quotes, dollar an episode
    assert coarse.theory < 2 * WORLD.arrival_rate / (np.e * WORLD.kappa) * WORLD.horizon_s


def test_a_stationary_choice_is_worth_no_more_than_the_optimum_and_hardly_less():
    optimum = solve(WORLD)
    best = optimum.value[WORLD.max_inventory, NOTHING]
    assert 0.999 * best < value_of(WORLD, optimum.choice) <= best + 1e-12
    always_bid = np.full_like(optimum.choice, A_BID)
    always_bid[-1] = AN_ASK  # at the limit nothing else is allowed
    assert value_of(WORLD, always_bid) < 0


@pytest.fixture(scope="module")
def played():
    world = WORLD.replace(n_steps=60)
    bank = world_bank(world, seed=1, n_markets=150)
    table = market_episodes(bank, 1)
    env = ReplayVectorEnv(bank, FixedEpisodes(table), world.env, table.number.size)
    choice = solve(world).choice
    stepper = Stepper(env, TablePolicy(world, choice, env.layout))
    steps = 0
    while env.envs["active"].any():
        stepper.step()
        steps += 1
    return world, choice, steps, env.drain_episodes()


def test_every_market_is_one_episode_of_all_its_steps(played):
    world, _, steps, records = played
    assert steps == world.n_steps
    assert records.n_steps.tolist() == [world.n_steps] * 150
    assert records.settled.sum() == 0


def test_the_environment_pays_the_choice_its_exact_value_within_three_standard_errors(played):
    world, choice, _, records = played
    earned = records.episode_return / world.reward_per_dollar
    error = earned.std(ddof=1) / earned.size**0.5
    assert abs(earned.mean() - value_of(world, choice)) < 3 * error
    assert 3 * error < 0.1 * earned.mean()  # the test sees a tenth


def test_an_order_fills_as_often_as_the_theory_says(played):
    world, _, _, records = played
    n = int(records.n_steps.sum())  # the optimum always rests one order
    expected, spread = n * world.fill_chance, (n * world.fill_chance * (1 - world.fill_chance)) ** 0.5
    assert abs(int(records.n_fills.sum()) - expected) < 4 * spread
    assert records.n_reached_fills.sum() == 0


def test_the_table_sends_the_action_that_its_state_allows():
    world = MakingWorld(max_inventory=1, n_steps=2)
    choice = np.array([[A_BID] * 3, [A_BID, A_BID, AN_ASK], [AN_ASK] * 3])
    bank = world_bank(world, seed=1, n_markets=1)
    layout = ReplayVectorEnv(bank, FixedEpisodes(market_episodes(bank, 1)), world.env, 1).layout
    policy = TablePolicy(world, choice, layout)
    flat, rows = np.zeros((5, layout.width), np.float32), np.zeros((5, 1), np.int64)
    blocks = layout.split(flat)
    blocks.portfolio[:, 0, 0] = [-1, 0, 0, 1, 1]  # position
    blocks.portfolio[:, 0, 4] = [0, 0, -1, 0, -1]  # side that rests
    assert policy.act(flat, rows)[:, 0].tolist() == [SELL_NO, BUY_YES, HOLD, SELL_YES, HOLD]
    blocks.portfolio[1, 0, 4] = 1
    assert policy.act(flat, rows)[1, 0] == HOLD
    other = TablePolicy(world, np.full((3, 3), AN_ASK), layout)
    assert other.act(flat, rows)[1, 0] == BUY_NO
    rows[:] = -1
    assert (policy.act(flat, rows) == HOLD).all()
