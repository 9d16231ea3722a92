"""A map makes house columns of foreign ones."""

import pyarrow as pa
import pytest

from kalshi_platform.data.market_data.importers.table_map import ColumnMap, Source, apply_map, check_map
from kalshi_platform.data.market_data.importers.values import Place
from kalshi_platform.domain.errors import DataError

PLACE = Place("x", "row", 0)
SECOND = 1_795_400_000


def test_a_no_bid_stands_for_the_yes_ask() -> None:
    table = pa.table({"m": ["A", "A"], "t": [SECOND, SECOND], "b": [42, None], "n": [55, 0]})
    sources = {
        "market_ticker": Source("m"),
        "time": Source("t", "s"),
        "yes_bid": Source("b", "cents"),
        "no_bid": Source("n", "cents"),
    }
    made = apply_map(table, ColumnMap("quotes", sources), PLACE)
    assert made.column("yes_bid_e4").to_pylist() == [4_200, None]
    assert made.column("yes_ask_e4").to_pylist() == [4_500, None]


def test_each_run_of_snapshot_levels_gets_one_marker_row() -> None:
    kinds = ["snapshot", "snapshot", "delta", "snapshot", "snapshot"]
    table = pa.table(
        {
            "m": ["A", "A", "A", "A", "B"],
            "t": [SECOND, SECOND, SECOND + 1, SECOND + 2, SECOND + 2],
            "k": kinds,
            "s": ["yes", "no", "yes", "bid", "ask"],
            "p": [42, 55, 42, 41, 50],
            "q": [5, 6, -1, 7, 8],
        }
    )
    names = {"market_ticker": "m", "type": "k", "side": "s"}
    sources = {name: Source(column) for name, column in names.items()}
    sources |= {"time": Source("t", "s"), "price": Source("p", "cents"), "size": Source("q", "contracts")}
    made = apply_map(table, ColumnMap("level2", sources), PLACE)
    assert made.column("snap_start").to_pylist() == [True, False, False, False, True, False, True, False]
    assert made.column("side").to_pylist() == [None, "yes", "no", "yes", None, "yes", None, "no"]
    assert made.column("size_e2").to_pylist() == [0, 500, 600, -100, 0, 700, 0, 800]
    assert made.column("price_e4").to_pylist()[:2] == [None, 4_200]


def test_a_price_outside_its_dollar_is_refused_in_its_own_unit() -> None:
    table = pa.table({"p": [0.42, 42.0]})
    with pytest.raises(DataError, match=r"x: row 1: p = 42.0 is outside 0..1 dollar when read as dollars"):
        apply_map(table, ColumnMap("trades", {"yes_price": Source("p", "dollars")}), PLACE)


def test_a_map_must_name_columns_that_are_there_and_every_field_that_is_needed() -> None:
    with pytest.raises(DataError, match=r"column 'q' \(for count\) is not there; the columns are m, p"):
        check_map(ColumnMap("trades", {"count": Source("q")}), ["m", "p"], "map.yaml")
    with pytest.raises(DataError, match=r"quotes need market_ticker, time, yes_ask \(or no_bid\)"):
        check_map(ColumnMap("quotes", {"yes_bid": Source("p")}), ["p"], "map.yaml")
