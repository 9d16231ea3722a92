"""Erlang fill times against the Poisson sum, worked figures and the matching core."""

import math

import numpy as np
import pytest
from scipy.stats import gamma, kstest

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.simulation.simexchange.oracles.fill_time import filled_by, new_queue, wait


@pytest.mark.parametrize(
    ("ahead", "expected_trades", "chance"),
    # ../shared/audits/evidence.md 2.4; the first is 1 - 1/e
    [(0, 1, 0.63212056), (5, 5, 0.38403935), (10, 20, 0.98918828), (100, 100, 0.47343780)],
)
def test_the_formula_matches_worked_figures(ahead, expected_trades, chance):
    assert filled_by(ahead, 1.0, expected_trades) == pytest.approx(chance, abs=5e-9)
    terms = (math.exp(k * math.log(expected_trades) - math.lgamma(k + 1)) for k in range(ahead + 1))
    poisson = math.fsum(terms) * math.exp(-expected_trades)
    assert filled_by(ahead, 2.0, expected_trades / 2) == pytest.approx(1 - poisson, abs=1e-12)


@pytest.mark.parametrize(("ahead", "rate", "time"), [(0, 2.0, 0.5), (5, 1.0, 5.0), (10, 4.0, 5.0)])
def test_the_core_fills_within_four_standard_errors(ahead, rate, time):
    times = np.zeros(100_000)
    wait(np.random.default_rng(ahead), new_queue(), ahead, rate, times)
    chance = filled_by(ahead, rate, time)
    error = (chance * (1 - chance) / times.size) ** 0.5
    assert abs((times <= time).mean() - chance) < 4 * error
    assert kstest(times[:20_000], gamma(ahead + 1, scale=1 / rate).cdf).pvalue > 0.01


def test_the_plain_form_draws_the_same_times():
    found = [np.zeros(5), np.zeros(5)]
    for kernel, times in zip((wait, wait.py_func), found, strict=True):
        kernel(np.random.default_rng(3), new_queue(64), 4, 2.0, times)
    np.testing.assert_allclose(found[0], found[1], rtol=1e-12)


@pytest.mark.parametrize("wrong", [(-1, 1.0, 1.0), (0, 0.0, 1.0), (0, 1.0, -1.0), (0, float("nan"), 1.0)])
def test_an_impossible_queue_is_refused(wrong):
    with pytest.raises(ContractError, match="no queue has ahead"):
        filled_by(*wrong)
