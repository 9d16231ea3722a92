"""The order book: ladders against the slow obvious way, validity, quotes, prints, refusals."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made.strategies import made_rows, row_streams

from kalshi_platform.data.book import ladder
from kalshi_platform.data.book.order_book import OrderBook
from kalshi_platform.data.market_data import schema
from kalshi_platform.data.market_data.schema import (
    DELTA,
    FLAG_BLOCK,
    FLAG_LAST,
    FLAG_START,
    GAP,
    NO,
    NO_SIDE,
    QUOTE,
    SNAPSHOT,
    STATUS,
    STATUS_ACTIVE,
    STATUS_PAUSED,
    TRADE,
    YES,
    MarketRows,
)
from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.domain.market import MarketSpec, PriceBand
from kalshi_platform.domain.units import NO_PRICE, UNKNOWN_QTY

SPEC = MarketSpec(ticker="KX-T", event="KX")
TENTHS = MarketSpec(
    ticker="KX-F", event="KX", price_ranges=(PriceBand(start_e4=0, end_e4=10_000, step_e4=10),)
)
START = (SNAPSHOT, NO_SIDE, NO_PRICE, 0, FLAG_START)
KERNELS = pytest.mark.parametrize("python", [False, True], ids=["numba", "python"])


def rows_of(*rows: tuple[int, ...]) -> MarketRows:
    """Rows (kind, side, price_e4, qty_e2[, flags]), each a message of its own."""
    out = schema.empty(len(rows))
    for i, (kind, side, price_e4, qty_e2, *flags) in enumerate(rows):
        out.kind[i], out.side[i], out.price_e4[i], out.qty_e2[i] = kind, side, price_e4, qty_e2
        out.flags[i] = (flags[0] if flags else 0) | FLAG_LAST
    return out


def columns(rows: MarketRows) -> tuple[Any, ...]:
    return rows.kind, rows.side, rows.price_e4, rows.qty_e2, rows.flags


def book_after(*rows: tuple[int, ...], spec: MarketSpec = SPEC) -> OrderBook:
    book = OrderBook(spec)
    book.apply(rows_of(*rows))
    return book


def slow_depth(rows: MarketRows) -> np.ndarray:
    """Sum of the changes of each whole-cent level since the last snapshot; empty after a gap."""
    depth = np.zeros((2, 101), np.int64)
    breaks = np.flatnonzero((rows.kind == GAP) | (rows.flags & FLAG_START != 0))
    if breaks.size == 0 or rows.kind[breaks[-1]] == GAP:
        return depth
    since = schema.take(rows, slice(int(breaks[-1]) + 1, None))
    level = schema.take(since, np.isin(since.kind, (SNAPSHOT, DELTA)))
    np.add.at(depth, (level.side.astype(int), level.price_e4 // 100), level.qty_e2)
    return depth


@KERNELS
@given(rows=row_streams("levels"))
def test_depth_is_the_sum_of_changes_of_each_level(rows: MarketRows, python: bool) -> None:
    book = ladder.new_book(100)
    apply = ladder.apply_rows.py_func if python else ladder.apply_rows
    assert apply(*book, *columns(rows)) == (rows.kind.size, ladder.OK)
    expected = slow_depth(rows)
    np.testing.assert_array_equal(book.depth, expected)
    for side in (YES, NO):
        held = np.flatnonzero(expected[side])
        assert book.marks[ladder.BEST + side] == (held[-1] if held.size else ladder.EMPTY)
        assert book.marks[ladder.TOTAL + side] == expected[side].sum()


@given(rows=row_streams("levels", starts_synced=True), k=st.integers(1, 8))
def test_levels_are_the_highest_non_empty_ones_best_first(rows: MarketRows, k: int) -> None:
    book = OrderBook(SPEC)
    book.apply(rows)
    for side in (YES, NO):
        depth = slow_depth(rows)[side]
        held = np.flatnonzero(depth)[::-1][:k]
        assert book.levels(side, k) == [(int(i) * 100, int(depth[i])) for i in held]
        assert book.size_of_best(side, k) == depth[held].sum()


@given(rows=row_streams("levels"))
def test_the_ladder_s_tick_does_not_change_the_book(rows: MarketRows) -> None:
    cents, tenths = OrderBook(SPEC), OrderBook(TENTHS)
    cents.apply(rows)
    tenths.apply(rows)
    cents.regrid(10)
    np.testing.assert_array_equal(cents.state.depth, tenths.state.depth)
    np.testing.assert_array_equal(cents.state.marks, tenths.state.marks)


def test_a_no_bid_is_a_yes_ask_at_one_minus_its_price() -> None:
    book = book_after(START, (SNAPSHOT, YES, 4_000, 500), (SNAPSHOT, NO, 5_700, 300))
    assert (book.best_bid(), book.best_ask()) == (4_000, 4_300)


def test_best_falls_to_the_next_level_that_holds_something() -> None:
    book = book_after(START, (SNAPSHOT, YES, 1_000, 5), (SNAPSHOT, YES, 4_000, 7), (DELTA, YES, 4_000, -7))
    assert book.best_bid() == 1_000
    book.apply(rows_of((DELTA, YES, 1_000, -5)))
    assert book.best_bid() == NO_PRICE


def test_prices_zero_and_one_dollar_are_levels() -> None:
    book = book_after(START, (SNAPSHOT, YES, 0, 3), (SNAPSHOT, YES, 10_000, 2))
    assert book.levels(YES, 5) == [(10_000, 2), (0, 3)]


def test_a_book_is_invalid_until_its_first_snapshot() -> None:
    book = book_after((DELTA, YES, 4_000, 100))
    assert not book.valid
    assert book.levels(YES, 1) == []


def test_after_a_gap_deltas_are_ignored_until_the_next_snapshot() -> None:
    book = book_after(START, (SNAPSHOT, YES, 4_000, 500), (GAP, NO_SIDE, NO_PRICE, UNKNOWN_QTY))
    assert not book.valid
    book.apply(rows_of((DELTA, YES, 4_000, -900), (DELTA, YES, 5_000, 100)))
    assert not book.valid
    assert book.best_bid() == NO_PRICE
    book.apply(rows_of(START, (SNAPSHOT, YES, 3_000, 100)))
    assert book.valid
    assert book.levels(YES, 5) == [(3_000, 100)]


def test_a_paused_market_keeps_its_book_but_is_not_tradable() -> None:
    book = book_after(START, (SNAPSHOT, YES, 4_000, 500), (STATUS, NO_SIDE, NO_PRICE, STATUS_PAUSED))
    assert (book.valid, book.tradable) == (True, False)
    book.apply(rows_of((STATUS, NO_SIDE, NO_PRICE, STATUS_ACTIVE)))
    assert book.tradable
    assert book.best_bid() == 4_000


def test_quotes_give_the_top_only_and_are_valid_once_both_sides_are_known() -> None:
    book = book_after((QUOTE, YES, 4_000, UNKNOWN_QTY))
    assert not book.valid
    book.apply(rows_of((QUOTE, NO, 5_500, 200)))
    assert book.valid
    assert (book.best_bid(), book.best_ask()) == (4_000, 4_500)
    assert book.levels(YES, 5) == [(4_000, UNKNOWN_QTY)]
    assert book.levels(NO, 5) == [(5_500, 200)]
    book.apply(rows_of((QUOTE, NO, NO_PRICE, UNKNOWN_QTY)))
    assert book.valid
    assert book.best_ask() == NO_PRICE
    assert book.size_of_best(NO, 5) == 0


def test_prints_imply_the_side_that_the_taker_met() -> None:
    book = book_after((TRADE, YES, 6_000, 100))
    assert book.valid
    assert (book.best_bid(), book.best_ask()) == (NO_PRICE, 6_000)
    book.apply(rows_of((TRADE, NO, 5_500, 100)))
    assert (book.best_bid(), book.best_ask()) == (5_500, 6_000)
    assert book.levels(YES, 5) == [(5_500, UNKNOWN_QTY)]


@pytest.mark.parametrize("ask_e4", [5_500, 5_400], ids=["locked", "crossed"])
def test_a_print_that_locks_or_crosses_the_other_implied_side_empties_it(ask_e4: int) -> None:
    book = book_after((TRADE, NO, 5_500, 100), (TRADE, YES, ask_e4, 100))
    assert (book.best_bid(), book.best_ask()) == (NO_PRICE, ask_e4)


def test_block_trades_imply_nothing() -> None:
    assert not book_after((TRADE, YES, 6_000, 100, FLAG_BLOCK)).valid


def test_prints_do_not_touch_a_book_with_levels_or_quotes() -> None:
    levels = book_after(START, (SNAPSHOT, YES, 4_000, 500), (TRADE, YES, 6_000, 100))
    assert (levels.best_bid(), levels.best_ask()) == (4_000, NO_PRICE)
    quotes = book_after((QUOTE, YES, 4_000, 1), (QUOTE, NO, 5_000, 1), (TRADE, YES, 4_500, 100))
    assert (quotes.best_bid(), quotes.best_ask()) == (4_000, 5_000)


def test_a_snapshot_ends_what_prints_implied() -> None:
    book = book_after((TRADE, YES, 6_000, 100), START, (SNAPSHOT, YES, 4_000, 500))
    assert (book.best_bid(), book.best_ask()) == (4_000, NO_PRICE)


def test_taking_more_than_a_level_holds_is_refused_with_the_numbers() -> None:
    book = book_after(START, (SNAPSHOT, YES, 4_200, 100))
    with pytest.raises(DataError, match=r"KX-T: row 1 .*holding 100 by -250 .*price_e4 4200.*snapshot"):
        book.apply(rows_of((DELTA, YES, 4_200, 0), (DELTA, YES, 4_200, -250)))
    assert book.levels(YES, 5) == [(4_200, 100)]


@pytest.mark.parametrize("price_e4", [-100, 10_100, 4_250])
@pytest.mark.parametrize("kind", [SNAPSHOT, DELTA])
def test_a_price_off_the_ladder_is_refused_and_lands_nowhere(kind: int, price_e4: int) -> None:
    book = book_after(START)
    with pytest.raises(DataError, match=rf"price_e4 {price_e4}: .*steps of 100; .*regrid"):
        book.apply(rows_of((kind, YES, price_e4, 100)))
    assert not book.state.depth.any()


@pytest.mark.parametrize("kind", [DELTA, QUOTE, TRADE])
def test_an_unknown_side_is_refused(kind: int) -> None:
    with pytest.raises(DataError, match="side 7"):
        book_after(START, (kind, 7, 4_000, 100))


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(DataError, match=r"kind 9.*kinds are 0\.\.5"):
        book_after((9, YES, 4_000, 100))


def test_a_ladder_cannot_become_coarser() -> None:
    with pytest.raises(ContractError, match="tick_e4 100 does not divide"):
        OrderBook(TENTHS).regrid(100)


def test_after_a_regrid_finer_prices_are_levels() -> None:
    book = book_after(START, (SNAPSHOT, YES, 4_200, 100))
    book.regrid(10)
    book.apply(rows_of((DELTA, YES, 4_210, 50)))
    assert book.levels(YES, 5) == [(4_210, 50), (4_200, 100)]


def test_random_streams_hold_what_they_promise() -> None:
    rows = made_rows([("snapshot", 0, YES, 40, 1_000, 3), ("gap", 0, 0, 0, 1, 0), ("delta", 5, NO, 3, 7, 0)])
    assert rows.kind.tolist() == [SNAPSHOT] * 4 + [GAP, DELTA]
    assert rows.seq.tolist() == [1, 1, 1, 1, 2, 3]
