"""Files of other people give the rows that the house's own files give."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made.foreign_files import T0_MS, T0_S, M, candle, document, lines, same_trades, text
from made.market_files import CORE, load, table

from kalshi_platform.data.market_data.importers import discover
from kalshi_platform.data.market_data.importers.types import UnknownSchemaError
from kalshi_platform.data.market_data.schema import (
    DELTA,
    FLAG_LAST,
    FLAG_START,
    NO,
    NO_SIDE,
    QUOTE,
    SNAPSHOT,
    TRADE,
    YES,
)
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.units import NO_PRICE, UNKNOWN_QTY

NS = 10**9


def test_the_same_trades_give_the_same_rows_in_every_form(tmp_path: Path) -> None:
    forms = same_trades(tmp_path)
    wanted = load(forms["house"])[0][M].rows
    assert wanted.price_e4.tolist() == [4_300, 4_400, 4_100]
    assert wanted.side.tolist() == [YES, YES, NO]
    assert wanted.recv_ns.tolist() == [(T0_S + s) * NS for s in range(3)]
    for name, path in forms.items():
        market = load(path)[0][M]
        assert market.provenance == "trade_implied"
        for column, expected in zip(market.rows, wanted, strict=True):
            assert column.tolist() == expected.tolist(), name


def test_takers_of_the_daily_file_are_inferred_and_counted(tmp_path: Path) -> None:
    _, counters = load(same_trades(tmp_path)["daily"])
    assert (counters["takers_assumed_yes"], counters["takers_from_price_moves"]) == (1, 2)


def test_a_level2_csv_gains_the_marker_rows_of_its_snapshots(tmp_path: Path) -> None:
    path = text(
        tmp_path / "book.csv",
        "recv_ms,market_ticker,type,side,price_dollars,size,sid,seq\n"
        f"{T0_MS},{M},snapshot,yes,0.42,75,1,1\n"
        f"{T0_MS},{M},snapshot,no,0.55,40,1,1\n"
        f"{T0_MS + 1},{M},delta,yes,0.42,-1,1,2\n",
    )
    market = load(path)[0][M]
    assert table(market, *CORE) == [
        (SNAPSHOT, NO_SIDE, NO_PRICE, 0, FLAG_START),
        (SNAPSHOT, YES, 4_200, 7_500, 0),
        (SNAPSHOT, NO, 5_500, 4_000, FLAG_LAST),
        (DELTA, YES, 4_200, -100, FLAG_LAST),
    ]
    assert market.rows.seq.tolist() == [1, 1, 1, 2]


def test_quotes_with_named_columns_in_csv_and_json_lines_are_equal(tmp_path: Path) -> None:
    csv = text(
        tmp_path / "q.csv",
        f"ticker,yes_bid_dollars,yes_ask_dollars,recv_ms\n{M},0.42,0.45,{T0_MS}\n{M},,0.46,{T0_MS + 1}\n",
    )
    cents = lines(
        tmp_path / "q.jsonl",
        [
            {"ts": T0_MS, "ticker": M, "yes_bid": 42, "yes_ask": 45},
            {"ts": T0_MS + 1, "ticker": M, "yes_bid": None, "yes_ask": 46},
        ],
    )
    wanted = [
        (QUOTE, YES, 4_200, UNKNOWN_QTY, 0),
        (QUOTE, NO, 5_500, UNKNOWN_QTY, FLAG_LAST),
        (QUOTE, YES, NO_PRICE, 0, 0),
        (QUOTE, NO, 5_400, UNKNOWN_QTY, FLAG_LAST),
    ]
    for path in (csv, cents):
        market = load(path)[0][M]
        assert table(market, *CORE) == wanted
        assert market.provenance == "quotes"


def test_markets_as_csv_and_as_the_public_parquet_are_metadata(tmp_path: Path) -> None:
    trades = same_trades(tmp_path)["house"]
    csv = text(
        tmp_path / "m.csv",
        f"ticker,event_ticker,result,close_time\n{M},KXMADE-26DEC01,yes,2026-12-01T05:00:00Z\n",
    )
    public = tmp_path / "m.parquet"
    row = {
        "ticker": [M], "event_ticker": ["KXMADE-26DEC01"], "status": ["finalized"], "yes_bid": [42],
        "yes_ask": [45], "result": ["yes"],
        "close_time": pa.array([1_796_101_200 * 10**6], pa.timestamp("us", "UTC")),
    }  # fmt: skip
    pq.write_table(pa.table(row), public)
    for path in (csv, public):
        market = load(trades, path)[0][M]
        assert market.settlement is not None
        assert market.settlement.value_e4 == 10_000
        assert market.spec.close_ns == 1_796_101_200 * NS


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (f"{M},1.43,1,no,2026-11-23T02:13:20Z", "line 2: yes_price_dollars = 1.43 is outside 0..1 dollar"),
        (f"{M},0.43555,1,no,2026-11-23T02:13:20Z", "line 2: yes_price_dollars = 0.43555 is finer"),
        (f"{M},0.43,one,no,2026-11-23T02:13:20Z", "line 2: count = 'one' is not a decimal number"),
        (f"{M},0.43,1,both,2026-11-23T02:13:20Z", "line 2: taker_side = 'both'; expected 'yes' or 'no'"),
        (f"{M},0.43,1,no,Monday", "line 2: created_time: time 'Monday' is not RFC 3339"),
        (f"{M},0.43,1,no,7", "line 2: created_time = '7' is no time between 2021 and 2100"),
        ("A B,0.43,1,no,2026-11-23T02:13:20Z", "ticker 'A B'"),
    ],
)
def test_a_value_that_cannot_be_is_refused_with_its_line(tmp_path: Path, row: str, message: str) -> None:
    path = text(tmp_path / "t.csv", f"ticker,yes_price_dollars,count,taker_side,created_time\n{row}\n")
    with pytest.raises(DataError, match=rf"t\.csv.*{message}"):
        load(path)


def test_units_that_contradict_a_name_or_each_other_are_refused(tmp_path: Path) -> None:
    head = "market_ticker,yes_price_e4,count_e2,taker_side"
    named = text(tmp_path / "a.csv", f"{head},ts_us\n{M},4300,100,no,{T0_MS}\n")
    with pytest.raises(DataError, match=r"line 2: ts_us = .* looks like milliseconds; it was to be microsec"):
        load(named)
    mixed = text(tmp_path / "b.csv", f"{head},time\n{M},4300,100,no,{T0_MS}\n{M},4300,100,no,{T0_S}\n")
    with pytest.raises(DataError, match=r"line 3: time = .* looks like seconds, line 2 like milliseconds"):
        load(mixed)


def test_row_groups_of_a_parquet_file_have_one_unit_of_time(tmp_path: Path) -> None:
    columns = {"ticker": [M] * 2, "yes_price": [43, 44], "count": [1, 1], "taker_side": ["no"] * 2}
    pq.write_table(pa.table({**columns, "time": [T0_S, T0_MS + 1]}), tmp_path / "t.parquet", row_group_size=1)
    with pytest.raises(DataError, match=r"row 1: time = .* looks like milliseconds; it was to be seconds"):
        load(tmp_path / "t.parquet")


def test_the_index_of_pandas_and_odd_names_are_no_hindrance_and_an_empty_table_is_refused(
    tmp_path: Path,
) -> None:
    head = ",ticker,yes_price_cents,count,taker_side,created_time,fee ($)"
    path = text(tmp_path / "t.csv", f"{head}\n0,{M},43,1,no,2026-11-23T02:13:20Z,0.1\n")
    assert table(load(path)[0][M], *CORE) == [(TRADE, NO, 4_300, 100, FLAG_LAST)]
    with pytest.raises(DataError, match=r"e\.csv: the file is empty \(no rows\)"):
        load(text(tmp_path / "e.csv", f"{head}\n"))


def test_a_file_of_two_kinds_is_taken_apart_by_its_owner(tmp_path: Path) -> None:
    both = {"ticker": M, "candlesticks": [candle(T0_S, "0.42", "0.45")]}
    path = document(tmp_path / "x.json", [both, {"ticker": M, "yes_price": 42, "count": 1}])
    with pytest.raises(UnknownSchemaError, match="holds candlesticks and records; take it apart"):
        discover([path])


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = text(tmp_path / "t.csv", f"ticker,yes_price,count,taker_side,ts\n{M},43,1,no,{T0_S}\n")
    assert table(load(path)[0][M], *CORE) == [(TRADE, NO, 4_300, 100, FLAG_LAST)]
    text(path, f"ticker,yes_price,count,taker_side,ts\n{M},44,10,no,{T0_S}\n")
    assert table(load(path)[0][M], *CORE) == [(TRADE, NO, 4_400, 1_000, FLAG_LAST)]
