"""Checks of one market's book as it stands: can the exchange show this, or did a message get lost unseen?

Owns       the marks of a door: which book it has, the best prices, and three clocks that run while the book
           contradicts itself, the prints or the tickers. One clock a contradiction, in ``recv_ns``.
Crossed    best YES bid + best NO bid reaches a dollar (locked counts): no such book can rest. A match shows
           it for a moment, between two of its messages. Longer than CROSSED_NS: the book is wrong.
Prints     a print strictly through the best price of the side it hit, while that price stays: resting orders
           at the best price are filled first. Another one more than STALE_NS after the first: the book is
           stale (prints of one moment are one witness). A print that is not through, or a best price that
           gives way to the print, ends the doubt.
Tickers    two in a row that differ from the same best price, more than STALE_NS apart. A ticker that agrees,
           or another best price, ends the doubt: tickers may trail a book that moves.
Causal     every check looks at what was received up to the message it stands before. Where it fails, the
           door puts a GAP before that message: the book is invalid until its next proof.
Which      crossing is checked in books of levels and of quotes; prints and tickers only in books of levels,
           which show every order. Books implied by prints have no marks here and are never checked.
"""

from typing import Final

import numpy as np

from kalshi_platform.data.market_data.price_levels import best_after
from kalshi_platform.data.market_data.schema import FLAG_BLOCK, NO, YES
from kalshi_platform.domain.compiled import inline_kernel
from kalshi_platform.domain.units import DOLLAR_E4, NO_PRICE, NS_PER_MS

#: Longest time that a crossed book passes for the middle of a match, and longest contradiction by prints or
#: tickers: what frame boundaries and channels of different speed explain.
CROSSED_NS: Final = 50 * NS_PER_MS
STALE_NS: Final = 2_000 * NS_PER_MS

#: Books of a door: none, one of price levels (snapshot and deltas), one of best prices (quotes).
NOTHING, LEVELS, TOP = range(3)
#: Contradictions that end a book's validity.
SOUND, CROSSED, PRINT_THROUGH, TICKER_DISAGREES = range(4)
#: Places in the marks: the book; 1 once there was a book; time of the last row; spacing of the ladder; sides
#: quoted since the last GAP (bits); when the book became crossed; 1 while a clock of prints or tickers runs.
BOOK, HAD_BOOK, LAST_NS, TICK_E4, QUOTED, CROSSED_SINCE, DOUBTS = range(7)
#: Places of one value a side, at place + side: best level (EMPTY: none), best quoted price; time of the first
#: print through and price of the latest; time of the first ticker that differed and the best price of then.
BEST, TOP_PX, PRINT_SINCE, PRINT_PX, TICKER_SINCE, TICKER_PX = range(7, 19, 2)
N_MARKS: Final = 19
EMPTY: Final = -1
BOTH: Final = 3
#: Time of a clock that does not run.
NEVER: Final = np.iinfo(np.int64).min


def new_marks(tick_e4: int) -> np.ndarray:
    """Marks, (N_MARKS,) i8, of a door that no row has passed."""
    marks = np.zeros(N_MARKS, np.int64)
    marks[LAST_NS] = NEVER
    marks[TICK_E4] = tick_e4
    lose_book(marks)
    return marks


@inline_kernel
def lose_book(marks: np.ndarray) -> None:
    """Have no book until the next proof; every clock stops."""
    marks[BOOK] = NOTHING
    marks[QUOTED] = 0
    marks[CROSSED_SINCE] = NEVER
    for side in range(2):
        marks[BEST + side] = EMPTY
        marks[TOP_PX + side] = NO_PRICE
    stop_doubts(marks)


@inline_kernel
def stop_doubts(marks: np.ndarray) -> None:
    """Stop the clocks of prints and tickers."""
    marks[DOUBTS] = 0
    for side in range(2):
        marks[PRINT_SINCE + side] = NEVER
        marks[TICKER_SINCE + side] = NEVER


@inline_kernel
def follow_best(depth: np.ndarray, marks: np.ndarray, side: int, level: int) -> None:
    """Keep the best level of ``side`` after ``depth[side, level]`` changed."""
    marks[BEST + side] = best_after(depth, side, level, marks[BEST + side])


@inline_kernel
def best_e4(marks: np.ndarray, side: int) -> int:
    """Best own-side bid of ``side``, 1e-4 dollar; NO_PRICE where there is none or no book."""
    if marks[BOOK] == LEVELS and marks[BEST + side] >= 0:
        return marks[BEST + side] * marks[TICK_E4]
    return marks[TOP_PX + side] if marks[BOOK] == TOP else NO_PRICE


@inline_kernel
def crosses(yes_e4: int, no_e4: int) -> bool:
    """True where both bids are there and together reach a dollar: crossed or locked."""
    return min(yes_e4, no_e4) != NO_PRICE and yes_e4 + no_e4 >= DOLLAR_E4


@inline_kernel
def hear_print(marks: np.ndarray, taker: int, price_e4: int, flags: int, now_ns: int) -> bool:
    """Hold a print against the best price of the side it hit; True where the book is stale.

    ``price_e4`` is on the YES scale.
    """
    stale = False
    if marks[BOOK] == LEVELS and flags & FLAG_BLOCK == 0:
        side = NO - taker
        own_e4 = DOLLAR_E4 - price_e4 if side == NO else price_e4
        since = marks[PRINT_SINCE + side]
        if own_e4 >= best_e4(marks, side):
            marks[PRINT_SINCE + side] = NEVER
        else:
            stale = since != NEVER and now_ns - since > STALE_NS
            marks[PRINT_SINCE + side] = now_ns if since == NEVER else since
            marks[PRINT_PX + side] = own_e4
            marks[DOUBTS] = 1
    return stale


@inline_kernel
def hear_ticker(marks: np.ndarray, side: int, price_e4: int, now_ns: int) -> bool:
    """Hold one side of a ticker against the best price; True where the book is wrong.

    An ask of 0 or 1 dollar stands for an empty side, as an absent one does.
    """
    told_e4 = price_e4 if 0 < price_e4 < DOLLAR_E4 else NO_PRICE
    best, since = best_e4(marks, side), marks[TICKER_SINCE + side]
    wrong = False
    if told_e4 == best:
        marks[TICKER_SINCE + side] = NEVER
    else:
        wrong = since != NEVER and now_ns - since > STALE_NS
        marks[TICKER_SINCE + side] = now_ns if since == NEVER else since
        marks[TICKER_PX + side] = best
        marks[DOUBTS] = 1
    return wrong


@inline_kernel
def look(marks: np.ndarray, now_ns: int) -> bool:
    """Look at the book after a whole message: start and stop the clocks.

    Returns True where a crossing is over that lasted no longer than CROSSED_NS.
    """
    if marks[DOUBTS] != 0:
        marks[DOUBTS] = 0
        for side in range(2):
            best = best_e4(marks, side)
            if best <= marks[PRINT_PX + side]:
                marks[PRINT_SINCE + side] = NEVER
            if best != marks[TICKER_PX + side]:
                marks[TICKER_SINCE + side] = NEVER
            if marks[PRINT_SINCE + side] != NEVER or marks[TICKER_SINCE + side] != NEVER:
                marks[DOUBTS] = 1
    is_crossed = crosses(best_e4(marks, YES), best_e4(marks, NO))
    if is_crossed and marks[CROSSED_SINCE] == NEVER:
        marks[CROSSED_SINCE] = now_ns
    over = not is_crossed and marks[CROSSED_SINCE] != NEVER
    if over:
        marks[CROSSED_SINCE] = NEVER
    return over
