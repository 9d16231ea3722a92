"""Files cut into jobs of whole events, and all recorded data through the door."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from made.market_files import load, trade, write

from kalshi_platform.data.market_data.importers import discover, run_job


def test_jobs_hold_whole_events_whatever_the_order_of_rows_and_row_groups(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    names = [f"E{e}-{m}" for e in range(7) for m in range(3)]
    rows = [
        trade(names[i], second, 4_200, qty=second + 1)
        for second, i in enumerate(rng.integers(len(names), size=900))
    ]
    path = write(tmp_path / "t.parquet", rows, row_group_size=64)
    plan = discover([path])
    jobs = plan.jobs(target_rows=200)
    assert len(jobs) > 2
    assert plan.n_events == 7
    assert sorted(e for j in jobs for e in j.events) == [f"E{e}" for e in range(7)]
    assert sum(j.n_rows for j in jobs) == 900
    for job in jobs:
        for event in run_job(job):
            assert [m.spec.ticker for m in event.markets] == [n for n in names if n.startswith(event.event)]
            for market in event.markets:
                wanted = [r["count_e2"] for r in rows if r["market_ticker"] == market.spec.ticker]
                assert market.rows.qty_e2.tolist() == wanted


# Recorded data


@pytest.mark.recorded
def test_all_recorded_data_passes_the_door(recorded_data: Path) -> None:
    markets, counters = load(recorded_data)
    kinds = Counter(m.provenance for m in markets.values())
    assert kinds == {"trade_implied": 8_288, "quotes": 992, "recorded": 27}
    assert counters["rows:trade_implied"] == 935_290
    assert counters["metadata_missing"] == 0
    assert sum(m.settlement is not None for m in markets.values()) == 4_635
    assert (
        counters["quotes_crossed"],
        counters["books_ended:level_below_zero"],
        counters["sequence_gaps"],
    ) == (
        12,
        0,
        0,
    )
    spx = markets["INXD-23APR10-B4075"].rows
    assert spx.recv_ns[0] == 1_681_133_462_651_062_000
