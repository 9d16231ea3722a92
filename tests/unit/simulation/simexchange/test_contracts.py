"""Contracts of an event: intervals, tickers, grids, and the probability that each pays."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshi_platform.domain.market import WHOLE_CENTS, PriceBand
from kalshi_platform.simulation.simexchange.contracts import (
    Contract,
    draw_contracts,
    draw_grid,
    fair_probability,
    grid_prices_e4,
    names_of,
)


def test_fair_probability_matches_the_normal_table():
    # P(-1 < X <= 1) = 0.682689 for a standard normal, P(X > 0.5) with variance 0.25: P(Z > 1) = 0.158655
    assert fair_probability.py_func(0.0, 1.0, -1.0, 1.0) == pytest.approx(0.682689, abs=1e-6)
    assert fair_probability(0.0, 0.25, 0.5, np.inf) == pytest.approx(0.158655, abs=1e-6)


@pytest.mark.parametrize(
    ("contract", "name", "shape", "bounds"),
    [
        (Contract(None, 55.5), "T55.5", "less_or_equal", (-np.inf, -0.45)),
        (Contract(62.0, None), "T62", "greater", (0.2, np.inf)),
        (Contract(55.0, 65.0), "B60", "between", (-0.5, 0.5)),
    ],
)
def test_a_contract_is_called_as_the_exchange_calls_it(contract, name, shape, bounds):
    assert (contract.name, contract.strike_type) == (name, shape)
    assert contract.bounds == pytest.approx(bounds)  # strikes are 60 + 10 x


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(2, 12))
def test_brackets_follow_one_another_from_end_to_end(seed, n):
    drawn = draw_contracts(np.random.default_rng(seed), "brackets", n)
    assert len(drawn) == n
    assert (drawn[0].lower, drawn[-1].upper) == (None, None)
    for below, above in pairwise(drawn):
        assert below.upper == above.lower
        assert above.upper is None or above.lower < above.upper
    assert sum(fair_probability(0.0, 1.0, *c.bounds) for c in drawn) == pytest.approx(1.0)


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(2, 12))
def test_nested_thresholds_lie_one_inside_the_other(seed, n):
    drawn = draw_contracts(np.random.default_rng(seed), "nested", n)
    assert [c.upper for c in drawn] == [None] * n
    chances = [fair_probability(0.0, 1.0, *c.bounds) for c in drawn]
    assert chances == sorted(chances, reverse=True)
    # 0.18 .. 0.72 and at most 0.08 more lie below: YES pays with 0.2 to 0.82
    assert 0.19 < min(chances) < max(chances) < 0.83


@given(st.integers(0, 2**32 - 1))
def test_a_single_threshold_is_neither_sure_nor_hopeless(seed):
    (contract,) = draw_contracts(np.random.default_rng(seed), "single", 1)
    assert 0.24 < fair_probability(0.0, 1.0, *contract.bounds) < 0.76


@given(st.floats(-3, 3), st.floats(0.01, 1), st.lists(st.floats(-3, 3), min_size=1, max_size=4, unique=True))
def test_the_probabilities_of_intervals_that_cover_everything_sum_to_one(forecast, variance, cuts):
    edges = [-np.inf, *sorted(cuts), np.inf]
    chances = [fair_probability(forecast, variance, low, high) for low, high in pairwise(edges)]
    assert sum(chances) == pytest.approx(1.0)
    assert min(chances) >= 0.0


@pytest.mark.parametrize(("share", "n_grids"), [(0.0, 1), (1.0, 2)])
def test_grids_are_whole_cents_but_for_the_share_of_fine_ones(share, n_grids):
    drawn = {draw_grid(np.random.default_rng(seed), share) for seed in range(60)}
    assert len(drawn) == n_grids
    assert (drawn == {WHOLE_CENTS}) == (share == 0.0)


def test_grid_prices_are_those_strictly_inside_worked_by_hand():
    bands = (
        PriceBand(start_e4=0, end_e4=1_000, step_e4=500),
        PriceBand(start_e4=1_000, end_e4=10_000, step_e4=3_000),
    )
    assert grid_prices_e4(bands).tolist() == [500, 1_000, 4_000, 7_000]
    assert grid_prices_e4(WHOLE_CENTS).tolist() == list(range(100, 10_000, 100))


@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(2, 12),
    family=st.sampled_from(["nested", "brackets", "single"]),
)
def test_markets_of_one_event_have_different_names(seed, n, family):
    contracts = draw_contracts(np.random.default_rng(seed), family, n)
    assert len(set(names_of(contracts))) == len(contracts)


def test_two_brackets_share_their_strike_and_the_lower_one_says_so():
    assert names_of([Contract(None, 58.71), Contract(58.71, None)]) == ["T58.71L", "T58.71"]
    assert names_of([Contract(None, 55.0), Contract(55.0, 65.0), Contract(65.0, None)]) == [
        "T55",
        "B60",
        "T65",
    ]
