"""Ladders: sizes stay where they are when the spacing becomes finer; one rule changes a level."""

import numpy as np
import pytest

from kalshi_platform.data.market_data.price_levels import (
    best_after,
    finer_levels,
    is_at_edge,
    new_levels,
    size_after,
)
from kalshi_platform.data.market_data.schema import DELTA, SNAPSHOT


@pytest.mark.parametrize(("tick_e4", "levels"), [(100, 101), (10, 1_001), (1, 10_001)])
def test_a_ladder_has_a_level_for_every_price_from_nought_to_a_dollar(tick_e4: int, levels: int) -> None:
    assert new_levels(tick_e4).shape == (2, levels)


def test_a_finer_ladder_holds_the_same_sizes_at_the_same_prices() -> None:
    depth = new_levels(100)
    depth[0, 42], depth[1, 100] = 7, 9
    finer = finer_levels(depth, 100, 10)
    assert finer[0, 420] == 7
    assert finer[1, 1_000] == 9
    assert finer.sum() == 16


@pytest.mark.parametrize(
    ("kind", "qty_e2", "size"), [(SNAPSHOT, 3, 3), (DELTA, 3, 8), (DELTA, -5, 0), (DELTA, -6, -1)]
)
def test_a_snapshot_sets_a_level_and_a_delta_changes_it(kind: int, qty_e2: int, size: int) -> None:
    depth = np.array([[0, 5], [0, 0]])
    assert size_after.py_func(depth, kind, 0, 1, qty_e2) == size


def test_nobody_trades_at_nought_or_at_a_dollar() -> None:
    assert [bool(is_at_edge(price)) for price in (0, 1, 9_999, 10_000)] == [True, False, False, True]
    # prices that cannot be are no edge: the door refuses them
    assert is_at_edge(np.array([-1, 0, 5_000, 10_000, 10_001])).tolist() == [False, True, False, True, False]


@pytest.mark.parametrize(
    ("level", "qty_e2", "best"),
    [
        (7, 5, 7),
        (5, 9, 5),
        (3, 5, 5),
        (5, 0, 2),
        (3, 0, 5),
    ],  # above, at, below; emptied, and one below
)
def test_the_best_level_follows_a_change(level: int, qty_e2: int, best: int) -> None:
    depth = new_levels(100)
    depth[1, [2, 5]] = 4
    depth[1, level] = qty_e2
    assert best_after(depth, 1, level, 5) == best


def test_a_side_that_empties_has_no_best_level() -> None:
    assert best_after(new_levels(100), 0, 5, 5) == -1
