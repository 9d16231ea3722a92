"""The matrix exponential against the audit's figures, the equation it solves, and a case worked by hand."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.simulation.simexchange.oracles.cartea_jaimungal import (
    MarketMaking,
    binary_settlement,
    depths,
    value,
    values,
)


def integrated(problem: MarketMaking, time_left: float) -> np.ndarray:
    """h by integrating the nonlinear HJB equation backwards; it knows nothing of w or of matrices.

    At the optimum 1/kappa - (h(q') - h(q)) a side earns lambda/(kappa e) exp(kappa (h(q') - h(q))).
    """
    q = problem.inventories.astype(float)
    cost = problem.running_penalty * q**2 + problem.holding_cost * np.abs(q)
    gain = problem.arrival_rate / (problem.kappa * np.e)

    def slope(_: float, h: np.ndarray) -> np.ndarray:
        # the solver tries steps that it then refuses: they must not overflow
        step = np.exp(np.clip(problem.kappa * np.diff(h), -100.0, 100.0))
        out = -cost
        out[:-1] += gain * step
        out[1:] += gain / step
        return out

    end = -problem.terminal_penalty * q**2
    return solve_ivp(slope, (0, time_left), end, method="DOP853", rtol=1e-12, atol=1e-12).y[:, -1]


PUBLISHED = [  # ../shared/audits/evidence.md 2.4, Q = 100: (lambda, kappa, T, V(0, 0), depth at q = 0)
    (140, 1.5, 1, 68.255835, 0.672137),
    (100, 1.0, 1, 73.225863, 1.007188),
    (50, 2.0, 1, 18.219291, 0.507200),
    (50, 2.0, 2, 36.326074, 0.508190),
]


@pytest.mark.parametrize(("rate", "kappa", "horizon", "worth", "depth"), PUBLISHED)
def test_values_and_depths_match_the_audits_figures(rate, kappa, horizon, worth, depth):
    problem = MarketMaking(rate, kappa, 100, running_penalty=0.01, terminal_penalty=0.001)
    assert value(problem, horizon) == pytest.approx(worth, abs=5e-7)
    bid, ask = depths(problem, horizon)
    assert (bid[100], ask[100]) == pytest.approx((depth, depth), abs=5e-7)


def test_a_long_inventory_bids_further_away_and_asks_nearer():
    bid, ask = depths(MarketMaking(140, 1.5, 100, running_penalty=0.01, terminal_penalty=0.001), 1.0)
    assert (bid[105], ask[105]) == pytest.approx((0.726824, 0.617442), abs=5e-7)
    assert bid[95] == pytest.approx(ask[105], abs=1e-12)  # mirrored
    assert np.isinf(bid[200])
    assert np.isinf(ask[0])


# evidence.md 2.4, lambda = 100, kappa = 50 a dollar, Q = 10: (gamma, p, T, V, depth at 0, bid and ask at 5)
SETTLEMENTS = [
    (0.05, 0.5, 1.0, 1.42461740, 0.02020876, 0.02289504, 0.01782827),
    (0.05, 0.9, 1.0, 1.43453828, 0.02020831, 0.02289183, 0.01783135),
    (0.05, 0.5, 0.05, 0.05685829, 0.02247852, 0.04220140, 0.00090871),
]


@pytest.mark.parametrize(("gamma", "p", "horizon", "worth", "depth", "bid5", "ask5"), SETTLEMENTS)
def test_binary_settlement_matches_the_audits_figures(gamma, p, horizon, worth, depth, bid5, ask5):
    problem = binary_settlement(100, 50, 10, gamma, p)
    bid, ask = depths(problem, horizon)
    found = value(problem, horizon), bid[10], bid[15], ask[15]
    assert found == pytest.approx((worth, depth, bid5, ask5), abs=5e-9)


def test_without_a_penalty_only_the_bounds_cost():
    assert value(binary_settlement(100, 50, 10, 0.0, 0.5), 1.0) == pytest.approx(1.46131908, abs=5e-9)
    # no bound in reach: 2 lambda T / (e kappa)
    assert value(binary_settlement(100, 50, 300, 0.0, 0.5), 1.0) == pytest.approx(4 / np.e, abs=1e-12)


@pytest.mark.parametrize(
    ("problem", "horizon"),
    [
        (MarketMaking(140, 1.5, 30, running_penalty=0.01, terminal_penalty=0.001), 1.0),
        (MarketMaking(20, 3.0, 4, running_penalty=0.2, holding_cost=0.3), 2.0),
        (binary_settlement(100, 50, 10, 0.05, 0.5), 1.0),
        (binary_settlement(100, 50, 10, 0.05, 0.9), 1.0),
        (binary_settlement(100, 50, 10, 0.05, 0.5), 0.05),
        (binary_settlement(100, 50, 10, 0.0, 0.5), 1.0),
    ],
)
def test_every_inventory_agrees_with_the_integrated_equation(problem, horizon):
    np.testing.assert_allclose(values(problem, horizon), integrated(problem, horizon), rtol=0, atol=1e-8)


def test_two_inventories_of_one_lot_match_a_value_worked_by_hand():
    # Q = 1 without penalties: by symmetry w(0) = w0, w(+-1) = w1, w0' = 2 a w1, w1' = a w0, a = lambda/e;
    # from (1, 1): w0 = cosh(s) + sqrt(2) sinh(s), s = sqrt(2) a T. With a = 1, T = 1/sqrt(2): s = 1.
    problem = MarketMaking(np.e, 1.0, 1)
    assert value(problem, 1 / np.sqrt(2)) == pytest.approx(
        np.log(np.cosh(1) + np.sqrt(2) * np.sinh(1)), abs=1e-14
    )


def test_nothing_is_earned_at_the_end_but_the_penalty_is_lost():
    assert values(MarketMaking(1, 2, 2, terminal_penalty=0.5), 0.0).tolist() == pytest.approx(
        [-2, -0.5, 0, -0.5, -2]
    )


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"arrival_rate": 0}, "arrival_rate=0 is not a positive"),
        ({"kappa": float("nan")}, "kappa=nan"),
        ({"max_inventory": 0}, "max_inventory=0 is below 1"),
        ({"holding_cost": -1}, "a penalty cannot pay"),
        ({"terminal_penalty": 1, "max_inventory": 100}, "smaller max_inventory"),
    ],
)
def test_what_has_no_solution_is_refused_with_the_range(wrong, said):
    with pytest.raises(ContractError, match=said):
        MarketMaking(**{"arrival_rate": 1, "kappa": 1, "max_inventory": 1} | wrong)


def test_a_price_that_is_none_and_a_time_that_has_passed_are_refused():
    with pytest.raises(ContractError, match="price=1"):
        binary_settlement(1, 1, 1, 1, 1)
    with pytest.raises(ContractError, match="time_left=-1"):
        values(MarketMaking(1, 1, 1), -1)
