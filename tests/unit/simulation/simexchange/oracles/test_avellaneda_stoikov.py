"""Spreads against worked figures; the simulation against exact moments and the published table."""

import numpy as np
import pytest

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.simulation.simexchange.oracles.avellaneda_stoikov import (
    Market,
    Schedule,
    exact_moments,
    inventory_schedule,
    simulate,
    spread,
    symmetric_schedule,
)

MARKET = Market()
N_PATHS = 40_000


def drawn(schedule: Schedule, n_paths: int, seed: int, kernel=simulate) -> tuple[np.ndarray, np.ndarray]:
    profit, inventory = np.zeros(n_paths), np.zeros(n_paths, np.int64)
    dt = MARKET.horizon / MARKET.n_steps
    rng = np.random.default_rng(seed)
    kernel(rng, *schedule, MARKET.sigma * dt**0.5, MARKET.arrival_rate * dt, MARKET.k, profit, inventory)
    return profit, inventory


def test_spreads_match_worked_figures():
    # gamma = .1: 20 ln(1 + 1/15) = 1.290770 at the end, plus .1 x 4 x 1 at the beginning
    assert spread(MARKET, 0.1, np.array([1.0, 0.0])).tolist() == pytest.approx([1.690770, 1.290770], abs=5e-7)
    mean = {g: 2 * inventory_schedule(MARKET, g).half_spread.mean() for g in (0.01, 0.1, 0.5)}
    assert mean == pytest.approx({0.01: 1.3490085, 0.1: 1.4917704, 0.5: 2.155728}, abs=1e-6)


@pytest.mark.parametrize(
    ("total", "profit", "profit_sd", "inventory_sd"),
    [(1.49, 68.232, 13.41, 8.403), (1.35, 68.666, 13.62, 8.710)],
)
def test_the_symmetric_makers_moments_match_their_closed_form(total, profit, profit_sd, inventory_sd):
    # n steps, d = S/2, P = A dt exp(-k d): E = 2 n P d, Var q = 2 n P (1 - P) = 2 n v; a lot of step t meets
    # n - t + 1 moves of the mid, so Var profit = d^2 2 n v + sigma^2 dt 2 v (1 + ... + n)
    found = exact_moments(MARKET, symmetric_schedule(MARKET, total))
    d = total / 2
    p = 0.7 * np.exp(-1.5 * d)
    v, risk = p * (1 - p), 4 * 0.005 * 2 * p * (1 - p)
    assert found.profit == pytest.approx(400 * p * d, abs=1e-9)
    assert found.inventory_sd == pytest.approx(np.sqrt(400 * v), abs=1e-9)
    assert found.profit_sd == pytest.approx(np.sqrt(d**2 * 400 * v + risk * 20_100), abs=1e-9)
    # the audit's figures (evidence.md 2.4) let the mid move before the fill: 1 + ... + (n - 1)
    earlier = np.sqrt(d**2 * 400 * v + risk * 19_900)
    assert (found.profit, found.inventory_sd) == pytest.approx((profit, inventory_sd), abs=6e-4)
    assert earlier == pytest.approx(profit_sd, abs=6e-3)


@pytest.mark.parametrize(
    "schedule",
    [inventory_schedule(MARKET, 0.1), inventory_schedule(MARKET, 0.01), symmetric_schedule(MARKET, 1.49)],
    ids=["gamma 0.1", "gamma 0.01", "symmetric"],
)
def test_the_simulation_has_the_exact_moments_within_three_standard_errors(schedule):
    profit, inventory = drawn(schedule, N_PATHS, seed=1)
    exact = exact_moments(MARKET, schedule)
    assert abs(profit.mean() - exact.profit) < 3 * exact.profit_sd / N_PATHS**0.5
    assert abs(inventory.mean()) < 3 * exact.inventory_sd / N_PATHS**0.5
    # a standard deviation has the standard error sd / sqrt(2 n), the profits being nearly Gaussian
    assert abs(profit.std() - exact.profit_sd) < 3 * exact.profit_sd / (2 * N_PATHS) ** 0.5
    assert abs(inventory.std() - exact.inventory_sd) < 3 * exact.inventory_sd / (2 * N_PATHS) ** 0.5


@pytest.mark.parametrize(
    ("gamma", "profit", "profit_sd", "inventory_sd"), [(0.1, 64.87, 6.69, 2.894), (0.01, 68.75, 8.72, 5.096)]
)
def test_the_published_table_of_1000_paths_lies_within_three_of_its_standard_errors(
    gamma, profit, profit_sd, inventory_sd
):
    # mbt_gym's notebook, evidence.md 2.4
    exact = exact_moments(MARKET, inventory_schedule(MARKET, gamma))
    assert abs(profit - exact.profit) < 3 * exact.profit_sd / 1_000**0.5
    assert abs(profit_sd - exact.profit_sd) < 3 * exact.profit_sd / 2_000**0.5
    assert abs(inventory_sd - exact.inventory_sd) < 3 * exact.inventory_sd / 2_000**0.5


def test_the_plain_form_draws_the_same_paths():
    schedule = inventory_schedule(MARKET, 0.1)
    compiled, plain = drawn(schedule, 3, 7), drawn(schedule, 3, 7, simulate.py_func)
    np.testing.assert_allclose(compiled[0], plain[0], rtol=1e-12)
    np.testing.assert_array_equal(compiled[1], plain[1])


@pytest.mark.parametrize(
    ("changes", "gamma", "named"),
    [
        ({"n_steps": 100}, 0.1, "140 / 100 is no probability of an order a step: take more steps"),
        ({"arrival_rate": float("nan")}, 0.1, "arrival_rate=nan is not a positive number"),
        ({"k": 0.0}, 0.1, "k=0.0 is not a positive number"),
        ({"sigma": -1.0}, 0.1, "sigma=-1.0 is below 0"),
        ({}, 0.0, "gamma=0.0 is not a positive number"),
    ],
)
def test_a_market_without_a_chance_of_an_order_is_refused(changes, gamma, named):
    with pytest.raises(ContractError, match=named):
        inventory_schedule(MARKET._replace(**changes), gamma)


def test_inventories_that_the_chain_would_leave_out_are_refused():
    # 8.4 lots are one standard deviation of the symmetric maker's inventory
    with pytest.raises(ContractError, match="of the probability lies beyond most=20 lots: take more"):
        exact_moments(MARKET, symmetric_schedule(MARKET, 1.49), most=20)
