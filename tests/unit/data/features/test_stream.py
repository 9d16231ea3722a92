"""Features a message at a time: the same bits as a whole recording gives."""

import numpy as np
import pytest
from hypothesis import given
from made.feature_rows import (
    KNOWN,
    MS,
    SNAP,
    SPEC,
    assert_same_bits,
    messages,
)
from made.strategies import START_NS, random_rows, row_streams

from kalshi_platform.data.features import rows as rows_module
from kalshi_platform.data.features.kernel import build_rows
from kalshi_platform.data.features.rows import Rows
from kalshi_platform.data.features.spec import N_ROW_FEATURES
from kalshi_platform.data.features.stream import FeatureStream
from kalshi_platform.data.market_data import schema
from kalshi_platform.data.market_data.schema import (
    FLAG_LAST,
    SNAPSHOT,
    YES,
    MarketRows,
)
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.market import MarketSpec


def streamed(recorded: MarketRows, spec: MarketSpec) -> Rows:
    stream = FeatureStream(spec, KNOWN)
    ends = np.flatnonzero(recorded.flags & FLAG_LAST) + 1
    out = rows_module.empty(ends.size, N_ROW_FEATURES)
    first = 0
    for n, end in enumerate(ends.tolist()):
        row = stream.push(schema.take(recorded, slice(first, end)))
        first = end
        for target, column in zip(out, row, strict=True):
            target[n] = column[0]
    return out


@given(recorded=row_streams())
def test_streamed_rows_equal_built_rows_bit_for_bit(recorded: MarketRows) -> None:
    assert_same_bits(streamed(recorded, SPEC), build_rows(recorded, SPEC, KNOWN))


def test_streamed_rows_equal_built_rows_over_a_ring_that_grows(rng: np.random.Generator) -> None:
    recorded = random_rows(rng, 3_000, mean_gap_ns=10 * MS)  # all within 5 minutes; the ring begins at 1,024
    assert_same_bits(streamed(recorded, SPEC), build_rows(recorded, SPEC, KNOWN))


def test_streamed_rows_equal_built_rows_over_a_ring_of_trades_that_grows(rng: np.random.Generator) -> None:
    recorded = random_rows(rng, 900, "prints", mean_gap_ns=10 * MS)  # the ring of trades begins at 256
    assert_same_bits(streamed(recorded, SPEC), build_rows(recorded, SPEC, KNOWN))


@pytest.mark.parametrize("n", [0, 2], ids=["none", "two"])
def test_a_stream_takes_exactly_one_message_at_a_time(n: int) -> None:
    recorded = messages(*[(START_NS, [SNAP])] * n) if n else schema.empty(1)
    with pytest.raises(ContractError, match="KX-T: push takes one message"):
        FeatureStream(SPEC).push(recorded)


def test_a_stream_goes_on_over_a_finer_tick() -> None:
    stream = FeatureStream(SPEC)
    stream.push(messages((START_NS, [SNAP, (SNAPSHOT, YES, 4_000, 100)])))
    stream.regrid(10)
    row = stream.push(messages((START_NS, [(schema.DELTA, YES, 4_010, 100)])))
    assert row.bid_px_e4[0, :2].tolist() == [4_010, 4_000]
