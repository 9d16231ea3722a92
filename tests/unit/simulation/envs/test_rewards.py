"""Reward terms against numbers worked by hand."""

import pytest

from kalshi_platform.simulation.envs import rewards

DAY_NS = 86_400_000_000_000


def both(kernel):
    return kernel, kernel.py_func


def test_the_equity_term_is_the_share_of_capital_gained():
    for kernel in both(rewards.equity_term):
        assert kernel(-500_000, 200_000_000) == -0.0025


def test_the_holding_term_charges_exposure_by_the_day():
    # 40 of 200 dollars exposed for 6 hours at 0.01 a day: 0.01 * 0.2 * 0.25
    for kernel in both(rewards.holding_term):
        assert kernel(40_000_000, DAY_NS // 4, 0.01, 200_000_000) == pytest.approx(0.0005, rel=1e-12)
        assert kernel(40_000_000, 0, 0.01, 200_000_000) == 0.0


def test_a_step_is_worth_gain_less_holding_in_scaled_units():
    # gain 2 of 200 dollars = 0.01; holding as above 0.0005; scale 100: 0.95
    for kernel in both(rewards.step_reward):
        reward = kernel(2_000_000, 40_000_000, DAY_NS // 4, 200_000_000, 0.01, 100.0)
        assert reward == pytest.approx(0.95, rel=1e-12)
