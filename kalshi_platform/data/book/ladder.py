"""Level-2 book of one market as kernels on dense ladders.

Owns       depth[side, price_e4 // tick_e4]: int64, 1e-2 contract; side 0 = YES bids, 1 = NO bids (the
           exchange sends bids only; a NO bid at q is a YES ask at 1 - q). Whole cents: 101 price levels a
           side.
Invariant  after every row applied with OK: depth >= 0; TOTAL + side = sum of depth[side]; BEST + side = the
           highest level holding something, EMPTY if none.
Knowledge  MODE says how much the rows so far have shown of the book:
           NOTHING   no row said anything: the book is invalid
           LEVELS    snapshot + deltas: prices and sizes of every level
           TOP       quotes: the best price a side; valid once both sides were quoted
           IMPLIED   prints of a market without book rows: a taker-yes print at p was the YES ask, a taker-no
                     print at p the YES bid; sizes are unknown, never invented
A snapshot or a quote ends IMPLIED for good. A print from another file than the book (FLAG_JOINED) implies
nothing. A GAP empties the book and makes it invalid until the next snapshot (LEVELS), both quotes (TOP) or
the next print (IMPLIED). The kernel ignores deltas that come before that.
Not here   matching, queue position and fills (simulation/), features (data/features/).
"""

from typing import Final, NamedTuple

import numpy as np

from kalshi_platform.data.market_data.price_levels import best_after, new_levels, size_after
from kalshi_platform.data.market_data.schema import (
    DELTA,
    FACTS,
    FLAG_BLOCK,
    FLAG_JOINED,
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
from kalshi_platform.domain.compiled import kernel
from kalshi_platform.domain.units import DOLLAR_E4, NO_PRICE, UNKNOWN_QTY

#: Status codes of the kernels.
OK, NEGATIVE_LEVEL, OFF_LADDER, UNKNOWN_KIND = range(4)
#: ``BEST`` of a side without levels.
EMPTY: Final = -1
#: Modes: how much of the book is known.
NOTHING, LEVELS_KNOWN, TOP, IMPLIED = range(4)
#: Places in ``marks``; the first four hold one value a side, at place + side.
BEST, TOTAL, TOP_PX, TOP_QTY = 0, 2, 4, 6
MODE, VALID, TRADING_STATUS, TICK_E4, QUOTED_SIDES = 8, 9, 10, 11, 12
N_MARKS: Final = 13
_BOTH_SIDES: Final = 3


class BookState(NamedTuple):
    """One market's book; both arrays are changed in place by the kernels.

    ``marks``: BEST highest non-empty level, TOTAL displayed size, TOP_PX own-side best bid and TOP_QTY its
    size in modes TOP and IMPLIED (one a side each), then MODE, VALID, TRADING_STATUS, TICK_E4, QUOTED_SIDES.
    """

    depth: np.ndarray  # (2, levels) i8, 1e-2 contract, by own-side bid price // tick
    marks: np.ndarray  # (N_MARKS,) i8


def new_book(tick_e4: int) -> BookState:
    """Empty, invalid book on a ladder of ``tick_e4`` (divides 10_000); trading is assumed active."""
    marks = np.zeros(N_MARKS, np.int64)
    marks[BEST : BEST + 2] = EMPTY
    marks[TOP_PX : TOP_PX + 2] = NO_PRICE
    marks[TRADING_STATUS] = STATUS_ACTIVE
    marks[TICK_E4] = tick_e4
    return BookState(new_levels(tick_e4), marks)


@kernel
def clear(depth: np.ndarray, marks: np.ndarray) -> None:
    """Empty both sides of the book; mode, validity and trading status stay as they are."""
    depth[:] = 0
    for side in range(2):
        marks[BEST + side] = EMPTY
        marks[TOTAL + side] = 0
        marks[TOP_PX + side] = NO_PRICE
        marks[TOP_QTY + side] = 0
    marks[QUOTED_SIDES] = 0


@kernel
def set_level(depth: np.ndarray, marks: np.ndarray, side: int, level: int, qty_e2: int) -> None:
    """Set ``depth[side, level]`` to ``qty_e2`` >= 0.

    The kernel scans for a new best only if the best level empties.
    """
    marks[TOTAL + side] += qty_e2 - depth[side, level]
    depth[side, level] = qty_e2
    marks[BEST + side] = best_after(depth, side, level, marks[BEST + side])


@kernel
def _apply_level(
    depth: np.ndarray, marks: np.ndarray, kind: int, side: int, price_e4: int, qty_e2: int
) -> int:
    tick = marks[TICK_E4]
    level = price_e4 // tick
    if side > NO or price_e4 < 0 or price_e4 > DOLLAR_E4 or level * tick != price_e4:
        return OFF_LADDER
    if marks[MODE] != LEVELS_KNOWN or marks[VALID] == 0:
        return OK  # nothing to change: the book waits for a snapshot
    size = size_after(depth, kind, side, level, qty_e2)
    if size < 0:
        return NEGATIVE_LEVEL
    set_level(depth, marks, side, level, size)
    return OK


@kernel
def _apply_quote(depth: np.ndarray, marks: np.ndarray, side: int, price_e4: int, qty_e2: int) -> int:
    if side > NO or price_e4 < NO_PRICE or price_e4 > DOLLAR_E4:
        return OFF_LADDER
    if marks[MODE] != TOP:
        clear(depth, marks)
        marks[MODE] = TOP
        marks[VALID] = 0
    marks[TOP_PX + side] = price_e4
    marks[TOP_QTY + side] = 0 if price_e4 == NO_PRICE else qty_e2
    marks[QUOTED_SIDES] |= 1 << side
    if marks[QUOTED_SIDES] == _BOTH_SIDES:
        marks[VALID] = 1
    return OK


@kernel
def _apply_print(marks: np.ndarray, side: int, price_e4: int) -> int:
    if side > NO or price_e4 < 0 or price_e4 > DOLLAR_E4:
        return OFF_LADDER
    if marks[MODE] == NOTHING:
        marks[MODE] = IMPLIED
    if marks[MODE] != IMPLIED:
        return OK
    marks[VALID] = 1
    rester = 1 - side  # a taker of YES met a resting NO bid
    own_px_e4 = DOLLAR_E4 - price_e4 if rester == NO else price_e4
    marks[TOP_PX + rester] = own_px_e4
    marks[TOP_QTY + rester] = UNKNOWN_QTY
    other_px_e4 = marks[TOP_PX + side]
    if other_px_e4 != NO_PRICE and other_px_e4 + own_px_e4 >= DOLLAR_E4:
        # Locked or crossed: the market moved, the other side's old print no longer tells anything.
        marks[TOP_PX + side] = NO_PRICE
        marks[TOP_QTY + side] = 0
    return OK


@kernel
def apply_row(
    depth: np.ndarray, marks: np.ndarray, kind: int, side: int, price_e4: int, qty_e2: int, flags: int
) -> int:
    """Apply one row in place.

    Returns OK, or the reason why the row cannot be applied and the book is unchanged.
    """
    if kind == DELTA or (kind == SNAPSHOT and flags & FLAG_START == 0):
        return _apply_level(depth, marks, kind, side, price_e4, qty_e2)
    if kind == TRADE:
        return OK if flags & (FLAG_BLOCK | FLAG_JOINED) else _apply_print(marks, side, price_e4)
    if kind == QUOTE:
        return _apply_quote(depth, marks, side, price_e4, qty_e2)
    if kind == SNAPSHOT:
        clear(depth, marks)
        marks[MODE] = LEVELS_KNOWN
        marks[VALID] = 1
    elif kind == GAP:
        clear(depth, marks)
        marks[VALID] = 0
    elif kind == STATUS:
        marks[TRADING_STATUS] = qty_e2
    elif kind == FACTS:
        return OK  # facts change no book
    else:
        return UNKNOWN_KIND
    return OK


@kernel
def apply_rows(
    depth: np.ndarray,
    marks: np.ndarray,
    kind: np.ndarray,
    side: np.ndarray,
    price_e4: np.ndarray,
    qty_e2: np.ndarray,
    flags: np.ndarray,
) -> tuple[int, int]:
    """Apply row columns (n,) in order; returns (rows applied, OK or the status of the first row refused)."""
    for i in range(kind.size):
        status = apply_row(depth, marks, kind[i], side[i], price_e4[i], qty_e2[i], flags[i])
        if status != OK:
            return i, status
    return kind.size, OK


@kernel
def is_tradable(marks: np.ndarray) -> bool:
    """True where the book is valid and the market is trading."""
    return marks[VALID] == 1 and marks[TRADING_STATUS] == STATUS_ACTIVE


@kernel
def best_price_e4(marks: np.ndarray, side: int) -> int:
    """Best bid of ``side`` on its own scale, 1e-4 dollar; NO_PRICE where empty or unknown."""
    if marks[MODE] == LEVELS_KNOWN:
        best = marks[BEST + side]
        return best * marks[TICK_E4] if best >= 0 else NO_PRICE
    return marks[TOP_PX + side]


@kernel
def best_levels(
    depth: np.ndarray, marks: np.ndarray, side: int, px_e4: np.ndarray, qty_e2: np.ndarray, row: int
) -> int:
    """Write the k best price levels of ``side``, best first, and return their total size in 1e-2 contract.

    They go to px_e4[row] and qty_e2[row], both arrays (rows, k), as bids for ``side``. Absent ones are
    NO_PRICE with size 0. The total is UNKNOWN_QTY where a size is not known.
    """
    k = px_e4.shape[1]
    n = 0
    size = 0
    if marks[MODE] == LEVELS_KNOWN:
        tick = marks[TICK_E4]
        level = marks[BEST + side]
        while n < k and level >= 0:
            # Written whether or not the level holds something: no branch to mispredict.
            qty = depth[side, level]
            px_e4[row, n] = level * tick
            qty_e2[row, n] = qty
            size += qty
            n += 1 if qty > 0 else 0
            level -= 1
    elif k > 0 and marks[TOP_PX + side] != NO_PRICE:
        px_e4[row, 0] = marks[TOP_PX + side]
        size = marks[TOP_QTY + side]
        qty_e2[row, 0] = size
        n = 1
    for i in range(n, k):
        px_e4[row, i] = NO_PRICE
        qty_e2[row, i] = 0
    return size


@kernel
def size_of_best(depth: np.ndarray, marks: np.ndarray, side: int, n_levels: int) -> int:
    """Total size of the best ``n_levels`` of ``side``, 1e-2 contract; UNKNOWN_QTY where not known."""
    if marks[MODE] != LEVELS_KNOWN:
        return marks[TOP_QTY + side] if n_levels > 0 else 0
    level = marks[BEST + side]
    n = 0
    size = 0
    while n < n_levels and level >= 0:
        if depth[side, level] > 0:
            size += depth[side, level]
            n += 1
        level -= 1
    return size


def warm() -> None:
    """Compile every kernel (or load it from the cache) before the first event matters."""
    book = new_book(100)
    columns = [np.zeros(1, dtype) for dtype in ("u1", "u1", "i4", "i8", "u1")]
    columns[0][0] = SNAPSHOT
    columns[4][0] = FLAG_START
    apply_rows(*book, *columns)
    is_tradable(book.marks)
    best_price_e4(book.marks, YES)
    best_levels(*book, YES, np.zeros((1, 1), np.int64), np.zeros((1, 1), np.int64), 0)
    size_of_best(*book, YES, 1)
