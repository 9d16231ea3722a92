"""The ladder's kernel: depth against the slow obvious way, validity, quotes and prints."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from made.books import START, book_after, rows_of, slow_depth
from made.strategies import made_rows, row_streams

from kalshi_platform.data.book import ladder
from kalshi_platform.data.market_data.schema import (
    DELTA,
    FLAG_BLOCK,
    FLAG_JOINED,
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
from kalshi_platform.domain.units import NO_PRICE, UNKNOWN_QTY

KERNELS = pytest.mark.parametrize("python", [False, True], ids=["numba", "python"])


def columns(rows: MarketRows) -> tuple[Any, ...]:
    return rows.kind, rows.side, rows.price_e4, rows.qty_e2, rows.flags


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


def test_best_falls_to_the_next_level_that_holds_something() -> None:
    book = book_after(START, (SNAPSHOT, YES, 1_000, 5), (SNAPSHOT, YES, 4_000, 7), (DELTA, YES, 4_000, -7))
    assert book.best_bid() == 1_000
    book.apply(rows_of((DELTA, YES, 1_000, -5)))
    assert book.best_bid() == NO_PRICE


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


def test_block_trades_and_prints_of_another_file_imply_nothing() -> None:
    assert not book_after((TRADE, YES, 6_000, 100, FLAG_BLOCK)).valid
    assert not book_after((TRADE, YES, 6_000, 100, FLAG_JOINED)).valid


def test_prints_do_not_touch_a_book_with_levels_or_quotes() -> None:
    levels = book_after(START, (SNAPSHOT, YES, 4_000, 500), (TRADE, YES, 6_000, 100))
    assert (levels.best_bid(), levels.best_ask()) == (4_000, NO_PRICE)
    quotes = book_after((QUOTE, YES, 4_000, 1), (QUOTE, NO, 5_000, 1), (TRADE, YES, 4_500, 100))
    assert (quotes.best_bid(), quotes.best_ask()) == (4_000, 5_000)


def test_a_snapshot_ends_what_prints_implied() -> None:
    book = book_after((TRADE, YES, 6_000, 100), START, (SNAPSHOT, YES, 4_000, 500))
    assert (book.best_bid(), book.best_ask()) == (4_000, NO_PRICE)


def test_random_streams_hold_what_they_promise() -> None:
    rows = made_rows([("snapshot", 0, YES, 40, 1_000, 3), ("gap", 0, 0, 0, 1, 0), ("delta", 5, NO, 3, 7, 0)])
    assert rows.kind.tolist() == [SNAPSHOT] * 4 + [GAP, DELTA]
    assert rows.seq.tolist() == [1, 1, 1, 1, 2, 3]
