"""The files beside a report: the same integers in both kinds, every column explained, none half written."""

import csv
from collections import Counter
from pathlib import Path

import pyarrow.parquet
import pytest

from kalshi_platform.domain.errors import StorageError
from kalshi_platform.evaluation.judging.ledger_tables import STEMS, write_ledger

DOCS = Path(__file__).parents[4] / "docs" / "ledger.md"


def test_both_files_of_every_table_hold_the_same_rows(judged_with_ledger, tmp_path):
    ledger = judged_with_ledger[1]
    write_ledger(ledger, tmp_path / "new")
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == sorted(ledger.files)
    assert len(ledger.files) == 6
    for stem, table in zip(STEMS, (ledger.trips, ledger.trades, ledger.markets), strict=True):
        assert pyarrow.parquet.read_table(tmp_path / "new" / f"{stem}.parquet").equals(table)
        with (tmp_path / "new" / f"{stem}.csv").open() as file:
            lines = list(csv.DictReader(file))
        assert list(lines[0]) == table.column_names
        whole = [name for name in table.column_names if name.endswith(("_ns", "_e2", "_e4", "_e6"))]
        assert len(whole) >= 5
        for name in whole:
            found = [int(line[name]) if line[name] else None for line in lines]
            assert found == table.column(name).to_pylist()


def test_money_of_a_market_is_that_of_its_trips_and_its_trades_and_of_the_report(
    judged_with_ledger, tmp_path
):
    """Sums made here, in plain Python and from the CSV alone, are equal to the last millionth of a dollar."""
    found, ledger = judged_with_ledger
    write_ledger(ledger, tmp_path)
    rows = {}
    for stem in STEMS:
        with (tmp_path / f"{stem}.csv").open() as file:
            rows[stem] = list(csv.DictReader(file))
    pairs = {
        ("ledger", "pnl_e6"): "pnl_e6", ("ledger", "fees_e6"): "fees_e6", ("ledger", "n_fills"): "n_fills",
        ("trades", "fees_e6"): "fees_e6", ("trades", "n_fills"): "n_fills",
        ("trades", "contracts_e2"): "contracts_e2", ("trades", "value_e6"): "turnover_e6",
    }  # fmt: skip
    for (stem, name), of_market in pairs.items():
        summed = Counter()
        for row in rows[stem]:
            summed[row["ticker"]] += int(row[name])
        assert {r["ticker"]: int(r[of_market]) for r in rows["markets"]} == {
            r["ticker"]: summed[r["ticker"]] for r in rows["markets"]
        }
    trading = found.policy.trading
    expected = {
        "pnl_e6": trading.pnl_e6, "fees_e6": trading.fees_e6, "n_fills": trading.n_fills,
        "contracts_e2": trading.traded_e2, "turnover_e6": trading.turnover_e6, "n_orders": trading.n_orders,
        "n_round_trips": trading.round_trips,
    }  # fmt: skip
    assert {name: sum(int(r[name]) for r in rows["markets"]) for name in expected} == expected
    assert sum(int(r["n_actions"]) for r in rows["markets"]) == sum(trading.action_counts[1:])
    assert {r["ticker"]: int(r["pnl_e6"]) for r in rows["markets"] if not r["left_out"]} == {
        m.ticker: m.pnl_e6 for m in found.policy.markets
    }


def test_a_file_that_cannot_be_written_is_named(judged_with_ledger, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"file/ledger\.csv could not be written"):
        write_ledger(judged_with_ledger[1], tmp_path / "file")


def test_every_column_is_documented_under_its_file(judged_with_ledger):
    ledger, page = judged_with_ledger[1], DOCS.read_text()
    tables = zip(STEMS, (ledger.trips, ledger.trades, ledger.markets), strict=True)
    for stem, table in tables:
        own = page.partition(f"\n## {stem}.csv")[2].partition("\n## ")[0]
        named = [line.split("`")[1] for line in own.splitlines() if line.startswith("| `")]
        assert named == table.column_names
