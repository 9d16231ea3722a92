"""Metrics against numbers worked by hand."""

import math

import numpy as np
import pytest

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.units import NS_PER_DAY
from kalshi_platform.evaluation.statistics import metrics


def test_sharpe_divides_by_the_spread_or_its_floor():
    # mean 0.2, population std 0.1 -> 2; constant returns: 0.005 / 0.01 = 0.5
    assert metrics.sharpe(np.array([0.1, 0.3])) == pytest.approx(2.0)
    assert metrics.sharpe(np.array([0.005, 0.005])) == pytest.approx(0.5)
    assert metrics.sharpe(np.array([])) == 0.0


def test_running_sums_give_the_same_sharpe():
    rng = np.random.default_rng([1, 2])
    series = rng.normal(0.1, 0.5, (4, 50))
    got = metrics.sharpe_of_moments(np.full(4, 50), series.sum(1), (series**2).sum(1))
    np.testing.assert_allclose(got, [metrics.sharpe(s) for s in series])
    assert metrics.sharpe_of_moments(np.array([0]), np.array([0.0]), np.array([0.0]))[0] == 0.0


def test_consistency_falls_with_the_spread_over_the_mean():
    # mean 4, std sqrt(8/3) -> 1 - 1.63299/4. Returns of 5 % with a spread of 7.9 %: no floor hides the miss.
    assert metrics.consistency(np.array([2.0, 4.0, 6.0])) == pytest.approx(1 - math.sqrt(8 / 3) / 4)
    # mean .05, std sqrt((.0225 + .0025 + .0100) / 3) = .108012: 1 - 2.16025
    assert metrics.consistency(np.array([0.2, 0.0, -0.05])) == pytest.approx(-1.16025, abs=1e-5)


def test_nothing_is_said_of_the_consistency_of_two_returns_or_of_a_mean_of_zero():
    assert metrics.consistency(np.array([2.0, 6.0])) is None
    assert metrics.consistency(np.array([-0.1, 0.1, -0.2, 0.2])) is None


def test_a_sharpe_ratio_over_blocks_needs_three_and_a_spread():
    # mean 2, population std sqrt(2/3)
    assert metrics.block_sharpe(np.array([1.0, 2.0, 3.0])) == pytest.approx(2 / math.sqrt(2 / 3))
    assert metrics.block_sharpe(np.array([0.001, 0.002])) is None
    assert metrics.block_sharpe(np.full(5, 0.1)) is None


def test_groups_keep_their_own_moments_and_empty_ones_are_nan():
    count, mean, std = metrics.grouped_moments(np.array([0, 0, 2]), np.array([1.0, 3.0, 5.0]), 3)
    np.testing.assert_array_equal(count, [2, 0, 1])
    np.testing.assert_allclose(mean, [2.0, np.nan, 5.0])
    np.testing.assert_allclose(std, [1.0, np.nan, 0.0])


def test_aggregate_counts_each_market_once():
    got = metrics.aggregate(np.array([1.0, -1.0, 3.0, 1.0]), np.array([0.5, -0.5, 1.0, 0.0]))
    # mean 1, std sqrt(2)
    assert got.mean_return == pytest.approx(1.0)
    assert got.return_consistency == pytest.approx(1 - math.sqrt(2))
    assert got.mean_sharpe == pytest.approx(0.25)
    assert got.share_profitable == pytest.approx(0.75)
    with pytest.raises(ContractError, match="nothing to aggregate"):
        metrics.aggregate(np.array([]), np.array([]))


def test_probabilistic_sharpe_matches_the_worked_value():
    # returns -1, 1, 3, 1, 1: mean 1, variance 8/5 = 1.6, third moment 0 (skew 0),
    # fourth moment (16 + 16)/5 = 6.4 -> kurtosis 6.4/2.56 = 2.5; SR = 1/sqrt(1.6) = 0.790569
    # spread = 1 + 1.5/4 * 0.625 = 1.234375; z = 0.790569 * 2 / 1.111024 = 1.423137; Phi(z) = 0.922651
    got = metrics.probabilistic_sharpe(np.array([-1.0, 1.0, 3.0, 1.0, 1.0]))
    assert got == pytest.approx(0.922651, abs=1e-5)


def test_skewed_gains_lower_the_probability_less_than_skewed_losses():
    gains = np.array([0.0, 0.0, 0.0, 0.0, 1.0])
    losses = 2 * gains.mean() - gains  # same mean and variance, skew turned round
    assert metrics.probabilistic_sharpe(gains) > metrics.probabilistic_sharpe(losses)


@pytest.mark.parametrize("returns", [[1.0, 2.0], [1.0, 1.0, 1.0], [1.0, np.nan, 2.0]])
def test_probabilistic_sharpe_is_undefined_without_spread_or_draws(returns):
    assert metrics.probabilistic_sharpe(np.array(returns)) is None


def test_expected_best_of_trials_matches_the_worked_value():
    # N = 10: Phi^-1(0.9) = 1.281552, Phi^-1(1 - 1/27.18282) = Phi^-1(0.963212) = 1.789248
    # 0.422784 * 1.281552 + 0.577216 * 1.789248 = 1.574603 ; times sqrt(0.04) = 0.2
    assert metrics.expected_max_sharpe(10, 0.04) == pytest.approx(0.2 * 1.5746, abs=2e-4)
    assert metrics.expected_max_sharpe(1, 0.04) == 0.0
    with pytest.raises(ContractError, match="n_trials=0"):
        metrics.expected_max_sharpe(0, 0.04)


def test_more_trials_deflate_more():
    returns = np.random.default_rng([5]).normal(0.3, 1.0, 80)
    one, ten, many = (metrics.deflated_sharpe(returns, n, 0.05) for n in (1, 10, 1000))
    assert one == metrics.probabilistic_sharpe(returns)
    assert one > ten > many


def test_annual_sharpe_uses_the_time_really_elapsed():
    # 4 events in 365.25 days: 4 a year; mean 0.5, sample std of 0, 1, 0, 1 = 0.57735; 0.866025 * 2
    returns = np.array([0.0, 1.0, 0.0, 1.0])
    start = np.array([0, 100, 200, 300]) * NS_PER_DAY
    end = np.array([50, 150, 250, 365.25]) * NS_PER_DAY
    assert metrics.annual_sharpe(returns, start, end) == pytest.approx(0.866025 * 2, abs=1e-5)
    # the same returns with twice the idle time: divided by sqrt(2)
    assert metrics.annual_sharpe(returns, start * 2, end * 2) == pytest.approx(0.866025 * 2**0.5, abs=1e-5)


@pytest.mark.parametrize("each", [0.1, 0.3, -0.7, 1e-3])
def test_equal_returns_have_no_sharpe_whatever_their_rounding(each):
    # The standard deviation of seven times 0.1 is 1e-17 and not 0: an annual ratio of 4e16 before.
    returns, start = np.full(7, each), np.arange(7) * 30 * NS_PER_DAY
    assert metrics.annual_sharpe(returns, start, start + NS_PER_DAY) is None
    assert metrics.probabilistic_sharpe(returns) is None
    assert metrics.block_sharpe(returns) is None


def test_a_few_hours_are_never_annualised():
    returns = np.array([0.0, 1.0, 0.0])
    start = np.array([0, 1, 2]) * 3_600_000_000_000
    assert metrics.annual_sharpe(returns, start, start + 1) is None


def test_drawdown_is_the_fall_from_an_earlier_peak():
    # peaks 5 then 6; falls 5 -> 1 (4) and 6 -> 3 (3)
    assert metrics.max_drawdown(np.array([0.0, 5.0, 1.0, 6.0, 3.0])) == 4.0
    assert metrics.max_drawdown(np.array([1.0, 2.0])) == 0.0
    assert metrics.max_drawdown(np.array([])) == 0.0


def test_interquartile_mean_cuts_a_quarter_from_each_end():
    # 8 values: the middle four
    assert metrics.interquartile_mean(np.array([-100, 1, 2, 3, 4, 5, 6, 100.0])) == pytest.approx(3.5)
    # 3 values: weights 1/12, 4/12, 1/12 -> (1*1 + 2*4 + 9*1) / 6
    assert metrics.interquartile_mean(np.array([9.0, 1.0, 2.0])) == pytest.approx(3.0)
    assert metrics.interquartile_mean(np.array([7.0])) == 7.0


def test_entropy_is_zero_for_one_action_and_one_for_equal_use():
    assert metrics.entropy_share(np.array([9, 0, 0, 0, 0])) == 0.0
    assert metrics.entropy_share(np.array([3, 3, 3, 3, 3])) == pytest.approx(1.0)
    # half and half of 4 actions: ln 2 / ln 4
    assert metrics.entropy_share(np.array([1, 1, 0, 0])) == pytest.approx(0.5)
