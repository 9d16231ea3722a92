"""The feature kernel: no look-ahead, bounds, compiled as plain, refusals; formulas stand with their group."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made.feature_rows import (
    COLUMN,
    KNOWN,
    SNAP,
    SPEC,
    TENTHS,
    assert_same_bits,
    build_in_python,
    messages,
)
from made.strategies import START_NS, made_rows, random_rows, row_streams

from kalshi_platform.data.features import kernel
from kalshi_platform.data.features import rows as rows_module
from kalshi_platform.data.features.kernel import build_rows
from kalshi_platform.data.features.rows import Rows
from kalshi_platform.data.features.spec import ROW_FEATURE_SETS, features_of
from kalshi_platform.data.market_data import schema
from kalshi_platform.data.market_data.schema import (
    FLAG_LAST,
    NO,
    SNAPSHOT,
    YES,
    MarketRows,
)
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.market import MarketSpec
from kalshi_platform.domain.units import NO_PRICE

# --- invariants --------------------------------------------------------------------------------


@given(recorded=row_streams(), cut=st.floats(0, 1))
def test_features_of_a_prefix_are_the_prefix_of_the_features(recorded: MarketRows, cut: float) -> None:
    ends = np.flatnonzero(recorded.flags & FLAG_LAST) + 1
    n = int(cut * ends.size)
    prefix = schema.take(recorded, slice(0, int(ends[n - 1]) if n else 0))
    whole = build_rows(recorded, SPEC, KNOWN)
    assert_same_bits(build_rows(prefix, SPEC, KNOWN), rows_module.take(whole, slice(0, n)))


@given(recorded=row_streams())
def test_every_feature_lies_within_its_bounds(recorded: MarketRows) -> None:
    rows = build_rows(recorded, SPEC, KNOWN)
    assert np.isfinite(rows.features).all()
    for name, i in COLUMN.items():
        line = features_of(ROW_FEATURE_SETS)[i]
        column = rows.features[:, i]
        assert ((column >= line.low) & (column <= line.high)).all(), name


@given(recorded=row_streams())
def test_features_do_not_depend_on_the_ladder_s_tick(recorded: MarketRows) -> None:
    assert_same_bits(build_rows(recorded, SPEC, KNOWN), build_rows(recorded, TENTHS, KNOWN))


@given(recorded=row_streams())
def test_features_do_not_depend_on_who_the_market_is(recorded: MarketRows) -> None:
    other = SPEC.replace(ticker="OTHER", event="E2", series="S")
    assert_same_bits(build_rows(recorded, SPEC, KNOWN), build_rows(recorded, other, KNOWN))


@given(recorded=row_streams(max_messages=25))
def test_the_kernel_compiled_equals_the_kernel_in_plain_python(
    recorded: MarketRows,
) -> None:
    compiled = build_rows(recorded, SPEC, KNOWN)
    plain = build_in_python(recorded, SPEC, KNOWN)
    assert plain.burst_end.all()  # the kernel writes a message before it knows the next
    for name, x, y in zip(Rows._fields[:-1], compiled, plain, strict=False):
        if name == "burst_end":
            continue
        np.testing.assert_array_equal(x, y, err_msg=name)
    np.testing.assert_allclose(compiled.features, plain.features, rtol=1e-5, atol=1e-6)


# --- rows --------------------------------------------------------------------------------------


def test_an_unfinished_message_gives_no_row() -> None:
    recorded = made_rows([("snapshot", 0, YES, 40, 100, 3)])
    assert build_rows(schema.take(recorded, slice(0, 3)), SPEC).valid.size == 0


def test_columns_of_an_arrow_table_build_the_same_rows(rng: np.random.Generator) -> None:
    recorded = random_rows(rng, 200)
    from_table = schema.from_arrow(schema.to_arrow(recorded))
    assert not from_table.kind.flags.writeable
    assert_same_bits(build_rows(from_table, SPEC), build_rows(recorded, SPEC))
    assert len(kernel.advance.signatures) == 1


def test_time_going_backwards_is_refused_with_both_times() -> None:
    recorded = messages((START_NS + 5, [SNAP]), (START_NS + 4, [SNAP]))
    with pytest.raises(DataError, match=rf"KX-T: row 1 .*recv_ns {START_NS + 4}, before .*{START_NS + 5}"):
        build_rows(recorded, SPEC)


def test_a_refused_row_is_named() -> None:
    recorded = messages((START_NS, [SNAP]), (START_NS, [(schema.DELTA, YES, 4_000, -1)]))
    with pytest.raises(DataError, match=r"KX-T: row 1 .*delta.*holding 0 by -1"):
        build_rows(recorded, SPEC)


# --- recorded data -----------------------------------------------------------------------------


@pytest.mark.recorded
def test_the_recorded_s_and_p_books_stay_sane(recorded_data: Path) -> None:
    table = pl.read_parquet(recorded_data / "events" / "spx-2023-04.parquet")
    for _, part in table.group_by("market_ticker", maintain_order=True):
        rows = build_rows(_spx_rows(part), MarketSpec(ticker="KX-T", event="KX"))  # SPEC closes before these
        assert rows.valid.all()
        both = (rows.bid_px_e4[:, 0] != NO_PRICE) & (rows.ask_px_e4[:, 0] != NO_PRICE)
        assert both.mean() > 0.95
        assert (rows.bid_px_e4[both, 0] < rows.ask_px_e4[both, 0]).mean() > 0.999
        spread = (rows.ask_px_e4 - rows.bid_px_e4)[both, 0]
        assert np.median(spread) <= 1_000


def _spx_rows(part: pl.DataFrame) -> MarketRows:
    rows: list[tuple[int, Any]] = []
    snapshot: list[tuple[int, ...]] = []
    for r in part.iter_rows(named=True):
        if r["type"] == "snapshot":
            side = YES if r["side"] == "yes" else NO
            snapshot.append(SNAP if r["snap_start"] else (SNAPSHOT, side, r["price_e4"], r["size_e2"]))
            continue
        if snapshot:
            rows.append((r["recv_ts_us"] * 1_000, snapshot))
            snapshot = []
        side = YES if r["side"] == "yes" else NO
        rows.append((r["recv_ts_us"] * 1_000, [(schema.DELTA, side, r["price_e4"], r["size_e2"])]))
    return messages(*rows)
