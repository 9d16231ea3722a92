"""Quoted rows, segments, the grid, and rows ahead."""

import numpy as np
from made.realism import START_NS, S, made_rows, made_view, mids

from kalshi_platform.data.features.rows import CROSSED, INVALID, VALID
from kalshi_platform.evaluation.realism.view import (
    grid_of,
    quoted_rows,
    rows_ahead,
    rows_left_out,
    segments_of,
    time_ahead,
)

BOOKS = [*mids(40, 41, 42, 43, 44, every_s=30), (150, None, 45, [], [1]), *mids(46, 47)]
VALIDITY = [VALID, CROSSED, VALID, INVALID, VALID, VALID, VALID, VALID]


def test_quoted_rows_are_valid_and_have_both_prices():
    rows = made_rows(BOOKS, VALIDITY)
    quoted = quoted_rows(rows)
    assert quoted.at.tolist() == [0, 2, 4, 6, 7]
    assert quoted.mid2_e4.tolist() == [8_000, 8_400, 8_800, 9_200, 9_400]
    assert list(rows_left_out(rows, quoted).values()) == [1, 1, 1]


def test_an_invalid_row_ends_a_segment_and_a_crossed_one_does_not():
    quoted = quoted_rows(made_rows(BOOKS, VALIDITY))
    assert segments_of(quoted) == [slice(0, 2), slice(2, 5)]
    assert rows_ahead(quoted, 1).tolist() == [0, 2, 3]
    assert rows_ahead(quoted, 2).tolist() == [2]
    assert rows_ahead(quoted, 9).tolist() == []


def test_a_market_without_a_quoted_row_has_no_segment():
    quoted = made_view().quoted
    assert segments_of(quoted) == []
    assert [places.tolist() for places in time_ahead(quoted, S)] == [[], []]


def test_the_grid_ends_with_the_last_row():
    quoted = made_view(mids(40, 41, 42, every_s=40)).quoted
    grid = grid_of(quoted, slice(0, 3))
    assert ((grid.at_ns - START_NS) // S).tolist() == [0, 60]
    assert grid.mid2_e4.tolist() == [8_000, 8_200]


def test_a_time_ahead_takes_the_last_row_until_then():
    quoted = made_view(mids(40, 41, 42, 43, every_s=2)).quoted
    here, later = time_ahead(quoted, 3 * S)
    assert (here.tolist(), later.tolist()) == ([0, 1], [1, 2])
    assert np.array_equal(time_ahead(quoted, 6 * S)[1], [3])
