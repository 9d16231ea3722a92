"""The door: what is refused with which message, what is dropped and counted, what passes untouched."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshi_platform.data.market_data.market_meta import coarsest_grid, grid_table
from kalshi_platform.data.market_data.row_buffer import RowBuffer
from kalshi_platform.data.market_data.schema import (
    DELTA,
    FLAG_FILL,
    FLAG_LAST,
    GAP,
    NO,
    NO_SIDE,
    QUOTE,
    SNAPSHOT,
    STATUS,
    TRADE,
    YES,
    Events,
)
from kalshi_platform.data.market_data.validate import (
    MAX_QTY_E2,
    OnNegative,
    Origin,
    find_fault,
    replay_levels,
    validate,
)
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.market import MarketSpec, PriceBand
from kalshi_platform.domain.units import UNKNOWN_QTY

SPEC = MarketSpec(ticker="M-1", event="M")
DECI = MarketSpec(ticker="M-1", event="M", price_ranges=(PriceBand(start_e4=0, end_e4=10_000, step_e4=10),))


class Market:
    """Rows of one market, a message a nanosecond; line numbers count from 101."""

    def __init__(self) -> None:
        self.buffer = RowBuffer()
        self.at = 0

    def _next(self) -> tuple[int, int]:
        self.at += 1
        return self.at, 100 + self.at

    def snapshot(self, yes: list[tuple[int, int]], no: list[tuple[int, int]] | None = None) -> "Market":
        at, line = self._next()
        self.buffer.add_snapshot(at, 1, at, yes, no or [], line)
        return self

    def gap(self) -> "Market":
        at, line = self._next()
        self.buffer.add_gap(at, 1, at, 2, line)
        return self

    def add(self, kind: int, side: int, price: int, qty: int, flags: int = FLAG_LAST) -> "Market":
        at, line = self._next()
        self.buffer.add(at, -1, 1, at, kind, side, price, qty, flags, line)
        return self

    def delta(self, side: int, price: int, qty: int) -> "Market":
        return self.add(DELTA, side, price, qty)

    def check(
        self, spec: MarketSpec = SPEC, on_negative: OnNegative = "refuse"
    ) -> tuple[Events, dict[str, int]]:
        rows, lines = self.buffer.rows()
        return validate(rows, spec, Origin("f.jsonl", "line", lines), on_negative)


def _kinds(rows: Events) -> list[int]:
    return rows.kind.tolist()


def test_a_sound_market_passes_untouched() -> None:
    market = Market().snapshot([(4_200, 100)], [(5_500, 50)]).delta(NO, 5_500, -50).add(TRADE, YES, 4_500, 50)
    rows, counted = market.check()
    before, _ = market.buffer.rows()
    for a, b in zip(rows, before, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not counted


@pytest.mark.parametrize(
    ("market", "message"),
    [
        (Market().add(TRADE, YES, 10_100, 1), "price outside 0..10000 .*: 10100"),
        (Market().add(TRADE, YES, -2, 1), "price outside 0..10000 .*: -2"),
        (Market().add(TRADE, YES, 4_250, 1), r"price off the market's grid \(0..10000 step 100\): 4250"),
        (Market().snapshot([(4_200, 5), (4_305, 5)]), "price off the market's grid .*: 4305"),
        (Market().add(QUOTE, NO, 5_555, UNKNOWN_QTY), "price off the market's grid .*: 5555"),
        (Market().add(TRADE, NO_SIDE, 4_200, 1), "has no side"),
        (Market().add(TRADE, YES, 4_200, 0), "size that is not above zero .*: 0"),
        (Market().snapshot([(4_200, -5)]), "size that is not above zero .*: -5"),
        (Market().add(QUOTE, YES, 4_200, -7), "negative size .*: -7"),
        (Market().add(TRADE, YES, 4_200, MAX_QTY_E2 + 1), "size beyond"),
        (Market().add(9, YES, 4_200, 1), "kind 9.* unknown kind"),
        (Market().add(STATUS, NO_SIDE, -1, 77), "unknown status; .*: 77"),
        (Market().add(TRADE, YES, 4_200, 1, flags=0), "ends the file inside a message"),
        (Market().snapshot([(4_200, 5), (4_200, 6)]), "repeats price 4200 within one snapshot"),
        (Market().add(TRADE, YES, 4_200, 1, flags=0).delta(YES, 4_200, 1), "another recv_ns"),
    ],
)
def test_impossible_rows_are_refused_with_file_line_market_and_value(market: Market, message: str) -> None:
    with pytest.raises(DataError, match=rf"f\.jsonl: line 10\d, market M-1: .*{message}"):
        market.check()


def test_time_going_backwards_is_refused() -> None:
    market = Market().add(TRADE, YES, 4_200, 1)
    market.at = -5
    with pytest.raises(
        DataError, match=r"line 96, market M-1: trade, seq -?.* before the one above it|before the one"
    ):
        market.add(TRADE, YES, 4_200, 1).check()


def test_equal_times_are_in_order() -> None:
    market = Market().add(TRADE, YES, 4_200, 1)
    market.at = 0
    rows, _ = market.add(TRADE, YES, 4_300, 1).check()
    assert rows.price_e4.tolist() == [4_200, 4_300]


def test_a_no_price_is_held_against_the_yes_grid() -> None:
    # whole cents above 10 cents, tenths below: a NO bid at 9_990 is a YES ask at 10 and legal; 5_010 is not
    tapered = (
        PriceBand(start_e4=0, end_e4=1_000, step_e4=10),
        PriceBand(start_e4=1_000, end_e4=10_000, step_e4=100),
    )
    spec = MarketSpec(ticker="M-1", event="M", price_ranges=tapered)
    Market().snapshot([(10, 5)], [(9_990, 5)]).check(spec)
    with pytest.raises(DataError, match="off the market's grid"):
        Market().snapshot([], [(5_010, 5)]).check(spec)
    with pytest.raises(DataError, match="off the market's grid"):
        Market().snapshot([(9_990, 5)]).check(spec)


def test_a_level_below_zero_is_refused_by_default() -> None:
    market = Market().snapshot([(4_200, 100)]).delta(YES, 4_200, -101)
    with pytest.raises(
        DataError, match=r"line 102, .* takes 101 from a level holding 100 \(side YES, price 4200"
    ):
        market.check()


def test_a_level_below_zero_becomes_a_gap_where_asked() -> None:
    market = (
        Market().snapshot([(4_200, 100)]).delta(YES, 4_200, -101).delta(YES, 4_200, 5).snapshot([(4_000, 1)])
    )
    rows, counted = market.check(on_negative="gap")
    assert _kinds(rows) == [SNAPSHOT, SNAPSHOT, GAP, SNAPSHOT, SNAPSHOT]
    assert (rows.side[2], rows.price_e4[2], rows.qty_e2[2], rows.flags[2]) == (
        NO_SIDE,
        -1,
        UNKNOWN_QTY,
        FLAG_LAST,
    )
    assert counted == {"negative_levels_to_gaps": 1, "deltas_quarantined": 1}


def test_deltas_without_a_book_are_dropped_and_counted() -> None:
    market = (
        Market().delta(YES, 4_200, 5).snapshot([(4_200, 100)]).gap().delta(YES, 4_200, -900).delta(NO, 100, 1)
    )
    rows, counted = market.snapshot([(4_300, 7)]).delta(YES, 4_300, -7).check()
    assert _kinds(rows) == [SNAPSHOT, SNAPSHOT, GAP, SNAPSHOT, SNAPSHOT, DELTA]
    assert counted == {"deltas_before_snapshot": 1, "deltas_quarantined": 2}


def test_a_print_whose_delta_is_dropped_ends_its_message() -> None:
    market = Market().add(TRADE, YES, 4_200, 5, flags=0)
    market.at = 0
    rows, _ = market.add(DELTA, NO, 5_800, -5, FLAG_LAST | FLAG_FILL).check()
    assert _kinds(rows) == [TRADE]
    assert rows.flags.tolist() == [FLAG_LAST]


@pytest.mark.parametrize("kernel", [replay_levels, replay_levels.py_func], ids=["numba", "python"])
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["delta", "snapshot", "gap"]),
            st.integers(0, 1),
            st.integers(0, 3),
            st.integers(-3, 4),
        ),
        max_size=40,
    )
)
def test_fates_equal_the_slow_obvious_replay(
    kernel: Callable[..., tuple[int, int, int]], steps: list[tuple[str, int, int, int]]
) -> None:
    market = Market()
    book: dict[tuple[int, int], int] | None = None
    fates: list[int] = []
    seen = False
    for kind, side, price, qty in steps:
        if kind == "snapshot":
            market.snapshot([(price, 5)] if side == YES else [], [(price, 5)] if side == NO else [])
            book, seen = {(side, price): 5}, True
            fates += [0, 0]
        elif kind == "gap":
            market.gap()
            book = None
            fates.append(0)
        else:
            market.delta(side, price, qty)
            if book is None:
                fates.append(2 if seen else 1)
            elif book.get((side, price), 0) + qty < 0:
                fates.append(3)
                book = None
            else:
                book[side, price] = book.get((side, price), 0) + qty
                fates.append(0)
    rows, _ = market.buffer.rows()
    fate = np.zeros(len(rows.kind), np.uint8)
    depth = np.zeros((2, 10_001), np.int64)
    kernel(rows.kind, rows.side, rows.price_e4, rows.qty_e2, rows.flags, True, depth, fate)
    assert fate.tolist() == fates


@given(st.integers(0, 10_000))
def test_grid_table_agrees_with_the_specification(price: int) -> None:
    for spec in (SPEC, DECI):
        assert grid_table(spec.price_ranges)[price] == spec.on_grid(price)


@pytest.mark.parametrize(
    ("prices", "steps"),
    [
        ([100, 4_200, 9_900], [100]),
        ([10, 4_200, 9_990], [10, 100, 10]),
        ([10, 4_210], [10]),
        ([4_211], [10]),  # finer grids must be declared; the door then refuses the price
        ([], [100]),
    ],
)
def test_the_coarsest_grid_that_holds_all_prices_is_inferred(prices: list[int], steps: list[int]) -> None:
    assert [band.step_e4 for band in coarsest_grid(np.array(prices, np.int64))] == steps


@given(
    rows=st.lists(
        st.tuples(
            st.integers(0, 7), st.sampled_from([YES, NO, NO_SIDE]),
            st.sampled_from([-2, -1, 0, 4_200, 4_250, 10_001]),
            st.sampled_from([-7, -1, 0, 1, 9, MAX_QTY_E2 + 1]), st.sampled_from([0, FLAG_LAST, 1]),
        ), min_size=1, max_size=12,
    )
)  # fmt: skip
def test_values_are_judged_alike_compiled_and_in_plain_python(rows: list[tuple[int, ...]]) -> None:
    dtypes = ("u1", "u1", "i4", "i8", "u1")
    columns = [np.array(column, dtype) for column, dtype in zip(zip(*rows, strict=True), dtypes, strict=True)]
    grid = grid_table(SPEC.price_ranges)
    assert find_fault(*columns, grid) == find_fault.py_func(*columns, grid)


def test_the_first_rule_that_is_broken_is_told_with_how_many_break_it() -> None:
    market = Market().add(TRADE, YES, 4_250, 0).add(TRADE, YES, 4_200, 0).add(TRADE, YES, 4_350, 5)
    with pytest.raises(DataError, match=r"line 101.*grid .*: 4250 \(1 more like it\)"):
        market.check()
