"""GAP rows: the one place that knows their cells, and how rows are put in before others.

A GAP says that messages were lost; the book is invalid until its next snapshot. The time, ``sid`` and ``seq``
of a GAP are those of the row that showed the loss.
"""

from collections.abc import Sequence
from typing import Final, Literal

import numpy as np

from kalshi_platform.data.market_data.schema import (
    DELTA,
    FACTS,
    FLAG_FILL,
    FLAG_LAST,
    GAP,
    NO_SEQ,
    NO_SIDE,
    SNAPSHOT,
    TRADE,
    YES,
    MarketRows,
    empty,
    take,
)
from kalshi_platform.domain.units import DOLLAR_E4, NO_PRICE, NO_TIME, UNKNOWN_QTY

GapDetection = Literal["none", "sequence"]
"""How lost messages show: "sequence" by a hole in the numbers, "none" not at all: gaps cannot be seen."""

#: Kind, side and price of every GAP.
GAP_CELLS: Final = (GAP, NO_SIDE, NO_PRICE)
#: In ``missing`` of :func:`put_before`: no message was lost before the row.
NOTHING_MISSING: Final = -2


def write_gaps(rows: MarketRows, at: np.ndarray | slice, missing: np.ndarray | int = UNKNOWN_QTY) -> None:
    """Turn the rows ``at`` into GAPs of ``missing`` messages; their times, ``sid`` and ``seq`` stay."""
    rows.kind[at], rows.side[at], rows.price_e4[at] = GAP_CELLS
    rows.qty_e2[at], rows.flags[at] = missing, FLAG_LAST


def gap_at(recv_ns: int) -> MarketRows:
    """One GAP of unknown length between two sources, at ``recv_ns``."""
    row = empty(1)
    row.recv_ns[:] = recv_ns
    write_gaps(row, slice(None))
    return row


def gap_in_place_of(message: MarketRows) -> MarketRows:
    """One GAP that stands where the rows of ``message`` stood."""
    row = MarketRows(*(column[:1].copy() for column in message))
    write_gaps(row, slice(None))
    return row


def gap_detection_of(rows: MarketRows) -> GapDetection:
    """Sign by which lost messages of a market's book show: numbers, if every row of the book has one."""
    of_book = (rows.kind == SNAPSHOT) | (rows.kind == DELTA)
    return "sequence" if of_book.any() and (rows.seq[of_book] != NO_SEQ).all() else "none"


def trade_of_fill(side: np.ndarray, price_e4: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Outcome that the taker bought and YES price, of fills of resting bids (n,).

    The taker bought the other outcome than the one that rested.
    """
    return (1 - side).astype("u1"), np.where(side == YES, price_e4, DOLLAR_E4 - price_e4).astype("i4")


def facts_rows(numbers: Sequence[int], recv_ns: Sequence[int]) -> MarketRows:
    """One FACTS row for each telling: its number and its time."""
    rows = empty(len(numbers))
    rows.qty_e2[:], rows.recv_ns[:] = numbers, recv_ns
    rows.kind[:], rows.side[:], rows.price_e4[:], rows.flags[:] = FACTS, NO_SIDE, NO_PRICE, FLAG_LAST
    return rows


def put_in(rows: MarketRows, more: MarketRows) -> MarketRows:
    """``rows`` with the one-row messages ``more`` among them, each after all messages up to its own time."""
    ends = np.flatnonzero(rows.flags & FLAG_LAST)
    after = np.searchsorted(rows.recv_ns[ends], more.recv_ns, side="right")
    at = np.where(after > 0, ends[np.maximum(after, 1) - 1] + 1, 0)
    order = np.argsort(at, kind="stable")
    return MarketRows(*(np.insert(own, at[order], new[order]) for own, new in zip(rows, more, strict=True)))


def put_before(
    rows: MarketRows, missing: np.ndarray, taker: np.ndarray | None = None
) -> tuple[MarketRows, np.ndarray]:
    """Put GAPs and prints before the rows they belong to; returns (rows, (n,) position each came from).

    One row becomes at most three; the print and the delta it caused are one message:

        DELTA marked FLAG_FILL, 7 messages missing before it   ->   GAP 7 | TRADE DELTA

    missing (n,) i8: messages lost before each row, UNKNOWN_QTY if uncountable, NOTHING_MISSING if none;
    taker (n,) u1: outcome that the taker bought, NO_SIDE where not recorded; None: recorded nowhere.
    """
    is_gap, is_fill = missing != NOTHING_MISSING, (rows.flags & FLAG_FILL) != 0
    own = np.arange(rows.kind.size) + np.cumsum(is_gap.astype(np.int64) + is_fill)
    source = np.zeros(int(own[-1]) + 1 if own.size else 0, np.int64)
    prints, gaps = own[is_fill] - 1, own[is_gap] - 1 - is_fill[is_gap]
    source[own] = np.arange(rows.kind.size)
    source[prints], source[gaps] = np.flatnonzero(is_fill), np.flatnonzero(is_gap)
    out = take(rows, source)
    side, out.price_e4[prints] = trade_of_fill(out.side[prints], out.price_e4[prints])
    out.side[prints] = side if taker is None else np.where(taker[is_fill] == NO_SIDE, side, taker[is_fill])
    out.kind[prints], out.flags[prints] = TRADE, 0
    out.qty_e2[prints] *= -1
    write_gaps(out, gaps, missing[is_gap])
    out.exch_ns[gaps] = NO_TIME
    return out, source
