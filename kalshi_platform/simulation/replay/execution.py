"""Execution in replay: how an order becomes fills. The rules are conservative and depend on provenance.

Life of an order    sent at t -> reaches the book as it stands at t + latency -> taken, RESTING (maker) or
                    SEEKING (taker where only prints are known) -> gone. A slot has one working order and
                    one in flight; the one in flight replaces the other when it arrives, not before. Sending:
                    sending.py.
Books of levels     a taker walks the five levels down to its limit, less what it took before (own impact). A
and quotes          maker fills, each time at its own price,
                    - by a print strictly through its price, or by prints at its price once nobody is ahead of
                      it there (queue.py);
                    - at the end of a burst (``Rows.burst_end``), after its prints, where the opposite best
                      has reached its price: up to the size displayed at that price and beyond. Then nobody is
                      ahead of it any more, and the rest of it stays.
                    Where a size is unknown, at most ``unknown_fill_e2`` a price fills while it is displayed.
PRINTS_ONLY         the book is the last print of each side: a taker fills on the next print of its own
                    taker side not worse than its limit, a maker on a print strictly through its price
CROSSED rows        prove nothing: nothing fills on them, no queue advances, a taker that arrives is cancelled
Conservation        displayed size that a slot took, by lifting it or by being reached, is gone while it stays
                    displayed, and so is the size that the prints of a burst filled of a resting order: the
                    same seller would have had that much less left to display. No print fills more than its
                    size. So what fills over any stretch of rows is at most the opposite size displayed at its
                    start, plus all that was added to it, plus what was printed against the order's side.
Records             row: ROW_DTYPE, market: MARKET_DTYPE, terms: TERMS_DTYPE (simulation/replay/bank.py);
                    env, slot: see simulation/replay/account.py
Units               prices 1e-4 dollar on the YES scale, sizes 1e-2 contract, cash 1e-6 dollar, time ns.
"""

from typing import Any, Final

from kalshi_platform.data.features.rows import LEVELS
from kalshi_platform.data.market_data.schema import NO, YES
from kalshi_platform.domain.actions import BUY_NO, BUY_YES, HOLD, N_ACTIONS
from kalshi_platform.domain.compiled import kernel
from kalshi_platform.domain.fees import apply_fill, model_fee_e6
from kalshi_platform.simulation.replay.account import book_fill, unit_price_e4
from kalshi_platform.simulation.replay.bank import PRINTS_ONLY, ROW_BURST_END, ROW_CROSSED
from kalshi_platform.simulation.replay.impact import (
    ASK,
    BID,
    IMPACT_FIELDS,
    forget_impact,
    free_e2,
    price_e4_of,
    refresh_impact,
    remember,
)
from kalshi_platform.simulation.replay.planning import (
    ExecutionParams,
    is_paused,
    raises_position,
    rounding_of,
    scaled_rate_e6,
    wanted_qty_e2,
)
from kalshi_platform.simulation.replay.queue import (
    QUEUE_FIELDS,
    count_queue,
    cut_queue,
    displayed_ahead_e2,
    join_queue,
    pass_queue,
)

#: Where the working order stands.
IDLE, RESTING, SEEKING = range(3)
#: ``sent_action`` of a cancel on its way; it ends the working order and is none of a policy's actions.
CANCEL: Final = N_ACTIONS

#: Fields of a slot's record: its working order, the one in flight, and the liquidity it has taken.
ORDER_FIELDS: Final = [
    ("order_state", "u1"),
    ("order_action", "u1"),
    ("order_price_e4", "i8"),  # limit
    ("order_qty_e2", "i8"),  # remaining
    ("expiry_ns", "i8"),
    ("burst_filled_e2", "i8"),  # what prints of the present burst filled of the slot's orders
    ("accumulator_e6", "i8"),  # of fees
    ("order_reserved_e6", "i8"),
    ("sent_action", "u1"),  # HOLD = nothing in flight, CANCEL = a cancel
    ("sent_price_e4", "i8"),
    ("sent_qty_e2", "i8"),
    ("sent_reserved_e6", "i8"),
    ("arrival_ns", "i8"),
    *QUEUE_FIELDS,
    *IMPACT_FIELDS,
]


@kernel
def clear_order(slot: Any) -> None:
    """Forget the orders and the impact of one slot."""
    slot.order_state = IDLE
    slot.order_reserved_e6 = 0
    slot.sent_action = HOLD
    slot.sent_reserved_e6 = 0
    slot.burst_filled_e2 = 0
    forget_impact(slot)


@kernel
def withdraw(env: Any, slot: Any) -> None:
    """End the slot's working order, if any, and free its reserved cash."""
    if slot.order_state != IDLE:
        env.reserved_e6 -= slot.order_reserved_e6
        slot.order_reserved_e6 = 0
        slot.order_state = IDLE


@kernel
def withdraw_all(env: Any, slot: Any) -> None:
    """End the slot's working order and the one in flight: the market has closed."""
    withdraw(env, slot)
    env.reserved_e6 -= slot.sent_reserved_e6
    slot.sent_reserved_e6 = 0
    slot.sent_action = HOLD


@kernel
def expire(env: Any, slot: Any, now_ns: int) -> None:
    """End the working order once its time has run out."""
    if slot.order_state != IDLE and now_ns > slot.expiry_ns:
        withdraw(env, slot)


@kernel
def _fill(
    terms: Any,
    env: Any,
    slot: Any,
    price_e4: int,
    qty_e2: int,
    maker: bool,
    now_ns: int,
    params: ExecutionParams,
) -> bool:
    """Book ``qty_e2`` at ``price_e4`` against the slot's order; the order ends when nothing of it remains.

    Returns False, and ends the order unfilled, where cash and reserve do not cover the fill: many small fills
    can cost more in rounding than the reserve foresaw.
    """
    action = slot.order_action
    value_e6 = unit_price_e4(action, price_e4) * qty_e2
    revenue_e6 = -value_e6 if action in (BUY_YES, BUY_NO) else value_e6
    model_e6 = model_fee_e6(scaled_rate_e6(terms, maker, params), price_e4, qty_e2)
    change_e6, fee_e6, accumulator_e6 = apply_fill(
        revenue_e6, model_e6, slot.accumulator_e6, params.unit_e6, rounding_of(terms, params)
    )
    left = slot.order_qty_e2 - qty_e2
    keep_e6 = slot.order_reserved_e6 * left // slot.order_qty_e2
    reserved_e6 = env.reserved_e6 - slot.order_reserved_e6 + keep_e6
    if env.cash_e6 + change_e6 < reserved_e6:
        withdraw(env, slot)
        return False
    book_fill(env, slot, action, price_e4, qty_e2, change_e6, fee_e6, now_ns)
    slot.accumulator_e6 = accumulator_e6
    slot.order_qty_e2 = left
    slot.order_reserved_e6 = keep_e6
    env.reserved_e6 = reserved_e6
    if left == 0:
        withdraw(env, slot)
    return True


@kernel
def _fill_resting(terms: Any, env: Any, slot: Any, qty_e2: int, now_ns: int, params: ExecutionParams) -> bool:
    """Book ``qty_e2`` at the resting order's own price, as :func:`_fill`; its first fill counts its queue."""
    is_first = slot.order_qty_e2 == slot.placed_qty_e2
    is_filled = _fill(terms, env, slot, slot.order_price_e4, qty_e2, True, now_ns, params)
    if is_first and is_filled:
        count_queue(slot)
    return is_filled


@kernel
def _reaches(slot: Any, price_e4: int) -> bool:
    """True where an opposite price meets the limit of the slot's order."""
    if raises_position(slot.order_action):
        return 0 <= price_e4 <= slot.order_price_e4
    return price_e4 >= slot.order_price_e4


@kernel
def _take(
    row: Any, market: Any, terms: Any, env: Any, slot: Any, now_ns: int, params: ExecutionParams
) -> None:
    """Walk the opposite levels down to the limit; cancel the size that does not fill (IOC)."""
    side = ASK if raises_position(slot.order_action) else BID
    for level in range(LEVELS if row.state & ROW_CROSSED == 0 else 0):
        price = price_e4_of(row, side, level)
        if not _reaches(slot, price):
            break
        qty = min(free_e2(row, slot, side, level, params), slot.order_qty_e2)
        if qty > 0:
            if _fill(terms, env, slot, price, qty, False, now_ns, params):
                remember(slot, side, price, qty)
            if slot.order_state == IDLE:
                return
    withdraw(env, slot)


@kernel
def _rest(row: Any, market: Any, env: Any, slot: Any, params: ExecutionParams) -> None:
    """Join the book behind the size displayed at the price; end a post-only order that would cross.

    Without a queue (``maker_queue`` off, what if) nobody stands before it: any print at its price fills it.
    """
    up = raises_position(slot.order_action)
    price = slot.order_price_e4
    opposite = row.ask_px_e4[0] if up else row.bid_px_e4[0]
    if opposite >= 0 and ((up and price >= opposite) or (not up and price <= opposite)):
        withdraw(env, slot)
        return
    join_queue(slot, displayed_ahead_e2(row, market, price, up) if params.maker_queue else 0)


@kernel
def arrive(row: Any, market: Any, terms: Any, env: Any, slot: Any, params: ExecutionParams) -> None:
    """Let the order in flight reach the book of ``row`` and replace the resting order.

    The exchange refuses it where the market has closed, is paused or its book is lost by then; the resting
    order is cancelled all the same. Fills of the resting order since the decision count: the new order never
    passes the position limit and never sells more than the slot holds.
    """
    withdraw(env, slot)
    action, sent_e2, reserved_e6 = slot.sent_action, slot.sent_qty_e2, slot.sent_reserved_e6
    slot.sent_action = HOLD
    if action == CANCEL:
        return
    slot.sent_reserved_e6 = 0
    at_ns = slot.arrival_ns + slot.shift_ns
    if at_ns >= slot.end_ns or is_paused(slot, at_ns):
        env.reserved_e6 -= reserved_e6
        return
    qty = min(sent_e2, wanted_qty_e2(slot.position_e2, action, params))
    keep_e6 = reserved_e6 * qty // sent_e2
    env.reserved_e6 -= reserved_e6 - keep_e6
    if qty == 0:
        return
    if raises_position(slot.order_action) != raises_position(action):
        slot.burst_filled_e2 = 0  # what the burst's prints filled was of the other side
    slot.order_state = RESTING if params.maker else SEEKING
    slot.order_action = action
    slot.order_price_e4 = slot.sent_price_e4
    slot.order_qty_e2 = qty
    slot.order_reserved_e6 = keep_e6
    slot.accumulator_e6 = 0
    slot.expiry_ns = slot.arrival_ns + params.order_ttl_ns
    if params.maker:
        _rest(row, market, env, slot, params)
    elif market.source != PRINTS_ONLY:
        _take(row, market, terms, env, slot, slot.arrival_ns, params)


@kernel
def is_at_work(slot: Any) -> bool:
    """True where the slot has an order in the book, or took something that may still be displayed."""
    return slot.order_state != IDLE or slot.n_taken != 0 or slot.burst_filled_e2 != 0


@kernel
def on_row(
    row: Any, market: Any, terms: Any, env: Any, slot: Any, now_ns: int, params: ExecutionParams
) -> None:
    """Apply the message of ``row`` to the slot's resting or seeking order: impact, expiry, fills.

    Nothing fills in the exchange's weekly pause; resting orders stay through it, and end at the close.
    """
    refresh_impact(row, slot)
    expire(env, slot, now_ns)
    if (slot.order_state == IDLE and slot.burst_filled_e2 == 0) or is_paused(slot, row.recv_ns):
        return
    if row.recv_ns >= slot.end_ns:
        withdraw(env, slot)
        return
    if row.state & ROW_CROSSED != 0:
        return
    if slot.order_state == SEEKING:
        _seek(row, market, terms, env, slot, now_ns, params)
    elif slot.order_state == RESTING:
        _meet_print(row, terms, env, slot, now_ns, params)
        if row.state & ROW_BURST_END != 0:
            cut_queue(row, market, slot, raises_position(slot.order_action), now_ns)
    if row.state & ROW_BURST_END != 0:
        _meet_opposite(row, market, terms, env, slot, now_ns, params)


@kernel
def _seek(
    row: Any, market: Any, terms: Any, env: Any, slot: Any, now_ns: int, params: ExecutionParams
) -> None:
    """Fill a taker where only prints are known: the next print of its own side shows what could be taken."""
    up = raises_position(slot.order_action)
    px, limit = int(row.print_px_e4), slot.order_price_e4
    if row.print_side == (YES if up else NO) and ((up and px <= limit) or (not up and px >= limit)):
        _fill(terms, env, slot, px, min(row.print_qty_e2, slot.order_qty_e2), False, now_ns, params)
        withdraw(env, slot)


@kernel
def _meet_print(row: Any, terms: Any, env: Any, slot: Any, now_ns: int, params: ExecutionParams) -> None:
    """Let a print meet the resting order: strictly through its price it fills at once.

    A print at its price eats the queue before it first.
    """
    up = raises_position(slot.order_action)
    if row.print_side != (NO if up else YES) or not _reaches(slot, int(row.print_px_e4)):
        return
    qty = row.print_qty_e2
    if row.print_px_e4 == slot.order_price_e4:
        qty = pass_queue(slot, qty, now_ns)
    qty = min(qty, slot.order_qty_e2)
    if qty > 0 and _fill_resting(terms, env, slot, qty, now_ns, params):
        slot.burst_filled_e2 += qty


@kernel
def _meet_opposite(
    row: Any, market: Any, terms: Any, env: Any, slot: Any, now_ns: int, params: ExecutionParams
) -> None:
    """Fill the resting order from the opposite side if that side has reached the order's price.

    Called at the end of a burst. The size that the burst's prints filled of the order, even if the order is
    gone by now, is taken from that side first.
    """
    printed_e2 = slot.burst_filled_e2
    slot.burst_filled_e2 = 0
    side = ASK if raises_position(slot.order_action) else BID
    if market.source == PRINTS_ONLY or not _reaches(slot, price_e4_of(row, side, 0)):
        return
    _consume(row, slot, side, printed_e2, params)
    if slot.order_state != RESTING:
        return
    slot.queue_e2 = 0
    size_e2 = 0
    for level in range(LEVELS):
        if not _reaches(slot, price_e4_of(row, side, level)):
            break
        size_e2 += free_e2(row, slot, side, level, params)
    qty = min(size_e2, slot.order_qty_e2)
    if qty > 0 and _fill_resting(terms, env, slot, qty, now_ns, params):
        slot.n_reached_fills += 1
        _consume(row, slot, side, qty, params)


@kernel
def _consume(row: Any, slot: Any, side: int, qty_e2: int, params: ExecutionParams) -> None:
    """Remember ``qty_e2`` as taken from the levels that the order's price reaches, best first."""
    for level in range(LEVELS):
        if qty_e2 == 0 or not _reaches(slot, price_e4_of(row, side, level)):
            return
        part = min(free_e2(row, slot, side, level, params), qty_e2)
        if part > 0:
            remember(slot, side, price_e4_of(row, side, level), part)
            qty_e2 -= part
