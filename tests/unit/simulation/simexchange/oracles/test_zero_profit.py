"""In the core the zero-profit quotes earn nothing; a tick inside them loses, a tick outside gains."""

import numpy as np
import pytest

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.simulation.simexchange.oracles.zero_profit import make_markets, new_venue

MAX_TRADES = 20


def made(n_markets, tick_e4, widen, seed, prior=0.5, informed=0.2, kernel=make_markets):
    profit, trades = np.zeros(n_markets, np.int64), np.zeros(n_markets, np.int64)
    venue = new_venue(tick_e4)
    wrong = kernel(np.random.default_rng(seed), venue, prior, informed, MAX_TRADES, widen, profit, trades)
    assert wrong == 0
    assert venue.core.depth.sum() == 0
    return profit / 1e6, trades


def in_standard_errors(profit, expected=0.0):
    """Distance of the total profit from ``expected`` (M,); markets are independent, their trades are not."""
    surprise = profit - expected
    return surprise.sum() / (surprise**2).sum() ** 0.5


@pytest.mark.parametrize("tick_e4", [100, 10], ids=["whole cents", "tenths of a cent"])
def test_zero_profit_quotes_earn_nothing_over_a_million_trades(tick_e4):
    profit, trades = made(70_000, tick_e4, 0, seed=11)
    assert trades.sum() > 1_000_000
    assert abs(in_standard_errors(profit)) < 3
    # the test would see a tenth of a cent a trade
    assert 0.001 * trades.sum() > 3 * (profit**2).sum() ** 0.5


@pytest.mark.parametrize("widen", [-1, 1])
def test_a_cent_inside_loses_and_a_cent_outside_gains_a_cent_a_trade(widen):
    profit, trades = made(20_000, 100, widen, seed=12, prior=0.4)
    assert abs(in_standard_errors(profit)) > 3
    assert np.sign(profit.sum()) == widen
    assert abs(in_standard_errors(profit, 0.01 * widen * trades)) < 3


def test_the_plain_form_makes_the_same_markets():
    compiled, plain = (made(20, 100, 0, 3, kernel=k) for k in (make_markets, make_markets.py_func))
    np.testing.assert_array_equal(compiled, plain)


def test_a_tick_that_does_not_fit_a_dollar_is_refused():
    with pytest.raises(ContractError, match="tick_e4=3 does not divide"):
        new_venue(3)
