"""The one incremental kernel: it advances a market by messages and writes a feature row for each.

Building a dataset is one call over all rows of a market (:func:`build_rows`). Live trading calls the same
kernel a message at a time (``stream.FeatureStream``), so both give the same bits. A feature row depends only
on the rows of the message it ends and of those before it.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from kalshi_platform.data.book import ladder
from kalshi_platform.data.book.order_book import refusal, regridded
from kalshi_platform.data.features import market_facts, microstructure, resolution, temporal, trade_flow
from kalshi_platform.data.features import rows as rows_module
from kalshi_platform.data.features.bursts import mark_burst_ends
from kalshi_platform.data.features.microstructure import Micro
from kalshi_platform.data.features.orderbook import write_orderbook
from kalshi_platform.data.features.resolution import Resolutions
from kalshi_platform.data.features.rows import CROSSED, INVALID, LEVELS, VALID, Rows
from kalshi_platform.data.features.spec import N_ROW_FEATURES
from kalshi_platform.data.features.temporal import Clock
from kalshi_platform.data.features.trade_flow import TradeFlow
from kalshi_platform.data.market_data import schema
from kalshi_platform.data.market_data.schema import (
    DELTA,
    FACTS,
    FLAG_BLOCK,
    FLAG_LAST,
    FLAG_START,
    GAP,
    NO,
    NO_SIDE,
    SNAPSHOT,
    TRADE,
    YES,
    MarketRows,
)
from kalshi_platform.domain.compiled import inline_kernel, kernel
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.market import MarketSpec
from kalshi_platform.domain.market_history import KnownFacts, constant_history
from kalshi_platform.domain.units import DOLLAR_E4, NO_PRICE, NO_TIME, UNKNOWN_QTY

#: Status codes beyond those of ``book.ladder``.
RING_FULL, TIME_BACKWARDS, TRADES_FULL, NO_SUCH_FACTS = 101, 102, 103, 104
#: Places in ``MarketState.message``: what the rows of the unfinished message said so far.
PRINT_PX, PRINT_QTY, PRINT_SIDE, BROKEN = range(4)
_BOTH: Final = 3


class MarketState(NamedTuple):
    """Everything the kernel carries of a market from one message to the next."""

    book: ladder.BookState
    clock: Clock
    message: np.ndarray  # (4,) i8: PRINT_PX, PRINT_QTY, PRINT_SIDE, BROKEN
    flow: TradeFlow
    facts: np.ndarray  # (6,) i8 of ``market_facts``
    schedule: np.ndarray  # (K, 3) i8 of ``market_facts.schedule_of``, only read
    resolutions: Resolutions  # of other markets, only read
    micro: Micro


def new_state(
    spec: MarketSpec,
    resolutions: Resolutions | None = None,
    tick_e4: int | None = None,
    known: Sequence[KnownFacts] | None = None,
) -> MarketState:
    """State of a market before its first message; without ``resolutions`` no other market's outcome is known.

    ``tick_e4``: spacing of the book's ladder where the prices to come are finer than the grid of ``spec``;
    ``known``: the market's history, to which its FACTS rows point; None: ``spec`` was known all the time.
    """
    schedule = market_facts.schedule_of(known or constant_history(spec).known)
    return MarketState(
        ladder.new_book(tick_e4 or spec.tick_e4),
        temporal.new_clock(int(schedule[0, 1])),
        np.array([NO_PRICE, 0, NO_SIDE, 0], np.int64),
        trade_flow.new_trade_flow(),
        market_facts.new_facts(spec, schedule),
        schedule,
        resolution.nothing_known() if resolutions is None else resolutions,
        microstructure.new_micro(),
    )


def regrid(state: MarketState, tick_e4: int) -> MarketState:
    """Move the market's book to a finer ladder of ``tick_e4`` and return the new state."""
    return state._replace(book=regridded(state.book, tick_e4))


def take_facts(state: MarketState, resolutions: Resolutions) -> MarketState:
    """The same market knowing other outcomes."""
    state.facts[market_facts.STEP] = 0
    return state._replace(resolutions=resolutions)


def with_history(state: MarketState, known: Sequence[KnownFacts]) -> MarketState:
    """State of the same market with a longer history, to which FACTS rows to come may point."""
    return state._replace(schedule=market_facts.schedule_of(known))


@inline_kernel
def _forget(message: np.ndarray) -> None:
    message[PRINT_PX] = NO_PRICE
    message[PRINT_QTY] = 0
    message[PRINT_SIDE] = NO_SIDE
    message[BROKEN] = 0


@inline_kernel
def _note(
    message: np.ndarray,
    clock: np.ndarray,
    now_ns: int,
    kind: int,
    side: int,
    price_e4: int,
    qty_e2: int,
    flags: int,
) -> None:
    """Remember what the row says beside the book: a print, a gap, a resync."""
    if kind == DELTA:
        return
    if _is_print(kind, flags):
        same = message[PRINT_PX] == price_e4 and message[PRINT_SIDE] == side
        message[PRINT_QTY] = message[PRINT_QTY] + qty_e2 if same else qty_e2
        message[PRINT_PX] = price_e4
        message[PRINT_SIDE] = side
    elif kind == GAP:
        message[BROKEN] = 1
        clock[temporal.RESYNC_NS] = now_ns
    elif kind == SNAPSHOT and flags & FLAG_START != 0:
        clock[temporal.RESYNC_NS] = now_ns


@inline_kernel
def _is_print(kind: int, flags: int) -> bool:
    """True for a trade that met the book."""
    return kind == TRADE and flags & FLAG_BLOCK == 0


@inline_kernel
def _touched_sides(marks: np.ndarray, kind: int, side: int) -> int:
    """Bits (1 << side) of the sides whose levels the row may have changed."""
    if kind == DELTA:
        return 1 << side
    if kind == FACTS:
        return 0
    if kind == TRADE and marks[ladder.MODE] != ladder.IMPLIED:
        return 0
    return _BOTH


@inline_kernel
def _write_levels(
    depth: np.ndarray,
    marks: np.ndarray,
    side: int,
    px_e4: np.ndarray,
    qty_e2: np.ndarray,
    row: int,
    touched: int,
) -> int:
    """Write the price levels of ``side`` on the YES scale into ``row``.

    Copy the row before if none was touched.

    Returns their size, 1e-2 contract, UNKNOWN_QTY where not known.
    """
    if touched & (1 << side) == 0:
        size = 0
        for k in range(LEVELS):
            px_e4[row, k] = px_e4[row - 1, k]
            qty_e2[row, k] = qty_e2[row - 1, k]
            size += qty_e2[row, k]
        return size
    size = ladder.best_levels(depth, marks, side, px_e4, qty_e2, row)
    if side == NO:
        for k in range(LEVELS):
            own_e4 = px_e4[row, k]
            px_e4[row, k] = NO_PRICE if own_e4 == NO_PRICE else DOLLAR_E4 - own_e4
    return size


@inline_kernel
def _write_book(
    depth: np.ndarray,
    marks: np.ndarray,
    micro: np.ndarray,
    past: np.ndarray,
    bid_px: np.ndarray,
    bid_qty: np.ndarray,
    ask_px: np.ndarray,
    ask_qty: np.ndarray,
    out: np.ndarray,
    row: int,
    touched: int,
    now_ns: int,
) -> tuple[float, float, float]:
    """Write price levels and features of the book as it stands into ``row``.

    Returns (mid, spread, imbalance).
    """
    bid_size = _write_levels(depth, marks, YES, bid_px, bid_qty, row, touched)
    ask_size = _write_levels(depth, marks, NO, ask_px, ask_qty, row, touched)
    mode = marks[ladder.MODE]
    deep = mode == ladder.LEVELS_KNOWN
    if touched & (1 << YES) != 0:
        microstructure.note_side(micro, past, YES, bid_px, bid_qty, row, bid_size, deep, now_ns)
    if touched & (1 << NO) != 0:
        microstructure.note_side(micro, past, NO, ask_px, ask_qty, row, ask_size, deep, now_ns)
    total = marks[ladder.TOTAL + YES] + marks[ladder.TOTAL + NO] if deep else UNKNOWN_QTY
    implied = mode == ladder.IMPLIED
    return write_orderbook(out, row, bid_px[row, 0], ask_px[row, 0], implied, bid_size, ask_size, total)


@inline_kernel
def _write_row(state: MarketState, rows: Rows, row: int, now_ns: int, touched: int) -> None:
    """Write the row of the message that ends at ``now_ns`` and begin the next message empty."""
    (depth, marks), (ring_ns, clock), message, (trades, sums, flow), facts, _, other, (micro, past) = state
    known_ns, values = other
    (
        out_ns,
        valid,
        bid_px,
        bid_qty,
        ask_px,
        ask_qty,
        print_px,
        print_qty,
        print_side,
        burst_end,
        known,
        out,
    ) = rows
    ended = facts[market_facts.END_NS] != NO_TIME and now_ns >= facts[market_facts.END_NS]
    ok = ladder.is_tradable(marks) and message[BROKEN] == 0 and not ended
    out_ns[row] = now_ns
    burst_end[row] = 1  # build_rows knows the messages that follow
    known[row] = facts[market_facts.KNOWN]
    print_px[row] = message[PRINT_PX]
    print_qty[row] = message[PRINT_QTY]
    print_side[row] = message[PRINT_SIDE]
    _forget(message)
    mid, spread, imbalance = _write_book(
        depth, marks, micro, past, bid_px, bid_qty, ask_px, ask_qty, out, row, touched, now_ns
    )
    crossed = marks[ladder.MODE] != ladder.IMPLIED and NO_PRICE != ask_px[row, 0] <= bid_px[row, 0]
    valid[row] = INVALID if not ok else CROSSED if crossed else VALID
    gap_ns = temporal.since_last_ns(clock, now_ns)
    hours, log_hours = temporal.write_temporal(out, row, ring_ns, clock, now_ns)
    trade_flow.write_trade_flow(out, row, trades, sums, flow, now_ns, mid)
    step = resolution.advance_known(known_ns, facts[market_facts.STEP], now_ns)
    facts[market_facts.STEP] = step
    market_facts.write_market_meta(out, row, facts, values, flow[trade_flow.CAPACITY], now_ns)
    market_facts.write_temporal_adv(out, row, facts, hours, log_hours)
    resolution.write_resolution(out, row, values, step)
    microstructure.write_microstructure(out, row, micro, past, now_ns, gap_ns, ok, mid, spread, imbalance)


@kernel
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
    """Apply row columns (n,) from ``start`` on; write one feature row from ``row`` on at each FLAG_LAST.

    Returns (first row not applied, next feature row, status). After RING_FULL or TRADES_FULL the caller grows
    that ring and calls again with these two numbers. After any other status but OK the row is refused and the
    state before it holds.
    """
    (depth, marks), (ring_ns, clock), message, (trades, sums, _), facts, schedule, _, _ = state
    touched = _BOTH  # the first row of a call has no row before it to copy from
    for i in range(start, kind.size):
        now_ns = recv_ns[i]
        last = flags[i] & FLAG_LAST != 0
        if last and not temporal.has_room(ring_ns, clock, now_ns):
            return i, row, RING_FULL
        if now_ns < clock[temporal.LAST_NS]:
            return i, row, TIME_BACKWARDS
        printed = _is_print(kind[i], flags[i])
        if printed and not trade_flow.has_trade_room(trades, sums, now_ns):
            return i, row, TRADES_FULL
        if kind[i] == FACTS and not market_facts.know(facts, clock, schedule, qty_e2[i]):
            return i, row, NO_SUCH_FACTS
        was_implied = marks[ladder.MODE] == ladder.IMPLIED
        status = ladder.apply_row(depth, marks, kind[i], side[i], price_e4[i], qty_e2[i], flags[i])
        if status != ladder.OK:
            return i, row, status
        if was_implied and marks[ladder.MODE] != ladder.IMPLIED:
            message[BROKEN] = 1  # the book of prints ends: its rows are not of one kind with what follows
        if printed:
            trade_flow.add_trade(trades, sums, now_ns, side[i], price_e4[i], qty_e2[i])
        _note(message, clock, now_ns, kind[i], side[i], price_e4[i], qty_e2[i], flags[i])
        touched |= _touched_sides(marks, kind[i], side[i])
        if last:
            _write_row(state, rows, row, now_ns, touched)
            touched = 0
            row += 1
    return kind.size, row, ladder.OK


def _plain(column: np.ndarray) -> np.ndarray:
    """The column, contiguous and writable.

    Numba would compile again for the read-only columns of an Arrow table.
    """
    return column if column.flags.c_contiguous and column.flags.writeable else column.copy()


def run(state: MarketState, rows: MarketRows, out: Rows, ticker: str) -> tuple[MarketState, int]:
    """Apply ``rows``, writing feature rows from 0 on; returns (state, feature rows written).

    ``out`` must have room for every FLAG_LAST in ``rows``. The kernel changes the state in place; use the
    returned one, whose rings may have grown. DataError names the row that the kernel refused.
    """
    columns = tuple(
        _plain(c) for c in (rows.recv_ns, rows.kind, rows.side, rows.price_e4, rows.qty_e2, rows.flags)
    )
    at, row, status = advance(state, *columns, 0, out, 0)
    while status in (RING_FULL, TRADES_FULL):
        if status == RING_FULL:
            state = state._replace(clock=temporal.grown(state.clock))
        else:
            state = state._replace(flow=trade_flow.grown(state.flow))
        at, row, status = advance(state, *columns, at, out, row)
    if status == TIME_BACKWARDS:
        raise DataError(
            f"{ticker}: row {at} has recv_ns {int(rows.recv_ns[at])}, before the last message at "
            f"{int(state.clock.marks[temporal.LAST_NS])}; order the rows by recv_ns"
        )
    if status == NO_SUCH_FACTS:
        raise DataError(
            f"{ticker}: row {at} points at facts {int(rows.qty_e2[at])}, the market's history has "
            f"{state.schedule.shape[0]}; build the dataset again"
        )
    if status != ladder.OK:
        raise refusal(rows, at, status, state.book, ticker)
    return state, row


def build_rows(
    rows: MarketRows,
    spec: MarketSpec,
    resolutions: Resolutions | None = None,
    tick_e4: int | None = None,
    known: Sequence[KnownFacts] | None = None,
) -> Rows:
    """Feature rows of one market, one a message, in order.

    DataError names the first row that cannot be applied.

    ``rows`` are the market's rows ordered by ``recv_ns``, on the grid of ``spec``. ``resolutions`` are the
    outcomes of other markets that it may know (``ResolutionHistory.of``), none by default. Rows after the
    last FLAG_LAST belong to an unfinished message and give no feature row. ``tick_e4``, ``known``: as for
    :func:`new_state`.
    """
    n_rows = int(np.count_nonzero(rows.flags & FLAG_LAST))
    out = rows_module.empty(n_rows, N_ROW_FEATURES)
    run(new_state(spec, resolutions, tick_e4, known), rows, out, spec.ticker)
    ends = rows.flags & FLAG_LAST != 0
    mark_burst_ends(out.recv_ns, rows.exch_ns[ends], out.valid, out.burst_end)
    return out


def warm() -> None:
    """Compile the kernel (or load it from the cache) before the first message matters."""
    rows = schema.empty(1)
    rows.kind[0], rows.side[0], rows.flags[0] = SNAPSHOT, NO_SIDE, FLAG_START | FLAG_LAST
    build_rows(rows, MarketSpec(ticker="WARM", event="WARM"))
