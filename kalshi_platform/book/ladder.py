"""Level-2 book of one market as kernels on dense ladders.

Owns       depth[side, price_e4 // tick_e4]: int64, 1e-2 contract; side 0 = YES bids, 1 = NO bids (the exchange
           sends bids only; a NO bid at q is a YES ask at 1 - q). A market in whole cents has 101 levels a side.
Invariant  after every row applied with OK: depth >= 0; total[side] = sum of depth[side]; best[side] = highest
           level holding something, EMPTY if none.
Knowledge  MODE says what the rows so far allow to know:
           NOTHING   no row told anything: invalid
           LEVELS    snapshot + deltas: prices and sizes of every level
           TOP       quotes: the best price a side; valid once both sides were quoted
           IMPLIED   prints of a market without book rows: a taker-yes print at p was the YES ask, a taker-no
                     print at p the YES bid; sizes unknown, never invented
           A snapshot or a quote ends IMPLIED for good. A GAP empties the book and makes it invalid until the
           next snapshot (LEVELS), both quotes (TOP) or the next print (IMPLIED); deltas before that are ignored.
Not here   matching, queue position and fills (replay), features (features/).
"""

from typing import Final, NamedTuple

import numpy as np
from numba import njit

from kalshi_platform.domain.units import DOLLAR_E4, NO_PRICE, UNKNOWN_QTY
from kalshi_platform.events.schema import (
    DELTA,
    FLAG_BLOCK,
    FLAG_START,
    GAP,
    NO,
    QUOTE,
    SNAPSHOT,
    STATUS,
    STATUS_ACTIVE,
    TRADE,
    YES,
)

#: Status codes of the kernels.
OK, NEGATIVE_LEVEL, OFF_LADDER, UNKNOWN_KIND = range(4)
#: ``best`` of a side without levels.
EMPTY: Final = -1
#: What is known of the book.
NOTHING, LEVELS_KNOWN, TOP, IMPLIED = range(4)
#: Places in ``BookState.meta``.
MODE, VALID, TRADING_STATUS, TICK_E4, QUOTED_SIDES = range(5)
_BOTH_SIDES: Final = 3


class BookState(NamedTuple):
    """One market's book; every array is changed in place by the kernels."""

    depth: np.ndarray  # (2, levels) i8, 1e-2 contract, by own-side bid price // tick
    best: np.ndarray  # (2,) i8, highest non-empty level; EMPTY
    total: np.ndarray  # (2,) i8, displayed size of the side
    top_px_e4: np.ndarray  # (2,) i8, own-side best bid in modes TOP and IMPLIED; NO_PRICE
    top_qty_e2: np.ndarray  # (2,) i8, its size; UNKNOWN_QTY
    meta: np.ndarray  # (5,) i8: MODE, VALID, TRADING_STATUS, TICK_E4, QUOTED_SIDES


def new_book(tick_e4: int) -> BookState:
    """Empty, invalid book on a ladder of ``tick_e4`` (1e-4 dollar, divides 10_000); trading is assumed active."""
    return BookState(
        depth=np.zeros((2, DOLLAR_E4 // tick_e4 + 1), np.int64),
        best=np.full(2, EMPTY, np.int64),
        total=np.zeros(2, np.int64),
        top_px_e4=np.full(2, NO_PRICE, np.int64),
        top_qty_e2=np.zeros(2, np.int64),
        meta=np.array([NOTHING, 0, STATUS_ACTIVE, tick_e4, 0], np.int64),
    )


@njit(cache=True)
def clear(book: BookState) -> None:
    """Empty both sides; knowledge, validity and trading status stay."""
    book.depth[:] = 0
    book.best[:] = EMPTY
    book.total[:] = 0
    book.top_px_e4[:] = NO_PRICE
    book.top_qty_e2[:] = 0
    book.meta[QUOTED_SIDES] = 0


@njit(cache=True)
def set_level(book: BookState, side: int, level: int, qty_e2: int) -> None:
    """Make ``depth[side, level]`` equal ``qty_e2`` >= 0; the ladder is scanned only where the best level empties."""
    book.total[side] += qty_e2 - book.depth[side, level]
    book.depth[side, level] = qty_e2
    best = book.best[side]
    if qty_e2 > 0:
        if level > best:
            book.best[side] = level
    elif level == best:
        while best >= 0 and book.depth[side, best] == 0:
            best -= 1
        book.best[side] = best


@njit(cache=True)
def _apply_level(book: BookState, kind: int, side: int, price_e4: int, qty_e2: int) -> int:
    tick = book.meta[TICK_E4]
    level = price_e4 // tick
    if side > NO or price_e4 < 0 or price_e4 > DOLLAR_E4 or level * tick != price_e4:
        return OFF_LADDER
    if book.meta[MODE] != LEVELS_KNOWN or book.meta[VALID] == 0:
        return OK  # nothing to change: the book waits for a snapshot
    size = qty_e2 if kind == SNAPSHOT else book.depth[side, level] + qty_e2
    if size < 0:
        return NEGATIVE_LEVEL
    set_level(book, side, level, size)
    return OK


@njit(cache=True)
def _apply_quote(book: BookState, side: int, price_e4: int, qty_e2: int) -> int:
    if side > NO or price_e4 < NO_PRICE or price_e4 > DOLLAR_E4:
        return OFF_LADDER
    if book.meta[MODE] != TOP:
        clear(book)
        book.meta[MODE] = TOP
        book.meta[VALID] = 0
    book.top_px_e4[side] = price_e4
    book.top_qty_e2[side] = 0 if price_e4 == NO_PRICE else qty_e2
    book.meta[QUOTED_SIDES] |= 1 << side
    if book.meta[QUOTED_SIDES] == _BOTH_SIDES:
        book.meta[VALID] = 1
    return OK


@njit(cache=True)
def _apply_print(book: BookState, side: int, price_e4: int) -> int:
    if side > NO or price_e4 < 0 or price_e4 > DOLLAR_E4:
        return OFF_LADDER
    if book.meta[MODE] == NOTHING:
        book.meta[MODE] = IMPLIED
    if book.meta[MODE] != IMPLIED:
        return OK
    book.meta[VALID] = 1
    rester = NO if side == YES else YES  # a taker of YES met a resting NO bid
    own_px_e4 = DOLLAR_E4 - price_e4 if rester == NO else price_e4
    book.top_px_e4[rester] = own_px_e4
    book.top_qty_e2[rester] = UNKNOWN_QTY
    other_px_e4 = book.top_px_e4[side]
    if other_px_e4 != NO_PRICE and other_px_e4 + own_px_e4 >= DOLLAR_E4:
        # Locked or crossed: the market moved, the other side's old print no longer tells anything.
        book.top_px_e4[side] = NO_PRICE
        book.top_qty_e2[side] = 0
    return OK


@njit(cache=True)
def apply_row(book: BookState, kind: int, side: int, price_e4: int, qty_e2: int, flags: int) -> int:
    """Apply one event row in place; returns OK or why the row cannot be, the book then unchanged."""
    if kind == DELTA:
        return _apply_level(book, kind, side, price_e4, qty_e2)
    if kind == TRADE:
        return OK if flags & FLAG_BLOCK else _apply_print(book, side, price_e4)
    if kind == QUOTE:
        return _apply_quote(book, side, price_e4, qty_e2)
    if kind == SNAPSHOT:
        if not flags & FLAG_START:
            return _apply_level(book, kind, side, price_e4, qty_e2)
        clear(book)
        book.meta[MODE] = LEVELS_KNOWN
        book.meta[VALID] = 1
    elif kind == GAP:
        clear(book)
        book.meta[VALID] = 0
    elif kind == STATUS:
        book.meta[TRADING_STATUS] = qty_e2
    else:
        return UNKNOWN_KIND
    return OK


@njit(cache=True)
def apply_rows(
    book: BookState,
    kind: np.ndarray,
    side: np.ndarray,
    price_e4: np.ndarray,
    qty_e2: np.ndarray,
    flags: np.ndarray,
) -> tuple[int, int]:
    """Apply event columns (n,) in order; returns (rows applied, OK or the status of the first refused row)."""
    for i in range(kind.size):
        status = apply_row(book, kind[i], side[i], price_e4[i], qty_e2[i], flags[i])
        if status != OK:
            return i, status
    return kind.size, OK


@njit(cache=True)
def is_tradable(book: BookState) -> bool:
    """The book is valid and the market is trading."""
    return book.meta[VALID] == 1 and book.meta[TRADING_STATUS] == STATUS_ACTIVE


@njit(cache=True)
def best_price_e4(book: BookState, side: int) -> int:
    """Best bid of ``side`` on its own scale, 1e-4 dollar; NO_PRICE where empty or unknown."""
    if book.meta[MODE] == LEVELS_KNOWN:
        best = book.best[side]
        return best * book.meta[TICK_E4] if best >= 0 else NO_PRICE
    return book.top_px_e4[side]


@njit(cache=True)
def best_levels(book: BookState, side: int, px_e4: np.ndarray, qty_e2: np.ndarray) -> int:
    """Write the best levels of ``side`` (own-side bid prices, best first) into px (k,) and qty (k,).

    Absent levels are NO_PRICE with size 0. Returns the size of the levels written, 1e-2 contract;
    UNKNOWN_QTY where a size is not known.
    """
    k = px_e4.size
    n = 0
    size = 0
    if book.meta[MODE] == LEVELS_KNOWN:
        tick = book.meta[TICK_E4]
        level = book.best[side]
        while n < k and level >= 0:
            qty = book.depth[side, level]
            if qty > 0:
                px_e4[n] = level * tick
                qty_e2[n] = qty
                size += qty
                n += 1
            level -= 1
    elif k > 0 and book.top_px_e4[side] != NO_PRICE:
        px_e4[0] = book.top_px_e4[side]
        qty_e2[0] = size = book.top_qty_e2[side]
        n = 1
    for i in range(n, k):
        px_e4[i] = NO_PRICE
        qty_e2[i] = 0
    return size


@njit(cache=True)
def size_of_best(book: BookState, side: int, n_levels: int) -> int:
    """Total size of the best ``n_levels`` of ``side``, 1e-2 contract; UNKNOWN_QTY where not known."""
    if book.meta[MODE] != LEVELS_KNOWN:
        return book.top_qty_e2[side] if n_levels > 0 else 0
    level = book.best[side]
    n = 0
    size = 0
    while n < n_levels and level >= 0:
        if book.depth[side, level] > 0:
            size += book.depth[side, level]
            n += 1
        level -= 1
    return size


def warm() -> None:
    """Compile every kernel (or load it from the cache) before the first event matters."""
    book = new_book(100)
    columns = [np.zeros(1, dtype) for dtype in ("u1", "u1", "i4", "i8", "u1")]
    columns[0][0] = SNAPSHOT
    columns[4][0] = FLAG_START
    apply_rows(book, *columns)
    is_tradable(book)
    best_price_e4(book, YES)
    best_levels(book, YES, np.zeros(1, np.int64), np.zeros(1, np.int64))
    size_of_best(book, YES, 1)
