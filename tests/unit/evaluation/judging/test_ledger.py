"""The ledger: integers that add up to the report, the same rows in both files, whole or not at all."""

import csv
from pathlib import Path

import pyarrow.parquet
import pytest
from made.evaluation_bank import random_bank
from made.judging import ENV, QUICK

from kalshi_platform.domain.errors import StorageError
from kalshi_platform.evaluation.judging.evaluate import evaluate
from kalshi_platform.evaluation.judging.ledger import CSV_NAME, PARQUET_NAME, note_of, write_ledger
from kalshi_platform.models.rules.baselines import RandomTrader


@pytest.fixture(scope="module")
def judged_with_ledger():
    kept = []
    few = QUICK.replace(fee_ladder=False, fee_times=False, what_if=False, baselines=())
    config = few.replace(schedule="windows", window_steps=40, episodes_per_market=3)
    maker = lambda env: RandomTrader(env.layout, 0.3, seed=5)  # noqa: E731
    found = evaluate(maker, random_bank(5, 2, 90), ENV, config, keep_ledger=kept.append)
    return found, kept[0]


def test_sums_of_the_ledger_are_the_report_s(judged_with_ledger):
    found, ledger = judged_with_ledger
    assert found.ledger == note_of(ledger)
    assert found.ledger.n_rows == found.policy.trading.round_trips > 0
    assert found.ledger.pnl_e6 == found.policy.trading.pnl_e6 != 0
    assert found.ledger.fees_e6 == found.policy.trading.fees_e6 > 0
    assert sum(ledger.column("n_fills").to_pylist()) == found.policy.trading.n_fills


def test_every_row_names_its_market_event_block_and_seed(judged_with_ledger):
    _, ledger = judged_with_ledger
    rows = ledger.to_pylist()
    assert {row["seed"] for row in rows} == set(QUICK.seeds)
    for row in rows:
        assert row["ticker"].startswith(f"M{row['event'][1:]}-")
        assert row["block"] == row["event"]
        assert row["provenance"] == "simulated"
        assert row["side"] in ("yes", "no")
        assert 0 < row["price_e4"] < 10_000
        assert abs(row["price_e4"] * row["contracts_e2"] - row["paid_e6"]) <= row["contracts_e2"] / 2
    assert rows == sorted(rows, key=lambda row: (row["seed"], row["entry_ns"], row["episode"], row["slot"]))


def test_both_files_hold_the_same_integers(judged_with_ledger, tmp_path):
    _, ledger = judged_with_ledger
    write_ledger(ledger, tmp_path / "new")
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == [CSV_NAME, PARQUET_NAME]
    assert pyarrow.parquet.read_table(tmp_path / "new" / PARQUET_NAME).equals(ledger)
    with (tmp_path / "new" / CSV_NAME).open() as file:
        lines = list(csv.DictReader(file))
    assert list(lines[0]) == ledger.column_names
    for name in ("entry_ns", "exit_ns", "contracts_e2", "paid_e6", "fees_e6", "pnl_e6"):
        assert [int(line[name]) for line in lines] == ledger.column(name).to_pylist()


def test_a_ledger_that_cannot_be_written_is_named(judged_with_ledger, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"file/ledger\.csv could not be written"):
        write_ledger(judged_with_ledger[1], tmp_path / "file")


def test_every_column_is_documented(judged_with_ledger):
    page = (Path(__file__).parents[4] / "docs" / "ledger.md").read_text()
    for name in judged_with_ledger[1].column_names:
        assert f"| `{name}` |" in page
