"""Slopes carry their measurement."""

import pytest

from kalshi_platform.domain import slopes
from kalshi_platform.domain.slopes import SLOPES, Slope, dataset_bytes, paying_workers


def test_every_slope_is_in_the_table_and_says_when_where_and_how_it_was_measured():
    named = [value for value in vars(slopes).values() if isinstance(value, Slope)]
    assert set(named) == set(SLOPES)
    for slope in SLOPES:
        assert all(slope), slope
        assert slope.sizes in slope.source


def test_a_dataset_is_its_rows_and_its_markets():
    one, rows = dataset_bytes(0, 1), dataset_bytes(1_000, 0)
    assert one == slopes.MANIFEST_BYTES_A_MARKET.value
    assert rows == pytest.approx(1_000 * slopes.DATASET_BYTES_A_ROW.value)
    assert dataset_bytes(1_000, 1) == one + rows


@pytest.mark.parametrize(
    ("rows", "cores", "workers"), [(0, 8, 1), (9_999_999, 8, 1), (17_900_000, 8, 3), (50_000_000, 8, 8)]
)
def test_workers_are_started_only_where_they_pay(rows, cores, workers):
    assert paying_workers(rows, cores) == workers
