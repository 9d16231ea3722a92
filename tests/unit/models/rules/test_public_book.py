"""Signals of the public book at the rows of a bank, by hand."""

import numpy as np
import pytest
from made.replay_bank import bank_of, book, market, rows_of

from kalshi_platform.models.rules import public_book
from kalshi_platform.models.rules.public_book import imbalances, spread_signals


@pytest.fixture(params=["compiled", "plain"])
def kernels(request, monkeypatch):
    if request.param == "plain":
        for name in ("write_imbalances", "write_spread_signals"):
            monkeypatch.setattr(public_book, name, getattr(public_book, name).py_func)


LEVELS = [(4_000, 100), (3_900, 50), (3_800, 50)]


def test_the_imbalance_counts_all_five_levels_and_an_empty_slot_leans_nowhere(kernels):
    rows = rows_of(
        book(0, LEVELS, [(4_100, 100)]),  # (200 - 100) / 300
        book(1, [], [(4_100, 100)]),
        book(2, [], []),
        book(3, [(4_000, -1)], [(4_100, 100)]),  # a size that is not known
    )
    got = imbalances(bank_of(market(rows)), np.array([[0, 1], [2, 3], [-1, 0]], np.int32))
    np.testing.assert_allclose(got, [[1 / 3, -1.0], [0.0, 0.0], [0.0, 1 / 3]])


def test_the_spread_is_set_beside_its_mean_of_a_minute_and_the_move_fades(kernels):
    rows = rows_of(
        book(0, [(4_900, 1)], [(5_100, 1)]),
        book(60, [(4_800, 1)], [(5_400, 1)]),
        book(120, [(4_800, 1)], [(5_400, 1)]),
    )
    got = spread_signals(bank_of(market(rows)))
    kept = np.exp(-1)
    # at 60 s the mean is still the 2 c that held until now; at 120 s it is 6 + e^-1 (2 - 6) = 4.528 c
    np.testing.assert_allclose(got.ratio, [0.5, 6 / 8, 6 / (12 - 4 * kept)], rtol=1e-6)
    # the mid went from 50 c to 51 c at 60 s
    np.testing.assert_allclose(got.move, [0.0, 0.01, 0.01 * kept], rtol=1e-5)


def test_nothing_of_before_a_gap_is_remembered(kernels):
    gap = [
        book(0, [(4_000, 1)], [(4_200, 1)]), book(1, [(4_000, 1)], [(4_200, 1)]),
        book(2, [(4_000, 1)], [(4_200, 1)], valid=0),
        book(3, [(6_000, 1)], [(6_600, 1)]), book(4, [(6_000, 1)], [(6_600, 1)]),
    ]  # fmt: skip
    got = spread_signals(bank_of(market(rows_of(*gap))))
    assert got.ratio.tolist() == [0.5] * 5
    assert got.move.tolist() == [0.0] * 5


def test_a_market_of_prints_shows_no_spread(kernels):
    rows = rows_of(book(0, [(4_000, 1)], [(4_200, 1)]), book(1, [(3_000, 1)], [(4_200, 1)]))
    got = spread_signals(bank_of(market(rows, provenance="trade_implied")))
    assert (got.ratio.tolist(), got.move.tolist()) == ([0.5, 0.5], [0.0, 0.0])


def test_a_later_row_changes_no_signal_of_an_earlier_one(kernels):
    early = [book(t, [(4_000 + 10 * t, 1)], [(4_300, 1)]) for t in range(6)]
    some = spread_signals(bank_of(market(rows_of(*early))))
    more = spread_signals(bank_of(market(rows_of(*early, book(6, [(100, 9)], [(9_900, 9)])))))
    np.testing.assert_array_equal(some.ratio, more.ratio[:6])
    np.testing.assert_array_equal(some.move, more.move[:6])
