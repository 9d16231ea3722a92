"""Trade Parquet to prints: every row one print, in the order in which an order walks the book."""

from pathlib import Path

import pytest
from made.market_files import CORE, T0, load, table, trade, write

from kalshi_platform.data.market_data.schema import (
    FLAG_LAST,
    NO,
    TRADE,
    YES,
)
from kalshi_platform.domain.errors import DataError


def test_trades_become_prints_and_equal_rows_are_all_kept(tmp_path: Path) -> None:
    path = write(
        tmp_path / "x.bin", [trade("E-A", 1, 4_200), trade("E-A", 1, 4_200), trade("E-B", 2, 100, 50, "no")]
    )
    markets, _ = load(path)
    assert table(markets["E-A"], *CORE) == [(TRADE, YES, 4_200, 100, FLAG_LAST)] * 2
    assert table(markets["E-B"], *CORE) == [(TRADE, NO, 100, 50, FLAG_LAST)]
    assert markets["E-A"].rows.recv_ns.tolist() == [(T0 + 1) * 10**9] * 2
    assert markets["E-A"].provenance == "trade_implied"
    assert markets["E-A"].source == "x.bin"


def test_prints_of_one_order_are_put_in_the_order_it_walks_the_book(tmp_path: Path) -> None:
    rows = [trade("E-A", 1, p) for p in (3_800, 3_600, 4_000)] + [
        trade("E-A", 1, p, side="no") for p in (3_000, 3_200)
    ]
    markets, counters = load(write(tmp_path / "t.parquet", [*rows, trade("E-A", 2, 3_500)]))
    assert markets["E-A"].rows.price_e4.tolist() == [3_600, 3_800, 4_000, 3_200, 3_000, 3_500]
    assert counters["prints_put_in_walk_order"] > 0


def test_trades_with_an_id_are_kept_once(tmp_path: Path) -> None:
    rows = [trade("E-A", i, 4_200, trade_id=name) for i, name in enumerate(["a", "b", "a", None, None])]
    markets, counters = load(write(tmp_path / "t.parquet", rows))
    assert len(markets["E-A"].rows.kind) == 4
    assert counters["repeated_trades"] == 1


def test_prints_at_nought_and_a_dollar_are_put_aside_and_counted(tmp_path: Path) -> None:
    rows = [trade("E-A", 1, 0), trade("E-A", 2, 4_200), trade("E-A", 3, 10_000), trade("E-B", 1, 10_000)]
    markets, counters = load(write(tmp_path / "t.parquet", rows))
    assert {t: m.rows.price_e4.tolist() for t, m in markets.items()} == {"E-A": [4_200]}
    assert counters["prints_outside_0_1"] == 3
    markets, counters = load(write(tmp_path / "u.parquet", rows[:1]))
    assert (markets, counters["prints_outside_0_1"]) == ({}, 1)


def test_an_empty_id_is_none_and_an_id_counts_within_its_market(tmp_path: Path) -> None:
    rows = [trade("E-A", i, 4_200, trade_id="") for i in range(3)]
    rows += [trade(ticker, 4, 4_300, trade_id="1") for ticker in ("E-A", "E-B", "E-A")]
    markets, counters = load(write(tmp_path / "t.parquet", rows))
    assert {t: len(m.rows.kind) for t, m in markets.items()} == {"E-A": 4, "E-B": 1}
    assert counters["repeated_trades"] == 1


def test_ids_that_are_no_text_are_refused_by_their_column(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="column trade_id of type list"):
        load(write(tmp_path / "t.parquet", [trade("E-A", 1, 4_200, trade_id=[1])]))
