"""The feature kernel: no look-ahead, stream = batch, bounds, and formulas against numbers worked by hand."""

import math
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
    MS,
    SNAP,
    SPEC,
    assert_same_bits,
    build_in_python,
    feature,
    messages,
)
from made.strategies import START_NS, made_rows, random_rows, row_streams

from kalshi_platform.data.features import kernel, temporal
from kalshi_platform.data.features import rows as rows_module
from kalshi_platform.data.features.kernel import build_rows
from kalshi_platform.data.features.rows import LEVELS, Rows
from kalshi_platform.data.features.spec import N_ROW_FEATURES, ROW_FEATURE_SETS, features_of
from kalshi_platform.data.features.stream import FeatureStream
from kalshi_platform.data.market_data import schema
from kalshi_platform.data.market_data.schema import (
    FLAG_BLOCK,
    FLAG_LAST,
    GAP,
    NO,
    NO_SIDE,
    QUOTE,
    SNAPSHOT,
    STATUS,
    STATUS_PAUSED,
    TRADE,
    YES,
    MarketRows,
)
from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.domain.market import MarketSpec, PriceBand
from kalshi_platform.domain.units import NO_PRICE, NS_PER_SECOND

TENTHS = SPEC.replace(price_ranges=(PriceBand(start_e4=0, end_e4=10_000, step_e4=10),))


def book_features(*levels: tuple[int, int, int], spec: MarketSpec = SPEC) -> dict[str, float]:
    """Features after one snapshot of (side, price_e4, qty_e2)."""
    rows = build_rows(messages((START_NS, [SNAP, *((SNAPSHOT, *level) for level in levels)])), spec)
    return {name: float(rows.features[0, i]) for name, i in COLUMN.items()}


def at_times(*seconds: float) -> Rows:
    """Rows of a market that got one quote message at each of these times after START_NS."""
    quote = [(QUOTE, YES, 4_000, 1), (QUOTE, NO, 5_000, 1)]
    return build_rows(messages(*((START_NS + round(s * NS_PER_SECOND), quote) for s in seconds)), SPEC)


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


# --- invariants --------------------------------------------------------------------------------


@given(recorded=row_streams(), cut=st.floats(0, 1))
def test_features_of_a_prefix_are_the_prefix_of_the_features(recorded: MarketRows, cut: float) -> None:
    ends = np.flatnonzero(recorded.flags & FLAG_LAST) + 1
    n = int(cut * ends.size)
    prefix = schema.take(recorded, slice(0, int(ends[n - 1]) if n else 0))
    whole = build_rows(recorded, SPEC, KNOWN)
    assert_same_bits(build_rows(prefix, SPEC, KNOWN), rows_module.take(whole, slice(0, n)))


@given(recorded=row_streams())
def test_streamed_rows_equal_built_rows_bit_for_bit(recorded: MarketRows) -> None:
    assert_same_bits(streamed(recorded, SPEC), build_rows(recorded, SPEC, KNOWN))


def test_streamed_rows_equal_built_rows_over_a_ring_that_grows(rng: np.random.Generator) -> None:
    recorded = random_rows(rng, 3_000, mean_gap_ns=10 * MS)  # all within 5 minutes; the ring begins at 1,024
    assert_same_bits(streamed(recorded, SPEC), build_rows(recorded, SPEC, KNOWN))


def test_streamed_rows_equal_built_rows_over_a_ring_of_trades_that_grows(rng: np.random.Generator) -> None:
    recorded = random_rows(rng, 900, "prints", mean_gap_ns=10 * MS)  # the ring of trades begins at 256
    assert_same_bits(streamed(recorded, SPEC), build_rows(recorded, SPEC, KNOWN))


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
    for name, x, y in zip(Rows._fields[:-1], compiled, plain, strict=False):
        np.testing.assert_array_equal(x, y, err_msg=name)
    np.testing.assert_allclose(compiled.features, plain.features, rtol=1e-5, atol=1e-6)


@given(recorded=row_streams("quotes"))
def test_activity_counts_every_message_of_the_window_and_no_other(recorded: MarketRows) -> None:
    rows = build_rows(recorded, SPEC, KNOWN)
    times = rows.recv_ns
    for name, window_s in (("activity_10s", 10), ("activity_1min", 60), ("activity_5min", 300)):
        for i, now in enumerate(times):
            n = sum(1 for t in times[:i] if now - t < window_s * NS_PER_SECOND)
            assert rows.features[i, COLUMN[name]] == np.float32(n / (n + window_s))


# --- formulas ----------------------------------------------------------------------------------


def test_orderbook_features_match_values_worked_by_hand() -> None:
    # bid 0.40 with 300 contracts behind 100 more at 0.39; NO bid 0.56 = ask 0.44 with 100
    f = book_features((YES, 4_000, 30_000), (YES, 3_900, 10_000), (NO, 5_600, 10_000))
    mid = 0.42  # (0.40 + 0.44) / 2
    expected = {
        "yes_mid": mid,
        "no_mid": 0.58,
        "yes_deviation": -0.16,  # 2 x 0.42 - 1
        "no_deviation": 0.16,
        "yes_spread": 0.04 / 0.42,
        "no_spread": 0.04 / 0.58,
        "yes_imbalance": 0.6,  # (400 - 100) / 500
        "no_imbalance": -0.6,
        "yes_extremity": 0.84,  # 2 x min(0.42, 0.58)
        "no_extremity": 0.84,
        "arbitrage": 0.0,
        "total_volume": math.log(501) / math.log(1_000_001),
    }
    assert {name: f[name] for name in expected} == pytest.approx(expected, rel=1e-6)


def test_imbalance_counts_the_five_best_levels_only() -> None:
    deep = [(YES, 4_000 - 100 * n, 100) for n in range(6)]
    # 5 x 1 contract against 5 contracts; the sixth level would give 6 / 11 - 5 / 11
    assert book_features(*deep, (NO, 5_000, 500))["yes_imbalance"] == 0.0


def test_empty_sides_count_as_the_ends_of_the_price_scale() -> None:
    only_ask = book_features((NO, 1_000, 100))  # ask 0.90, bid 0 -> mid 0.45, spread 0.90 > mid
    assert only_ask["yes_mid"] == pytest.approx(0.45)
    assert only_ask["yes_spread"] == 1.0
    assert only_ask["yes_imbalance"] == -1.0
    empty = book_features()
    assert (empty["yes_mid"], empty["yes_spread"], empty["yes_imbalance"]) == (0.5, 1.0, 0.0)


def test_the_spread_at_an_extreme_price_is_relative_to_one_cent_at_least() -> None:
    # bid 0, ask 0.002 on a finer ladder: mid 0.001, so 0.002 / max(0.001, 0.01) = 0.2
    assert book_features((NO, 9_980, 100), spec=TENTHS)["yes_spread"] == pytest.approx(0.2)


def test_a_crossed_book_shows_what_it_would_pay() -> None:
    f = book_features((YES, 6_000, 100), (NO, 4_300, 100))  # ask 0.57 under bid 0.60
    assert f["arbitrage"] == pytest.approx(0.03)
    assert f["yes_spread"] == 0.0


def test_unknown_sizes_are_neutral() -> None:
    rows = build_rows(messages((START_NS, [(QUOTE, YES, 4_000, -1), (QUOTE, NO, 5_000, 700)])), SPEC)
    assert feature(rows, "yes_imbalance") == [0.0]
    assert feature(rows, "total_volume") == [0.0]


def test_an_implied_book_with_one_side_stands_at_its_print() -> None:
    rows = build_rows(
        messages((START_NS, [(TRADE, YES, 9_000, 1)]), (START_NS, [(TRADE, NO, 8_800, 1)])), SPEC
    )
    assert feature(rows, "yes_mid") == pytest.approx([0.9, 0.89])
    assert feature(rows, "yes_spread") == pytest.approx([1.0, 0.02 / 0.89], rel=1e-6)


def test_gaps_between_messages_set_log_gap_and_the_regime_flags() -> None:
    rows = at_times(0, 0.05, 0.15, 3.15, 8.15, 38.15, 68.2)
    # gaps: none, 50 ms, 100 ms, 3 s, 5 s, 30 s, 30.05 s
    scale = math.log(86_401)
    gaps = (0, 0.05, 0.1, 3, 5, 30, 30.05)
    assert feature(rows, "log_gap") == pytest.approx([math.log(1 + g) / scale for g in gaps], rel=1e-6)
    assert feature(rows, "is_burst") == [0, 1, 0, 0, 0, 0, 0]
    assert feature(rows, "is_active") == [0, 1, 1, 1, 0, 0, 0]
    assert feature(rows, "is_quiet") == [0, 0, 0, 0, 0, 0, 1]


def test_gaps_over_a_day_are_squashed_to_one() -> None:
    assert feature(at_times(0, 90_000), "log_gap") == [0.0, 1.0]


def test_activity_is_half_at_one_message_a_second() -> None:
    # at second 400: 9 before it in 10 s, 59 in 60 s, 299 in 300 s (the one exactly w ago is out)
    rows = at_times(*range(401))
    assert feature(rows, "activity_10s")[-1] == pytest.approx(9 / 19)
    assert feature(rows, "activity_1min")[-1] == pytest.approx(59 / 119)
    assert feature(rows, "activity_5min")[-1] == pytest.approx(299 / 599)


def test_acceleration_compares_the_last_ten_gaps_with_the_ten_before() -> None:
    # 10 gaps of 2 s, then 10 of 1 s: tanh((1 - 2) / 2); known from the 21st message on
    rows = at_times(*range(0, 21, 2), *range(21, 31))
    assert feature(rows, "acceleration")[:20] == [0.0] * 20
    assert feature(rows, "acceleration")[20] == pytest.approx(math.tanh(-0.5))


def test_acceleration_after_simultaneous_messages_is_relative_to_a_millisecond() -> None:
    # older gaps 0, recent 1 ms: tanh(1 / 1)
    rows = at_times(*[0.0] * 11, *(n / 1_000 for n in range(1, 11)))
    assert feature(rows, "acceleration")[-1] == pytest.approx(math.tanh(1.0))


def test_time_to_close_and_its_flags() -> None:
    day = 86_400.0
    rows = at_times(0, 1, day - 3_600, day - 3_599, day, day + 10)  # close is one day after the start
    hours = (24, 24 - 1 / 3_600, 1, 3_599 / 3_600, 0, 0)
    expected = [math.log(1 + h) / math.log(8_761) for h in hours]
    assert feature(rows, "time_to_close") == pytest.approx(expected, rel=1e-5)
    assert feature(rows, "final_day") == [0, 1, 1, 1, 1, 1]
    assert feature(rows, "final_hour") == [0, 0, 0, 1, 1, 1]


def test_an_unknown_close_is_neutral() -> None:
    f = book_features(spec=SPEC.replace(close_ns=None))
    assert (f["time_to_close"], f["final_hour"], f["final_day"]) == (0, 0, 0)


def test_the_clock_goes_round_by_minute_and_weekday() -> None:
    monday_6h = 1_704_693_600  # 2024-01-08 06:00 UTC, a Monday
    times = (monday_6h, monday_6h + 59.9, monday_6h + 86_400 + 43_200)  # the last: Tuesday 18:00
    quote = [(QUOTE, YES, 4_000, 1), (QUOTE, NO, 5_000, 1)]
    rows = build_rows(messages(*((round(t * NS_PER_SECOND), quote) for t in times)), SPEC)
    assert feature(rows, "hour_sin") == pytest.approx([1, 1, -1])
    assert feature(rows, "hour_cos") == pytest.approx([0, 0, 0], abs=1e-7)
    tuesday = 2 * math.pi / 7
    assert feature(rows, "weekday_sin") == pytest.approx([0, 0, math.sin(tuesday)])
    assert feature(rows, "weekday_cos") == pytest.approx([1, 1, math.cos(tuesday)])


def test_sequence_gap_runs_from_the_last_gap_or_snapshot() -> None:
    quote = [(QUOTE, YES, 4_000, 1), (QUOTE, NO, 5_000, 1)]
    s = NS_PER_SECOND
    rows = build_rows(
        messages(
            (START_NS, quote),
            (START_NS + s, [(GAP, NO_SIDE, NO_PRICE, 3)]),
            (START_NS + 4 * s, quote),
            (START_NS + 5 * s, [SNAP]),
            (START_NS + 12 * s, [(TRADE, YES, 4_000, 1)]),
        ),
        SPEC,
    )
    expected = [1.0, *(math.log(1 + x) / math.log(86_401) for x in (0, 3, 0, 7))]
    assert feature(rows, "sequence_gap") == pytest.approx(expected, rel=1e-6)


# --- rows --------------------------------------------------------------------------------------


def test_rows_hold_five_levels_a_side_on_the_yes_scale_best_first() -> None:
    levels = [(SNAPSHOT, YES, 1_000 + 500 * n, 10 + n) for n in range(6)]
    rows = build_rows(messages((START_NS, [SNAP, *levels, (SNAPSHOT, NO, 5_700, 20)])), SPEC)
    assert rows.bid_px_e4.tolist() == [[3_500, 3_000, 2_500, 2_000, 1_500]]
    assert rows.bid_qty_e2.tolist() == [[15, 14, 13, 12, 11]]
    assert rows.ask_px_e4.tolist() == [[4_300, *[NO_PRICE] * (LEVELS - 1)]]
    assert rows.ask_qty_e2.tolist() == [[20, 0, 0, 0, 0]]


def test_the_print_is_the_last_trade_with_all_that_traded_at_its_price() -> None:
    trades = [(TRADE, NO, 3_000, 5), (TRADE, YES, 4_000, 10), (TRADE, YES, 4_000, 15)]
    block = (TRADE, YES, 9_000, 1_000, FLAG_BLOCK)
    rows = build_rows(messages((START_NS, [*trades, block]), (START_NS, [SNAP]), (START_NS, [block])), SPEC)
    assert rows.print_px_e4.tolist() == [4_000, NO_PRICE, NO_PRICE]
    assert rows.print_qty_e2.tolist() == [25, 0, 0]
    assert rows.print_side.tolist() == [YES, NO_SIDE, NO_SIDE]


def test_rows_are_valid_only_where_the_book_is_and_the_market_trades() -> None:
    rows = build_rows(
        messages(
            (START_NS, [SNAP]),
            (START_NS, [(GAP, NO_SIDE, NO_PRICE, -1)]),
            (START_NS, [(TRADE, YES, 4_000, 1)]),
            (START_NS, [SNAP]),
            (START_NS, [(STATUS, NO_SIDE, NO_PRICE, STATUS_PAUSED)]),
        ),
        SPEC,
    )
    assert rows.valid.tolist() == [1, 0, 0, 1, 0]


def test_a_gap_mended_within_its_own_message_still_breaks_the_rows() -> None:
    rows = build_rows(
        messages(
            (START_NS, [SNAP]),
            (START_NS, [(GAP, NO_SIDE, NO_PRICE, 1), SNAP]),
            (START_NS, [(TRADE, YES, 1, 1)]),
        ),
        SPEC,
    )
    assert rows.valid.tolist() == [1, 0, 1]


def test_where_a_book_of_prints_becomes_a_book_of_levels_the_rows_break() -> None:
    trade = [(TRADE, YES, 4_000, 1)]
    rows = build_rows(messages((START_NS, trade), (START_NS, [SNAP]), (START_NS, trade)), SPEC)
    assert rows.valid.tolist() == [1, 0, 1]


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


def test_a_ring_that_grows_keeps_its_messages() -> None:
    clock = temporal.new_clock(None, size=temporal.MIN_RING)
    clock.marks[temporal.HEAD] = 40
    clock.ring_ns[np.arange(8, 40) % 32] = np.arange(8, 40)
    bigger = temporal.grown(clock)
    assert bigger.ring_ns[np.arange(8, 40) % 64].tolist() == list(range(8, 40))


# --- recorded data -----------------------------------------------------------------------------


@pytest.mark.recorded
def test_the_recorded_s_and_p_books_stay_sane(recorded_data: Path) -> None:
    table = pl.read_parquet(recorded_data / "events" / "spx-2023-04.parquet")
    for _, part in table.group_by("market_ticker", maintain_order=True):
        rows = build_rows(_spx_rows(part), SPEC)
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
