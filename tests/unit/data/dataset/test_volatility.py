"""Volatility of a market: time-weighted, in dollars, blind to invalid books."""

import numpy as np
import pytest

from kalshi_platform.data.dataset.volatility import mid_volatility
from kalshi_platform.data.features import rows as rows_module
from kalshi_platform.domain.units import NO_PRICE


def rows_of(times_s, bids_e4, asks_e4, valid=None):
    rows = rows_module.empty(len(times_s), 1)
    rows.recv_ns[:] = np.array(times_s) * 1_000_000_000
    rows.bid_px_e4[:, 0] = bids_e4
    rows.ask_px_e4[:, 0] = asks_e4
    rows.valid[:] = 1 if valid is None else valid
    return rows


def test_mids_weigh_by_the_time_they_stood():
    # mid 0.40 for 1 s, 0.60 for 3 s; mean 0.55; variance (1 * 0.15^2 + 3 * 0.05^2) / 4 = 0.0075
    rows = rows_of([0, 1, 4], [3_900, 5_900, 100], [4_100, 6_100, 200])
    assert mid_volatility(rows) == pytest.approx(0.0075**0.5)


def test_invalid_crossed_and_one_sided_books_weigh_nothing():
    rows = rows_of(
        [0, 1, 2, 3, 4, 5, 6],
        [4_000, 9_000, NO_PRICE, 4_000, 9_000, 6_000, 6_000],
        [4_000, 9_000, 100, NO_PRICE, 8_000, 6_000, 6_000],
        valid=[1, 0, 1, 1, 2, 1, 1],
    )
    # 0.40 for 1 s and 0.60 for 1 s: 0.10 from the mean of 0.50
    assert mid_volatility(rows) == pytest.approx(0.1)


@pytest.mark.parametrize("times_s", [[], [1], [1, 1, 1]])
def test_without_any_time_there_is_no_volatility(times_s):
    n = len(times_s)
    assert mid_volatility(rows_of(times_s, [4_000] * n, [5_000] * n)) == 0.0
