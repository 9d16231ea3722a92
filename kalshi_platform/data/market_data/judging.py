"""The kernel of the door: the fate of every row of whole messages, in order, and the state that goes on.

Not here   what a fate does to the rows (``fates.py``), the grids and the refusals (``door.py``), the rules of
           a row (``faults.py``) and of a book (``book_checks.py``).
"""

import numpy as np

from kalshi_platform.data.market_data.book_checks import (
    BEST,
    BOOK,
    BOTH,
    CROSSED,
    CROSSED_NS,
    CROSSED_SINCE,
    EMPTY,
    HAD_BOOK,
    LAST_NS,
    LEVELS,
    NEVER,
    PRINT_THROUGH,
    QUOTED,
    SOUND,
    TICK_E4,
    TICKER_DISAGREES,
    TOP,
    TOP_PX,
    crosses,
    follow_best,
    hear_print,
    hear_ticker,
    look,
    lose_book,
    stop_doubts,
)
from kalshi_platform.data.market_data.fates import (
    BEFORE_SNAPSHOT,
    BELOW_ZERO,
    CROSSING_OVER,
    IN_GAP,
    KEPT,
    NOTE_UNIT,
    QUOTE_IN_GAP,
    REFUSED,
    TICKER_CHECKED,
    TICKER_REST,
    TICKER_UNCHECKED,
)
from kalshi_platform.data.market_data.faults import (
    BACKWARDS,
    OTHER_TIME,
    REPEATED_LEVEL,
    UNFINISHED,
    fault_of_values,
)
from kalshi_platform.data.market_data.price_levels import size_after
from kalshi_platform.data.market_data.schema import (
    DELTA,
    FLAG_LAST,
    FLAG_START,
    GAP,
    NO,
    QUOTE,
    SNAPSHOT,
    TICKER,
    TRADE,
    YES,
)
from kalshi_platform.domain.compiled import inline_kernel, kernel


@inline_kernel
def end_of_message(flags: np.ndarray, begin: int) -> int:
    """Row after the message that begins at ``begin``."""
    end = begin
    while end < flags.size - 1 and flags[end] & FLAG_LAST == 0:
        end += 1
    return end + 1


@kernel
def _find_fault(
    recv_ns: np.ndarray,
    kind: np.ndarray,
    side: np.ndarray,
    price_e4: np.ndarray,
    qty_e2: np.ndarray,
    flags: np.ndarray,
    begin: int,
    end: int,
    last_ns: int,
    grid: np.ndarray,
) -> tuple[int, int, int]:
    """First rule that a row of the message breaks: (rule or 0, first such row, number of such rows)."""
    rule, at, n = 0, -1, 0
    before_ns = last_ns
    for i in range(begin, end):
        found = 0
        if recv_ns[i] < before_ns:
            found = BACKWARDS
        elif i > begin and recv_ns[i] != before_ns:
            found = OTHER_TIME
        elif i == end - 1 and flags[i] & FLAG_LAST == 0:
            found = UNFINISHED
        else:
            level = kind[i] == SNAPSHOT and flags[i] & FLAG_START == 0
            found = fault_of_values(kind[i], side[i], price_e4[i], qty_e2[i], level, grid)
        before_ns = recv_ns[i]
        if found != 0:
            if rule == 0 or found < rule:
                rule, at, n = found, i, 0
            if found == rule:
                n += 1
    return rule, at, n


@inline_kernel
def _fate_of_level(
    depth: np.ndarray, marks: np.ndarray, kind: int, side: int, price_e4: int, qty_e2: int
) -> int:
    """Fate of a delta or of a snapshot's level, which is put in; REFUSED: the snapshot repeats it."""
    if marks[BOOK] != LEVELS:
        return IN_GAP if marks[HAD_BOOK] == 1 else BEFORE_SNAPSHOT
    level = price_e4 // marks[TICK_E4]
    size = size_after(depth, kind, side, level, qty_e2)
    if kind == SNAPSHOT and depth[side, level] != 0:
        return REFUSED
    if size < 0:
        lose_book(marks)
        return BELOW_ZERO
    depth[side, level] = size
    follow_best(depth, marks, side, level)
    return KEPT


@inline_kernel
def _begin_snapshot(depth: np.ndarray, marks: np.ndarray) -> None:
    """Begin a book of levels; a crossing goes on if the snapshot shows it too."""
    depth[:] = 0
    marks[BOOK] = LEVELS
    marks[HAD_BOOK] = 1
    marks[BEST] = marks[BEST + 1] = EMPTY
    stop_doubts(marks)


@inline_kernel
def _proves_nothing(marks: np.ndarray, side: np.ndarray, price_e4: np.ndarray, begin: int, end: int) -> bool:
    """True for quotes after a GAP that leave both sides quoted and crossed."""
    yes_e4, no_e4 = marks[TOP_PX + YES], marks[TOP_PX + NO]
    for i in range(begin, end):
        if side[i] == YES:
            yes_e4 = price_e4[i]
        else:
            no_e4 = price_e4[i]
    return marks[HAD_BOOK] == 1 and marks[QUOTED] != BOTH and crosses(yes_e4, no_e4)


@inline_kernel
def _quote(marks: np.ndarray, side: int, price_e4: int) -> None:
    """Take the best price of one side; a book of best prices is there once both sides were quoted."""
    if marks[BOOK] != TOP:
        lose_book(marks)
        marks[BOOK] = TOP
    marks[TOP_PX + side] = price_e4
    marks[QUOTED] |= 1 << side
    if marks[QUOTED] == BOTH:
        marks[HAD_BOOK] = 1


@inline_kernel
def _fate_of_row(
    depth: np.ndarray, marks: np.ndarray, kind: int, side: int, price_e4: int, qty_e2: int, flags: int
) -> int:
    """Fate of a row that is neither print nor ticker; the row's change of the book is made."""
    fate = KEPT
    if kind == DELTA or (kind == SNAPSHOT and flags & FLAG_START == 0):
        fate = _fate_of_level(depth, marks, kind, side, price_e4, qty_e2)
    elif kind == QUOTE:
        _quote(marks, side, price_e4)
    elif kind == SNAPSHOT:
        _begin_snapshot(depth, marks)
    elif kind == GAP:
        lose_book(marks)
    return fate


@inline_kernel
def _judge_tickers(
    side: np.ndarray,
    price_e4: np.ndarray,
    begin: int,
    end: int,
    now_ns: int,
    marks: np.ndarray,
    fate: np.ndarray,
) -> bool:
    """Drop the ticker at ``begin``; True where it says that the book is wrong."""
    known = marks[BOOK] == LEVELS
    wrong = False
    for i in range(begin, end):
        fate[i] = TICKER_REST
        if known and side[i] <= NO and hear_ticker(marks, side[i], price_e4[i], now_ns):
            wrong = True
    fate[begin] = TICKER_CHECKED if known else TICKER_UNCHECKED
    return wrong


@kernel
def judge(
    recv_ns: np.ndarray,
    kind: np.ndarray,
    side: np.ndarray,
    price_e4: np.ndarray,
    qty_e2: np.ndarray,
    flags: np.ndarray,
    grid: np.ndarray,
    depth: np.ndarray,
    marks: np.ndarray,
    fate: np.ndarray,
    begin: int,
) -> tuple[int, int, int, int]:
    """Decide the fate of every row of whole messages from ``begin`` on, and move the door's state on.

    Columns (n,) as in MarketRows; grid (10_001,) u1, EARLIER and IN_FORCE by YES price; depth (2, price
    levels) i8, 1e-2 contract, a ladder that holds every price of the grid; marks (N_MARKS,) i8; fate (n,) u1,
    written (``fates.py``). Stops at the first message that breaks a rule; returns (rule or 0, first row that
    breaks it, rows that do, first row of that message or n). A broken rule leaves the state as the messages
    before it left it, except REPEATED_LEVEL: the snapshot up to that row is in.
    """
    while begin < kind.size:
        end = end_of_message(flags, begin)
        if end == begin + 1 and recv_ns[begin] >= marks[LAST_NS] and flags[begin] & FLAG_LAST != 0:
            bare = kind[begin] == SNAPSHOT and flags[begin] & FLAG_START == 0
            rule = fault_of_values(
                kind[begin], side[begin], price_e4[begin], qty_e2[begin], bare, grid
            )  # fmt: skip
            at, n = begin, 1
        else:  # rare: the call costs more than the check
            rule, at, n = _find_fault(
                recv_ns, kind, side, price_e4, qty_e2, flags, begin, end, marks[LAST_NS], grid
            )
        if rule != 0:
            return rule, at, n, begin
        now_ns, first = recv_ns[begin], kind[begin]
        note = SOUND
        if marks[CROSSED_SINCE] != NEVER and first != GAP and now_ns - marks[CROSSED_SINCE] > CROSSED_NS:
            note = CROSSED
            lose_book(marks)
        if first == TICKER:
            if _judge_tickers(side, price_e4, begin, end, now_ns, marks, fate):
                note = TICKER_DISAGREES
                lose_book(marks)
        elif first == QUOTE and _proves_nothing(marks, side, price_e4, begin, end):
            fate[begin:end] = QUOTE_IN_GAP
        else:
            for i in range(begin, end):
                fate[i] = KEPT
                if kind[i] != TRADE:
                    fate[i] = _fate_of_row(depth, marks, kind[i], side[i], price_e4[i], qty_e2[i], flags[i])
                    if fate[i] == REFUSED:
                        return REPEATED_LEVEL, i, 1, begin
                elif hear_print(marks, side[i], price_e4[i], flags[i], now_ns):
                    note = PRINT_THROUGH
                    lose_book(marks)
        fate[begin] |= note * NOTE_UNIT
        if look(marks, now_ns):
            fate[begin] |= CROSSING_OVER
        marks[LAST_NS] = now_ns
        begin = end
    return 0, -1, 0, begin
