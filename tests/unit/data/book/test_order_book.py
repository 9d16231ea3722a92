"""A book from Python: both sides on the YES scale, best levels first, refusals with row and value."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made.books import SPEC, START, TENTHS, book_after, rows_of, slow_depth
from made.strategies import row_streams

from kalshi_platform.data.book.order_book import OrderBook
from kalshi_platform.data.market_data.schema import (
    DELTA,
    NO,
    QUOTE,
    SNAPSHOT,
    TRADE,
    YES,
    MarketRows,
)
from kalshi_platform.domain.errors import ContractError, DataError


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


def test_prices_zero_and_one_dollar_are_levels() -> None:
    book = book_after(START, (SNAPSHOT, YES, 0, 3), (SNAPSHOT, YES, 10_000, 2))
    assert book.levels(YES, 5) == [(10_000, 2), (0, 3)]


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
    with pytest.raises(DataError, match=r"kind 9.*kinds are 0\.\.7"):
        book_after((9, YES, 4_000, 100))


def test_a_ladder_cannot_become_coarser() -> None:
    with pytest.raises(ContractError, match="tick_e4 100 does not divide"):
        OrderBook(TENTHS).regrid(100)


def test_after_a_regrid_finer_prices_are_levels() -> None:
    book = book_after(START, (SNAPSHOT, YES, 4_200, 100))
    book.regrid(10)
    book.apply(rows_of((DELTA, YES, 4_210, 50)))
    assert book.levels(YES, 5) == [(4_210, 50), (4_200, 100)]
