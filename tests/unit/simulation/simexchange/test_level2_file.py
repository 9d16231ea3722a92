"""Simulated level-2 Parquet: read as exactly the rows in memory, no fair value in it."""

import numpy as np
import pytest
from made.sim_events import SMALL, imported

from kalshi_platform.data.market_data.schema import GAP, MarketRows
from kalshi_platform.simulation.simexchange import generate_event, simulate
from kalshi_platform.simulation.simexchange.generate import simulate_event
from kalshi_platform.simulation.simexchange.level2_file import level2_table, market_rows_of


def test_the_importer_reads_the_parquet_as_exactly_the_rows_in_memory(tmp_path):
    simulate(SMALL, tmp_path / "out")
    found = imported(tmp_path / "out")
    n_gaps = 0
    for index in range(SMALL.n_events):
        for market in generate_event(SMALL, index):
            other = found.pop(market.spec.ticker)
            assert (other.spec, other.settlement) == (market.spec, market.settlement)
            for name, mine, theirs in zip(MarketRows._fields, market.rows, other.rows, strict=True):
                np.testing.assert_array_equal(mine, theirs, err_msg=f"{market.spec.ticker} {name}")
            n_gaps += int((market.rows.kind == GAP).sum())
    assert not found
    assert n_gaps > 0


def test_fair_values_are_nowhere_in_the_files(tmp_path):
    import pyarrow.parquet as pq

    files = simulate(SMALL, tmp_path / "out")
    for path in (files.events, files.markets):
        assert not [name for name in pq.read_schema(path).names if "fair" in name]


def test_a_table_holds_one_row_a_received_row_and_says_that_it_is_simulated():
    event = simulate_event(SMALL, 1)
    found = level2_table(event)
    assert found.num_rows == event.wire.rows.kind.size
    assert found.schema.metadata == {b"kalshi_platform.provenance": b"simulated"}
    assert set(found.column("session").to_pylist()) == {1}
    rows = found.to_pylist()
    for row in rows:
        if row["snap_start"]:  # a marker has no level
            assert row["side"] is row["price_e4"] is row["size_e2"] is None
        assert (row["snap_start"] is None) == (row["type"] == "delta")
        assert (row["is_fill"] is None) == (row["type"] == "snapshot")
        assert (row["taker_side"] is not None) == bool(row["is_fill"])
        if row["is_fill"]:
            assert row["size_e2"] < 0
            assert row["taker_side"] != row["side"]


def test_metadata_of_a_market_say_what_was_settled_and_how_much_traded():
    for index in range(4):
        event = simulate_event(SMALL, index)
        rows = market_rows_of(event)
        table = level2_table(event).to_pylist()
        for row, spec, settlement in zip(rows, event.specs, event.settlements, strict=True):
            assert (row["market_ticker"], row["event_ticker"]) == (spec.ticker, spec.event)
            assert row["result"] == ("yes" if settlement.value_e4 == 10_000 else "no")
            filled = [-r["size_e2"] for r in table if r["is_fill"] and r["market_ticker"] == spec.ticker]
            assert row["volume"] == pytest.approx(sum(filled) / 100)
            assert row["open_time"] < row["close_time"] < row["settlement_ts"]
            steps = [band["step"] for band in row["price_ranges"]]
            assert steps == [f"{band.step_e4 / 10_000:.4f}" for band in spec.price_ranges]
