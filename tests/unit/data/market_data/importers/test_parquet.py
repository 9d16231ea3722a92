"""Rows of Parquet files by market: kinds of strings, nulls, row groups, refusals with row and value."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made.market_files import (
    T0,
    load,
    quote,
    table,
    trade,
    write,
)

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
            [trade("E-A", 2, 4_200), trade("E-A", 1, 4_200)],
            r"row 1, market E-A: trade is 1000000000 ns before",
        ),
        (
            [trade("E-A", 1, 4_200), trade("E-A", 1, 4_200, side="both")],
            r"row 1, market E-A: taker_side = 'both'",
        ),
        ([trade("E-A", 1, 4_200, side=None)], r"row 0, market E-A: taker_side = None"),
        ([trade("E-A", 1, 10_100)], r"row 0, market E-A: trade has a price outside 0..10000 .*: 10100"),
        ([trade("E-A", 1, 4_200, 0)], r"row 0, market E-A: trade has a size that is not above zero"),
        ([trade("E-A", -T0, 4_200)], r"row 0, market E-A: ts_us = 0 is no time"),
        ([trade("E A/..", 1, 4_200)], r"ticker 'E A/\.\.'"),
        (
            [{**trade("E-A", 1, 1), "count_e2": None}, trade("E-A", 1, 100)],
            r"row 0, market E-A: count_e2 is null",
        ),
        ([{**trade("E-A", 1, 1), "yes_price_e4": 41.5}], r"column yes_price_e4 does not hold whole numbers"),
        ([quote("E-A", 1, 4_000, 10_001)], r"row 0, market E-A: yes_ask_e4 = 10001 is outside"),
        (
            [quote("E-A", 2, 4_000, 4_100), quote("E-A", 1, 4_000, 4_200)],
            r"row 1, market E-A: quote is .* before",
        ),
    ],
)
def test_impossible_rows_are_refused_with_file_row_and_value(
    tmp_path: Path, rows: list[Any], message: str
) -> None:
    with pytest.raises(DataError, match=rf"x\.parquet: .*{message}|x\.parquet: {message}"):
        load(write(tmp_path / "x.parquet", rows))
