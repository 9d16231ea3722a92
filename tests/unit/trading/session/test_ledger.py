"""Rows of a session's ledger, their files and sums, by numbers made by hand."""

import csv

import pyarrow.parquet as pq

from kalshi_platform.trading.session.ledger import LedgerRow, sums_by, write_ledger, yes_price_e4

DAY_NS = 86_400 * 10**9
BUY = LedgerRow(DAY_NS - 1, "A", "E", "0/0/1", "taker", "BUY_YES", 1_000, 4_300.0, -4_317_200, 17_200, 1_000)
SELL = LedgerRow(DAY_NS, "A", "E", "0/0/2", "maker", "SELL_YES", 400, 4_500.0, 1_800_000, 0, 600)
PAID = LedgerRow(DAY_NS + 5, "A", "E", "", "settlement", "", 600, None, 6_000_000, 0, 0)


def test_sums_by_day_split_at_midnight_utc():
    found = sums_by([BUY, SELL, PAID], "day")
    assert found == {
        "1970-01-01": {"fills": 1, "qty_e2": 1_000, "fee_e6": 17_200, "cash_e6": -4_317_200},
        "1970-01-02": {"fills": 1, "qty_e2": 400, "fee_e6": 0, "cash_e6": 7_800_000},
    }
    assert sums_by([BUY, SELL, PAID], "ticker")["A"]["cash_e6"] == 3_482_800


def test_both_files_hold_every_row(tmp_path):
    written_csv, written_parquet = write_ledger([BUY, SELL, PAID], tmp_path)
    rows = list(csv.DictReader(written_csv.read_text().splitlines()))
    assert [row["cash_e6"] for row in rows] == ["-4317200", "1800000", "6000000"]
    assert pq.read_table(written_parquet).to_pylist()[2]["yes_price_e4"] is None


def test_an_empty_session_has_files_with_columns(tmp_path):
    written_csv, written_parquet = write_ledger([], tmp_path)
    assert "position_e2" in written_csv.read_text()
    assert pq.read_table(written_parquet).num_rows == 0


def test_the_price_stands_on_the_yes_scale():
    assert yes_price_e4("BUY_YES", 4_300 * 1_000, 1_000) == 4_300
    assert yes_price_e4("BUY_NO", 5_700 * 1_000, 1_000) == 4_300
    assert yes_price_e4("SELL_NO", 0, 0) is None
