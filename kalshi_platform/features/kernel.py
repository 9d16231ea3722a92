"""The one incremental kernel: advances a market by messages and writes a row for each.

Building a dataset is one call over all events (:func:`build_rows`); live trading calls the same kernel a
message at a time (``stream.FeatureStream``), so both give the same bits. A row depends only on rows of the
message it ends and of those before it.
"""

from typing import Final, NamedTuple

import numpy as np
from numba import njit

from kalshi_platform.book import ladder
from kalshi_platform.book.order_book import refusal, regridded
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.market import MarketSpec
from kalshi_platform.domain.units import DOLLAR_E4, NO_PRICE, UNKNOWN_QTY
from kalshi_platform.events import schema
from kalshi_platform.events.schema import (
    FLAG_BLOCK,
    FLAG_LAST,
    FLAG_START,
    GAP,
    NO,
    NO_SIDE,
    SNAPSHOT,
    TRADE,
    YES,
    Events,
)
from kalshi_platform.features import rows as rows_module
from kalshi_platform.features import temporal
from kalshi_platform.features.orderbook import write_orderbook
from kalshi_platform.features.rows import LEVELS, Rows
from kalshi_platform.features.spec import N_ROW_FEATURES
from kalshi_platform.features.temporal import Clock

#: Status codes beyond those of ``book.ladder``.
RING_FULL, TIME_BACKWARDS = 101, 102
#: Places in ``MarketState.message``: what the rows of the unfinished message said so far.
PRINT_PX, PRINT_QTY, PRINT_SIDE, HAS_GAP = range(4)
_NO_MESSAGE: Final = np.array([NO_PRICE, 0, NO_SIDE, 0], np.int64)


class MarketState(NamedTuple):
    """All a market carries from one message to the next."""

    book: ladder.BookState
    clock: Clock
    message: np.ndarray  # (4,) i8: PRINT_PX, PRINT_QTY, PRINT_SIDE, HAS_GAP


def new_state(spec: MarketSpec, ring: int = 1024) -> MarketState:
    """A market before its first message."""
    clock = temporal.new_clock(spec.close_ns, ring)
    return MarketState(ladder.new_book(spec.tick_e4), clock, _NO_MESSAGE.copy())


def regrid(state: MarketState, tick_e4: int) -> MarketState:
    """The same market on a finer ladder."""
    return state._replace(book=regridded(state.book, tick_e4))


@njit(cache=True)
def _note_trade(message: np.ndarray, side: int, price_e4: int, qty_e2: int) -> None:
    if message[PRINT_PX] == price_e4 and message[PRINT_SIDE] == side:
        message[PRINT_QTY] += qty_e2
    else:
        message[PRINT_PX] = price_e4
        message[PRINT_QTY] = qty_e2
        message[PRINT_SIDE] = side


@njit(cache=True)
def _write_row(state: MarketState, now_ns: int, rows: Rows, row: int) -> None:
    book, clock, message = state
    rows.recv_ns[row] = now_ns
    rows.valid[row] = ladder.is_tradable(book) and message[HAS_GAP] == 0
    bid_px, ask_px = rows.bid_px_e4[row], rows.ask_px_e4[row]
    bid_size = ladder.best_levels(book, YES, bid_px, rows.bid_qty_e2[row])
    ask_size = ladder.best_levels(book, NO, ask_px, rows.ask_qty_e2[row])
    for k in range(LEVELS):
        if ask_px[k] != NO_PRICE:
            ask_px[k] = DOLLAR_E4 - ask_px[k]
    rows.print_px_e4[row] = message[PRINT_PX]
    rows.print_qty_e2[row] = message[PRINT_QTY]
    rows.print_side[row] = message[PRINT_SIDE]
    mode = book.meta[ladder.MODE]
    total = book.total[YES] + book.total[NO] if mode == ladder.LEVELS_KNOWN else UNKNOWN_QTY
    out = rows.features[row]
    write_orderbook(out, bid_px[0], ask_px[0], mode == ladder.IMPLIED, bid_size, ask_size, total)
    temporal.write_temporal(out, clock, now_ns)


@njit(cache=True)
def advance(
    state: MarketState,
    recv_ns: np.ndarray,
    kind: np.ndarray,
    side: np.ndarray,
    price_e4: np.ndarray,
    qty_e2: np.ndarray,
    flags: np.ndarray,
    start: int,
    rows: Rows,
    row: int,
) -> tuple[int, int, int]:
    """Apply event columns (n,) from ``start`` on; write one row from ``row`` on at each FLAG_LAST.

    Returns (first event not applied, next row, status); after RING_FULL grow the ring and call again
    with these; after any other status but OK the event is refused and the state before it holds.
    """
    message, marks = state.message, state.clock.marks
    for i in range(start, kind.size):
        last = flags[i] & FLAG_LAST != 0
        if last and not temporal.has_room(state.clock, recv_ns[i]):
            return i, row, RING_FULL
        if recv_ns[i] < marks[temporal.LAST_NS]:
            return i, row, TIME_BACKWARDS
        status = ladder.apply_row(state.book, kind[i], side[i], price_e4[i], qty_e2[i], flags[i])
        if status != ladder.OK:
            return i, row, status
        if kind[i] == TRADE:
            if flags[i] & FLAG_BLOCK == 0:
                _note_trade(message, side[i], price_e4[i], qty_e2[i])
        elif kind[i] == GAP:
            message[HAS_GAP] = 1
            marks[temporal.RESYNC_NS] = recv_ns[i]
        elif kind[i] == SNAPSHOT and flags[i] & FLAG_START != 0:
            marks[temporal.RESYNC_NS] = recv_ns[i]
        if last:
            _write_row(state, recv_ns[i], rows, row)
            message[PRINT_PX] = NO_PRICE
            message[PRINT_QTY] = 0
            message[PRINT_SIDE] = NO_SIDE
            message[HAS_GAP] = 0
            row += 1
    return kind.size, row, ladder.OK


def _plain(column: np.ndarray) -> np.ndarray:
    """Contiguous and writable: columns of an Arrow table are read-only, which would compile the kernel again."""
    return column if column.flags.c_contiguous and column.flags.writeable else column.copy()


def run(state: MarketState, events: Events, rows: Rows, ticker: str) -> tuple[MarketState, int]:
    """Apply ``events``, writing rows from 0 on; returns (state, rows written), DataError where refused.

    ``rows`` must have room for every FLAG_LAST in ``events``. The state is changed in place; use the
    returned one, whose ring may have grown.
    """
    columns = tuple(
        _plain(c)
        for c in (events.recv_ns, events.kind, events.side, events.price_e4, events.qty_e2, events.flags)
    )
    at, row, status = advance(state, *columns, 0, rows, 0)
    while status == RING_FULL:
        state = state._replace(clock=temporal.grown(state.clock))
        at, row, status = advance(state, *columns, at, rows, row)
    if status == TIME_BACKWARDS:
        raise DataError(
            f"{ticker}: event {at} has recv_ns {int(events.recv_ns[at])}, before the last message at "
            f"{int(state.clock.marks[temporal.LAST_NS])}; order the rows by recv_ns"
        )
    if status != ladder.OK:
        raise refusal(events, at, status, state.book, ticker)
    return state, row


def build_rows(events: Events, spec: MarketSpec) -> Rows:
    """Rows of one market, one a message, in order; DataError names the first event that cannot be applied.

    ``events`` are the market's rows ordered by ``recv_ns``, on the grid of ``spec``. Rows after the last
    FLAG_LAST (an unfinished message) give none.
    """
    n_rows = int(np.count_nonzero(events.flags & FLAG_LAST))
    rows = rows_module.empty(n_rows, N_ROW_FEATURES)
    run(new_state(spec), events, rows, spec.ticker)
    return rows


def warm() -> None:
    """Compile the kernel (or load it from the cache) before the first event matters."""
    events = schema.empty(1)
    events.kind[0], events.side[0], events.flags[0] = SNAPSHOT, NO_SIDE, FLAG_START | FLAG_LAST
    build_rows(events, MarketSpec(ticker="WARM", event="WARM"))
