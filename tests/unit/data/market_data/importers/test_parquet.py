"""Rows of Parquet files by market: kinds of strings, nulls, row groups, refusals with row and value."""

import re
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made.market_files import (
    BOOK_SCHEMA,
    T0,
    book,
    load,
    notes_of,
    quote,
    simulated,
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
from kalshi_platform.domain.units import NO_TIME


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
        ([trade("E-A", -T0, 4_200)], r"row 0, market E-A: ts_us = 0 cannot be: as us it is 1970-01-01T"),
        ([trade("E A/..", 1, 4_200)], r"ticker 'E A/\.\.'"),
        (
            [{**trade("E-A", 1, 1), "count_e2": None}, trade("E-A", 1, 100)],
            r"row 0, market E-A: count_e2 is null",
        ),
        (
            [{**trade("E-A", 1, 1), "yes_price_e4": 41.5}],
            r"column yes_price_e4 of type double does not hold whole numbers",
        ),
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
    assert part.time_ns("trades", Counter()).tolist() == [(T0 + s) * 10**9 for s in (0, 3, 5, 2)]


def test_nulls_are_refused_where_no_value_stands_for_them(tmp_path: Path) -> None:
    rows = [trade("E-A", 1, 4_200, trade_id="x"), trade("E-A", 2, 4_200, side=None, trade_id=None)]
    part = read_part(Part(str(write(tmp_path / "t.parquet", rows)), "trades", ("E-A",), row_groups=(0,)))
    assert part.codes("taker_side", {"yes": 0, "no": 1}, null=9).tolist() == [0, 9]
    assert part.strings("trade_id").to_pylist() == ["x", None]
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
        assert part.time_ns("trades", Counter()).tolist() == [T0 * 10**9 + finest * finest]


# Times


NOW_NS = 1_760_000_000 * 10**9


def times_of(
    folder: Path, column: str, values: Any, kind: pa.DataType, name: str = "t.parquet"
) -> tuple[list[int], Counter[str]]:
    """Times of a trade file whose ``column`` holds ``values`` as ``kind``."""
    rows = [{k: v for k, v in trade("E-A", 1, 4_200).items() if k != "ts_us"} for _ in values]
    stamps = pa.array(values, kind)
    pq.write_table(pa.Table.from_pylist(rows).append_column(column, stamps), folder / name)
    part = read_part(Part(str(folder / name), "trades", ("E-A",), row_groups=(0,)))
    counters: Counter[str] = Counter()
    return part.time_ns("trades", counters, NOW_NS).tolist(), +counters


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("column", ["ts_ns", "ts_us", "ts_ms", "ts_s", "recv_ns"])
def test_a_timestamp_column_counts_its_own_unit_whatever_it_is_called(
    tmp_path: Path, column: str, unit: str
) -> None:
    scale = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    values = [(T0 + k) * scale for k in range(3)]
    wanted = [(T0 + k) * 10**9 for k in range(3)]
    assert times_of(tmp_path, column, values, pa.timestamp(unit, "UTC")) == (wanted, {})
    assert times_of(tmp_path, column, values, pa.timestamp(unit, "America/New_York")) == (wanted, {})
    without_zone = {"timestamps_without_zone_read_as_utc": 3}
    assert times_of(tmp_path, column, values, pa.timestamp(unit)) == (wanted, without_zone)


UNITS = {
    "s": ("seconds", 10**9),
    "ms": ("milliseconds", 10**6),
    "us": ("microseconds", 10**3),
    "ns": ("nanoseconds", 1),
}


@given(
    named=st.sampled_from(sorted(UNITS)), held=st.sampled_from(sorted(UNITS)), good=st.integers(0, 3),
    stem=st.sampled_from(["ts", "recv"]),
)  # fmt: skip
def test_one_row_in_another_unit_is_refused_with_row_unit_and_the_name_for_it(
    named: str, held: str, good: int, stem: str
) -> None:
    def column_of(unit: str) -> str:
        return f"ts_{unit}" if stem == "ts" else "recv_ns" if unit == "ns" else f"recv_ts_{unit}"

    values = [T0 * 10**9 // UNITS[named][1]] * good + [T0 * 10**9 // UNITS[held][1]]
    with tempfile.TemporaryDirectory() as folder:
        if named == held:
            assert times_of(Path(folder), column_of(named), values, pa.int64())[0] == [T0 * 10**9] * (
                good + 1
            )
            return
        said = rf"row {good}, market E-A: {column_of(named)} = {values[-1]} looks like {UNITS[held][0]}: .*"
        with pytest.raises(DataError, match=rf"{said}or name it {column_of(held)}"):
            times_of(Path(folder), column_of(named), values, pa.int64())


def test_nothing_was_traded_after_the_clock(tmp_path: Path) -> None:
    assert times_of(tmp_path, "ts_s", [1_760_086_400], pa.int64())[0] == [1_760_086_400 * 10**9]
    with pytest.raises(DataError, match=r"row 0, .*ts_s = 1760086401 cannot be: as s it is 2025-10-10"):
        times_of(tmp_path, "ts_s", [1_760_086_401], pa.int64())


def test_timestamps_made_from_numbers_of_another_unit_are_refused(tmp_path: Path) -> None:
    said = (
        r"ts_us \(timestamp\[us, tz=UTC\]\) = 1700000000000 looks like milliseconds: as us it is 1970-01-20"
    )
    with pytest.raises(DataError, match=said):
        times_of(tmp_path, "ts_us", [T0 * 1_000], pa.timestamp("us", "UTC"))


@pytest.mark.parametrize(
    ("values", "kind"),
    [([20_000], pa.date32()), (["2023-11-14T22:13:20Z"], pa.string()), (["1700000000"], pa.string()),
     ([1.7e9], pa.float64()), ([True], pa.bool_()), ([[1]], pa.list_(pa.int64()))],
)  # fmt: skip
def test_a_column_that_is_neither_numbers_nor_timestamps_is_no_time(
    tmp_path: Path, values: Any, kind: pa.DataType
) -> None:
    said = r"t\.parquet: column ts_us of type .* write it as times: whole microseconds, or Parquet timestamps"
    with pytest.raises(DataError, match=said):
        times_of(tmp_path, "ts_us", values, kind)


def test_a_time_beyond_64_bits_or_absent_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="column ts_ns of type uint64 does not hold times"):
        times_of(tmp_path, "ts_ns", [(1 << 64) - 1], pa.uint64())
    with pytest.raises(DataError, match="row 1, market E-A: ts_ns is null"):
        times_of(tmp_path, "ts_ns", [T0 * 10**9, None], pa.timestamp("ns", "UTC"))


def test_simulated_rows_may_lie_in_the_future(tmp_path: Path) -> None:
    later = 3_000_000_000 - T0  # 2065
    assert load(simulated(tmp_path / "s.parquet", (later,)))[0]["E-A"].rows.recv_ns[0] == 3 * 10**18
    with pytest.raises(DataError, match=r"recv_ts_us = 3000000000000000 cannot be: as us it is 2065-01-24"):
        load(write(tmp_path / "r.parquet", [book("E-A", later, "start")], BOOK_SCHEMA))


def test_exchange_times_are_held_to_their_unit_and_may_be_absent(tmp_path: Path) -> None:
    schema = {**BOOK_SCHEMA, "exch_ts_ms": pa.int64()}
    rows = [book("E-A", 1, "start", exch_ts_ms=T0 * 1_000), book("E-A", 2, "start", exch_ts_ms=None)]
    markets, _ = load(write(tmp_path / "a.parquet", rows, schema))
    assert markets["E-A"].rows.exch_ns.tolist() == [T0 * 10**9, NO_TIME]
    wrong = [*rows, book("E-A", 3, "start", exch_ts_ms=T0)]
    with pytest.raises(DataError, match=rf"row 2, market E-A: exch_ts_ms = {T0} looks like seconds"):
        load(write(tmp_path / "b.parquet", wrong, schema))


# Types of columns


def test_a_file_with_two_columns_of_one_name_is_refused(tmp_path: Path) -> None:
    once = pa.Table.from_pylist([trade("E-A", 1, 4_200)])
    pq.write_table(once.append_column("ts_us", pa.array([1.5])), tmp_path / "x.parquet")
    with pytest.raises(DataError, match=r"x\.parquet: has two columns of the name ts_us; rename or drop"):
        load(tmp_path / "x.parquet")


@pytest.mark.parametrize(
    ("column", "value", "kind"),
    [
        ("yes_price_e4", {"a": 1}, pa.struct([("a", pa.int64())])),
        ("yes_price_e4", True, pa.bool_()),
        ("yes_price_e4", 4_200, pa.timestamp("us")),
        ("yes_price_e4", b"\xff", pa.binary()),
        ("count_e2", 1.5, pa.float64()),
        ("count_e2", (1 << 64) - 1, pa.uint64()),
        ("taker_side", ["yes"], pa.list_(pa.string())),
        ("trade_id", {"a": 1}, pa.struct([("a", pa.int64())])),
        ("is_block_trade", ["yes"], pa.list_(pa.string())),
    ],
)
def test_a_column_of_another_type_is_refused_by_name_and_type(
    tmp_path: Path, column: str, value: Any, kind: pa.DataType
) -> None:
    plain = pa.Table.from_pylist([{k: v for k, v in trade("E-A", 1, 4_200).items() if k != column}])
    pq.write_table(plain.append_column(column, pa.array([value], kind)), tmp_path / "x.parquet")
    with pytest.raises(
        DataError, match=rf"x\.parquet: column {column} of type .* does not hold .*write it as"
    ):
        load(tmp_path / "x.parquet")
