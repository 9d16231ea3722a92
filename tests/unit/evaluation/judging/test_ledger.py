"""The round trips: integers that add up to the report, each row with its market, event, block and seed."""

from made.judging import QUICK

from kalshi_platform.evaluation.judging.ledger import note_of


def test_sums_of_the_ledger_are_the_report_s(judged_with_ledger):
    found, ledger = judged_with_ledger
    assert found.ledger == note_of(ledger.trips)
    assert found.ledger.n_rows == found.policy.trading.round_trips > 0
    assert found.ledger.pnl_e6 == found.policy.trading.pnl_e6 != 0
    assert found.ledger.fees_e6 == found.policy.trading.fees_e6 > 0
    assert sum(ledger.trips.column("n_fills").to_pylist()) == found.policy.trading.n_fills


def test_every_row_names_its_market_event_block_and_seed(judged_with_ledger):
    rows = judged_with_ledger[1].trips.to_pylist()
    assert {row["seed"] for row in rows} == set(QUICK.seeds)
    for row in rows:
        assert row["ticker"].startswith(f"M{row['event'][1:]}-")
        assert row["block"] == row["event"]
        assert row["provenance"] == "simulated"
        assert row["side"] in ("yes", "no")
        assert 0 < row["price_e4"] < 10_000
        assert abs(row["price_e4"] * row["contracts_e2"] - row["paid_e6"]) <= row["contracts_e2"] / 2
    assert rows == sorted(rows, key=lambda row: (row["seed"], row["entry_ns"], row["episode"], row["slot"]))
