"""Periodic sources: files that hold a record every so often, whether or not anything changed.

Between two of their records nothing is known, so that a hole in their spacing is a gap. A source that records
changes has no such holes: silence means that nothing changed. A file is periodic if it says so (PERIOD_KEY in
its metadata, milliseconds; 0: it records changes), or if its spacing proves it: at least PROVING_SHARE of the
times between two records of one market lie between half and double the median. Records that come by chance
reach 46 % (between 2 ** -0.5 and 2 ** -2 of an exponential distribution), records of changes less.
"""

from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from kalshi_platform.data.market_data.importers.parquet import (
    LAYOUTS,
    TICKER,
    column_names,
    read_all,
    read_metadata,
)
from kalshi_platform.domain.bounded import shown_value
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.units import NS_PER_MS

#: Key of a declared period, in milliseconds, in the metadata of a Parquet file.
PERIOD_KEY: Final = "kalshi_platform.period_ms"
#: A spacing of more than so many periods is a gap.
GAP_PERIODS: Final = 5
#: What proves a period: so many spacings, of which such a share lies close to the median.
PROVING_SPACINGS: Final = 100
PROVING_SHARE: Final = 0.9


def period_of(path: Path) -> int:
    """Period of a quote file, ns, declared or proven; 0 where it records changes."""
    declared = read_metadata(path, PERIOD_KEY)
    if declared is not None:
        if not declared.isdecimal():
            raise DataError(
                f"{path}: metadata {PERIOD_KEY} = {shown_value(declared)}; expected whole milliseconds, or 0 "
                "for a file that records changes"
            )
        return int(declared) * NS_PER_MS
    names = column_names(path)
    name, unit_ns = next((t, u) for t, u in LAYOUTS["quotes"].times.items() if t in names)
    table = read_all(path, [TICKER, name])
    column = table.column(name).combine_chunks()
    try:
        if pa.types.is_timestamp(column.type):
            column, unit_ns = column.cast(pa.timestamp("ns")), 1
        times = column.cast(pa.int64()).fill_null(0).to_numpy()
    except pa.ArrowException:
        return 0  # refused, with its row, where the file is read
    tickers = table.column(TICKER).cast(pa.string()).combine_chunks().dictionary_encode().indices
    return proven_period(times, tickers.to_numpy(zero_copy_only=False)) * unit_ns


def proven_period(times: np.ndarray, market: np.ndarray) -> int:
    """Median time between two records of one market if the spacing proves a period, else 0; arrays (n,)."""
    order = np.lexsort((times, market))
    spacing = np.diff(times[order])[np.diff(market[order]) == 0]
    if spacing.size < PROVING_SPACINGS:
        return 0
    median = int(np.median(spacing))
    close = (2 * spacing >= median) & (spacing <= 2 * median)
    return median if close.mean() >= PROVING_SHARE else 0
