"""Periods of sources: declared in the file, proven by the spacing, or none."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from made.market_files import quote, write

from kalshi_platform.data.market_data.importers.periods import PERIOD_KEY, period_of, proven_period
from kalshi_platform.domain.errors import DataError

RNG = np.random.default_rng(4)
POLLED = np.cumsum(np.full(200, 30_000)) + RNG.integers(-4_000, 4_000, 200)  # every 30 s, give or take 4
CHANGES = np.cumsum(RNG.exponential(30_000, 2_000)).astype(np.int64)


def test_records_at_a_steady_pace_prove_a_period_in_spite_of_holes() -> None:
    holes = POLLED + np.where(np.arange(200) > 100, 600_000, 0)
    assert abs(proven_period(holes, np.zeros(200, int)) - 30_000) < 2_000


def test_records_of_changes_prove_none() -> None:
    assert proven_period(CHANGES, np.zeros(2_000, int)) == 0


def test_spacing_counts_within_a_market_and_only_if_there_is_enough_of_it() -> None:
    market = np.arange(200) % 2
    pairs = np.repeat(np.arange(100) * 30_000, 2) + market
    assert proven_period(pairs, market) == 30_000  # one record of each market at once: 30 s, not 1 ms
    assert proven_period(np.sort(POLLED)[:90], np.zeros(90, int)) == 0


def test_a_file_may_declare_its_period_or_that_it_has_none(tmp_path: Path) -> None:
    path = write(tmp_path / "q.parquet", [quote("E-A", second, 4_000, 4_200) for second in range(200)])
    assert period_of(path) == 10**9
    table = pq.read_table(path)
    for said, period_ns in (("0", 0), ("250", 250_000_000)):
        pq.write_table(table.replace_schema_metadata({PERIOD_KEY: said}), path)
        assert period_of(path) == period_ns
    pq.write_table(table.replace_schema_metadata({PERIOD_KEY: "1 s"}), path)
    with pytest.raises(
        DataError, match=r"q\.parquet: metadata .*period_ms = '1 s'; expected whole milliseconds"
    ):
        period_of(path)
