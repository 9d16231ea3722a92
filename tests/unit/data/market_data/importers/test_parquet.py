"""Rows of Parquet files by market: kinds of strings, nulls, row groups, refusals with row and value."""

import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made.market_files import (
    T0,
    load,
    notes_of,
    quote,
    table,
    trade,
    write,
)

from kalshi_platform.data.market_data.importers.parquet import index_tickers, read_part
from kalshi_platform.data.market_data.importers.types import Part
from kalshi_platform.data.market_data.schema import (
    NO,
    YES,
)
from kalshi_platform.domain.errors import DataError


def test_strings_may_be_dictionaries_or_large(tmp_path: Path) -> None:
    plain = pa.Table.from_pylist([trade("E-A", 1, 4_200), trade("E-A", 2, 4_300, side="no")])
    for name, kind in (("d", pa.dictionary(pa.int8(), pa.string())), ("l", pa.large_string())):
        cast = plain
        for column in ("market_ticker", "taker_side"):
            at = cast.column_names.index(column)
            cast = cast.set_column(at, column, cast.column(column).cast(kind))
        pq.write_table(cast, tmp_path / name)
        markets, _ = load(tmp_path / name)
        assert table(markets["E-A"], "side", "price_e4") == [(YES, 4_200), (NO, 4_300)]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            [trade("E-A", 1, 4_200), trade("E-A", 1, 4_200, side="both")],
            r"row 1, market E-A: taker_side = 'both'",
        ),
        ([trade("E-A", 1, 4_200, side=None)], r"row 0, market E-A: taker_side = None"),
        ([trade("E-A", -T0, 4_200)], r"row 0, market E-A: ts_us = 0 is no time"),
        ([trade("E A/..", 1, 4_200)], r"ticker 'E A/\.\.'"),
        (
            [{**trade("E-A", 1, 1), "count_e2": None}, trade("E-A", 1, 100)],
            r"row 0, market E-A: count_e2 is null",
        ),
        ([{**trade("E-A", 1, 1), "yes_price_e4": 41.5}], r"column yes_price_e4 does not hold whole numbers"),
    ],
)
def test_impossible_rows_are_refused_with_file_row_and_value(
    tmp_path: Path, rows: list[Any], message: str
) -> None:
    with pytest.raises(DataError, match=rf"x\.parquet: .*{message}|x\.parquet: {message}"):
        load(write(tmp_path / "x.parquet", rows))


@pytest.mark.parametrize(
    ("rows", "message", "counter"),
    [
        (
            [trade("E-A", 2, 4_200), trade("E-A", 1, 4_200)],
            r"row 1, market E-A: trade is 1000000000 ns before",
            "time_goes_backwards",
        ),
        ([trade("E-A", 1, 10_100)], r"row 0, market E-A: .*10100", "price_outside"),
        ([trade("E-A", 1, 4_200, 0)], r"row 0, market E-A: .*: 0", "no_size"),
        ([quote("E-A", 1, 4_000, 10_001)], r"row 0, market E-A: quote has a price outside", "price_outside"),
        (
            [quote("E-A", 2, 4_000, 4_100), quote("E-A", 1, 4_000, 4_200)],
            r"row 1, market E-A: quote is .* before",
            "time_goes_backwards",
        ),
    ],
)
def test_odd_rows_are_put_aside_counted_and_named_with_file_row_and_value(
    tmp_path: Path, rows: list[Any], message: str, counter: str
) -> None:
    path = write(
        tmp_path / "x.parquet",
        [*rows, trade("E-B", 1, 4_200) if "count_e2" in rows[0] else quote("E-B", 1, 4_000, 4_100)],
    )
    markets, counters = load(path)
    assert "E-B" in markets
    assert counters[f"rows_refused:{counter}"] >= 1
    assert re.search(rf"put aside: .*x\.parquet: {message}", notes_of(path))


def test_an_index_counts_the_rows_of_each_market_and_names_the_row_groups_that_hold_them(
    tmp_path: Path,
) -> None:
    tickers = ["E-A", "E-B", "E-A", "E-C", "E-B", "E-B"]
    rows = [trade(ticker, second, 4_200) for second, ticker in enumerate(tickers)]
    path = write(tmp_path / "t.parquet", rows, row_group_size=2)
    assert index_tickers(path) == [("E-A", 2, (0, 1)), ("E-B", 3, (0, 2)), ("E-C", 1, (1,))]


def test_a_part_holds_the_rows_of_its_markets_grouped_with_their_numbers_in_the_file(tmp_path: Path) -> None:
    tickers = ["E-A", "E-B", "E-C", "E-A", "E-B", "E-A"]
    rows = [trade(ticker, second, 4_200 + second) for second, ticker in enumerate(tickers)]
    path = write(tmp_path / "t.parquet", rows, row_group_size=2)
    part = read_part(Part(str(path), "trades", ("E-A", "E-C"), row_groups=(0, 1, 2)))
    assert part.tickers == ["E-A", "E-C"]
    assert part.numbers.tolist() == [0, 3, 5, 2]
    assert part.market_of(np.arange(4)).tolist() == [0, 0, 0, 1]
    assert part.ints("yes_price_e4").tolist() == [4_200, 4_203, 4_205, 4_202]
    assert part.time_ns("trades").tolist() == [(T0 + s) * 10**9 for s in (0, 3, 5, 2)]


def test_nulls_are_refused_where_no_value_stands_for_them(tmp_path: Path) -> None:
    rows = [trade("E-A", 1, 4_200, trade_id="x"), trade("E-A", 2, 4_200, side=None, trade_id=None)]
    part = read_part(Part(str(write(tmp_path / "t.parquet", rows)), "trades", ("E-A",), row_groups=(0,)))
    assert part.codes("taker_side", {"yes": 0, "no": 1}, null=9).tolist() == [0, 9]
    assert part.distinct_codes("trade_id").tolist() == [0, -1]
    with pytest.raises(DataError, match=r"t\.parquet: row 1, market E-A: taker_side = None"):
        part.codes("taker_side", {"yes": 0, "no": 1})


@given(st.lists(st.sampled_from([1, 1_000, 1_000_000]), min_size=1, max_size=3, unique=True))
def test_the_finest_time_column_present_is_read(units: list[int]) -> None:
    names = {1: "ts_ns", 1_000: "ts_us", 1_000_000: "ts_ms"}
    row = {k: v for k, v in trade("E-A", 1, 4_200).items() if k != "ts_us"}
    row |= {names[unit]: T0 * 10**9 // unit + unit for unit in units}
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder) / "t.parquet", [row])
        part = read_part(Part(str(path), "trades", ("E-A",), row_groups=(0,)))
        finest = min(units)
        assert part.time_ns("trades").tolist() == [T0 * 10**9 + finest * finest]
