"""Simulated level-2 Parquet: read as exactly the rows in memory, no fair value in it."""

import numpy as np
from made.sim_events import SMALL, imported

from kalshi_platform.data.market_data.schema import GAP, MarketRows
from kalshi_platform.simulation.simexchange import generate_event, simulate


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
