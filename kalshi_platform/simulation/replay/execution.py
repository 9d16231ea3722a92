"""Execution in replay: how an order becomes fills. The rules are conservative and depend on provenance.

Life of an order    sent at t -> reaches the book as it stands at t + latency -> taken, RESTING (maker) or
                    SEEKING (taker where only prints are known) -> gone. A slot has one working order and
                    one in flight; the one in flight replaces the other when it arrives, not before.
FULL_DEPTH          a taker walks the five levels down to its limit, less what it took before (own impact);
                    a maker fills on a print strictly through its price, or by prints at its price once
                    the size displayed there when it arrived has traded. Cancellations never advance it.
TOP_ONLY            sizes unknown: at most ``unknown_fill_e2`` a price, at the best price only; a maker fills
                    when the opposite best goes strictly through its price
PRINTS_ONLY         the book is the last print of each side: a taker fills on the next print of its own
                    taker side not worse than its limit, a maker on a print strictly through its price
Records             row: ROW_DTYPE, market: MARKET_DTYPE, terms: TERMS_DTYPE (simulation/replay/bank.py);
                    env, slot: see simulation/replay/account.py
Units               prices 1e-4 dollar on the YES scale, sizes 1e-2 contract, cash 1e-6 dollar, time ns.
"""

from typing import Any, Final

from kalshi_platform.data.features.rows import LEVELS
from kalshi_platform.data.market_data.schema import NO, NO_SIDE, YES
from kalshi_platform.domain.actions import BUY_NO, BUY_YES, HOLD
from kalshi_platform.domain.compiled import kernel
from kalshi_platform.domain.fees import apply_fill, model_fee_e6
from kalshi_platform.domain.trading_hours import in_pause
from kalshi_platform.simulation.replay.account import book_fill, unit_price_e4
from kalshi_platform.simulation.replay.bank import PRINTS_ONLY, TOP_ONLY
from kalshi_platform.simulation.replay.planning import (
    ExecutionParams,
    plan_order,
    raises_position,
    scaled_rate_e6,
    wanted_qty_e2,
)

#: Where the working order stands.
IDLE, RESTING, SEEKING = range(3)
#: Queue ahead of an order where the displayed size is not known: only a print through it fills.
QUEUE_UNKNOWN: Final = 1 << 62
#: Prices a slot and side whose liquidity is remembered as taken: all that can be displayed.
IMPACT_DEPTH: Final = LEVELS
BID, ASK = 0, 1

#: Fields of a slot's record: its working order, the one in flight, and the liquidity it has taken.
ORDER_FIELDS: Final = [
    ("order_state", "u1"),
    ("order_action", "u1"),
    ("order_price_e4", "i8"),  # limit
    ("order_qty_e2", "i8"),  # remaining
    ("queue_e2", "i8"),  # displayed size ahead
    ("expiry_ns", "i8"),
    ("accumulator_e6", "i8"),  # of fees
    ("order_reserved_e6", "i8"),
    ("sent_action", "u1"),  # HOLD = nothing in flight
    ("sent_price_e4", "i8"),
    ("sent_qty_e2", "i8"),
    ("sent_reserved_e6", "i8"),
    ("arrival_ns", "i8"),
    ("n_taken", "i4"),  # entries of taken_* in use
    ("taken_px_e4", "i8", (2, IMPACT_DEPTH)),  # NO_PRICE = unused
    ("taken_e2", "i8", (2, IMPACT_DEPTH)),
]


@kernel
def clear_order(slot: Any) -> None:
    """Forget the orders and the impact of one slot."""
    slot.order_state = IDLE
    slot.order_reserved_e6 = 0
    slot.sent_action = HOLD
    slot.sent_reserved_e6 = 0
    slot.n_taken = 0
    for side in range(2):
        for k in range(IMPACT_DEPTH):
            slot.taken_px_e4[side, k] = -1
            slot.taken_e2[side, k] = 0


@kernel
def submit(
    row: Any, terms: Any, env: Any, slot: Any, action: int, now_ns: int, params: ExecutionParams
) -> None:
    """Send ``action`` at ``now_ns``; HOLD sends nothing.

    A resting order stays in the book, and can fill, until the new order arrives and replaces it.
    """
    if action == HOLD:
        return
    price, qty, reserve_e6 = plan_order(row, terms, slot, action, env.cash_e6 - env.reserved_e6, params)
    if qty == 0:
        return
    env.reserved_e6 += reserve_e6
    slot.n_orders += 1
    slot.sent_action = action
    slot.sent_price_e4 = price
    slot.sent_qty_e2 = qty
    slot.sent_reserved_e6 = reserve_e6
    slot.arrival_ns = now_ns + params.latency_ns


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
    change_e6, fee_e6, accumulator_e6 = apply_fill(revenue_e6, model_e6, slot.accumulator_e6, params.unit_e6)
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
def _taken_e2(slot: Any, side: int, price_e4: int) -> int:
    for k in range(IMPACT_DEPTH):
        if slot.taken_px_e4[side, k] == price_e4:
            return slot.taken_e2[side, k]
    return 0


@kernel
def _remember(slot: Any, side: int, price_e4: int, qty_e2: int) -> None:
    free = -1
    for k in range(IMPACT_DEPTH):
        if slot.taken_px_e4[side, k] == price_e4:
            slot.taken_e2[side, k] += qty_e2
            return
        if slot.taken_px_e4[side, k] < 0:
            free = k
    slot.n_taken += 1
    slot.taken_px_e4[side, free] = price_e4
    slot.taken_e2[side, free] = qty_e2


@kernel
def refresh_impact(row: Any, slot: Any) -> None:
    """Forget sizes taken at prices no longer displayed, and never remember more than is displayed now."""
    if slot.n_taken == 0:
        return
    for side in range(2):
        for k in range(IMPACT_DEPTH):
            price = slot.taken_px_e4[side, k]
            if price < 0:
                continue
            shown = -1
            for level in range(LEVELS):
                px = row.bid_px_e4[level] if side == BID else row.ask_px_e4[level]
                if px == price:
                    qty = row.bid_qty_e2[level] if side == BID else row.ask_qty_e2[level]
                    shown = qty if qty >= 0 else slot.taken_e2[side, k]
                    break
            if shown < 0:
                slot.taken_px_e4[side, k] = -1
                slot.taken_e2[side, k] = 0
                slot.n_taken -= 1
            else:
                slot.taken_e2[side, k] = min(slot.taken_e2[side, k], shown)


@kernel
def _take(
    row: Any, market: Any, terms: Any, env: Any, slot: Any, now_ns: int, params: ExecutionParams
) -> None:
    """Walk the opposite levels down to the limit; cancel the size that does not fill (IOC)."""
    up = raises_position(slot.order_action)
    limit = slot.order_price_e4
    side = ASK if up else BID
    levels = 1 if market.source == TOP_ONLY else LEVELS
    for level in range(levels):
        price = int(row.ask_px_e4[level] if up else row.bid_px_e4[level])
        shown = row.ask_qty_e2[level] if up else row.bid_qty_e2[level]
        if price < 0 or (up and price > limit) or (not up and price < limit):
            break
        available = (shown if shown >= 0 else params.unknown_fill_e2) - _taken_e2(slot, side, price)
        qty = min(available, slot.order_qty_e2)
        if qty > 0:
            if _fill(terms, env, slot, price, qty, False, now_ns, params):
                _remember(slot, side, price, qty)
            if slot.order_state == IDLE:
                return
    withdraw(env, slot)


@kernel
def _queue_e2(row: Any, market: Any, price_e4: int, up: bool) -> int:
    """Displayed size at the order's own price; QUEUE_UNKNOWN where nobody can know it."""
    if market.source == PRINTS_ONLY:
        return QUEUE_UNKNOWN
    for level in range(LEVELS):
        px = row.bid_px_e4[level] if up else row.ask_px_e4[level]
        if px < 0 or (up and px < price_e4) or (not up and px > price_e4):
            return 0
        if px == price_e4:
            shown = row.bid_qty_e2[level] if up else row.ask_qty_e2[level]
            return shown if shown >= 0 else QUEUE_UNKNOWN
    return QUEUE_UNKNOWN  # deeper than the levels that are known


@kernel
def _rest(row: Any, market: Any, env: Any, slot: Any) -> None:
    """Join the book behind the size displayed at the price; end a post-only order that would cross."""
    up = raises_position(slot.order_action)
    price = slot.order_price_e4
    opposite = row.ask_px_e4[0] if up else row.bid_px_e4[0]
    if opposite >= 0 and ((up and price >= opposite) or (not up and price <= opposite)):
        withdraw(env, slot)
        return
    slot.queue_e2 = _queue_e2(row, market, price, up)


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
    slot.sent_reserved_e6 = 0
    at_ns = slot.arrival_ns + slot.shift_ns
    if at_ns >= slot.end_ns or in_pause(at_ns):
        env.reserved_e6 -= reserved_e6
        return
    qty = min(sent_e2, wanted_qty_e2(slot.position_e2, action, params))
    keep_e6 = reserved_e6 * qty // sent_e2
    env.reserved_e6 -= reserved_e6 - keep_e6
    if qty == 0:
        return
    slot.order_state = RESTING if params.maker else SEEKING
    slot.order_action = action
    slot.order_price_e4 = slot.sent_price_e4
    slot.order_qty_e2 = qty
    slot.order_reserved_e6 = keep_e6
    slot.accumulator_e6 = 0
    slot.expiry_ns = slot.arrival_ns + params.order_ttl_ns
    if params.maker:
        _rest(row, market, env, slot)
    elif market.source != PRINTS_ONLY:
        _take(row, market, terms, env, slot, slot.arrival_ns, params)


@kernel
def on_row(
    row: Any, market: Any, terms: Any, env: Any, slot: Any, now_ns: int, params: ExecutionParams
) -> None:
    """Apply the message of ``row`` to the slot's resting or seeking order: impact, expiry, fills.

    Nothing fills in the exchange's weekly pause; resting orders stay through it, and end at the close.
    """
    refresh_impact(row, slot)
    expire(env, slot, now_ns)
    if slot.order_state == IDLE or in_pause(row.recv_ns):
        return
    if row.recv_ns >= slot.end_ns:
        withdraw(env, slot)
        return
    if slot.order_state == SEEKING:
        _seek(row, market, terms, env, slot, now_ns, params)
    elif market.source == TOP_ONLY:
        _rest_in_quotes(row, market, terms, env, slot, now_ns, params)
    else:
        _rest_in_prints(row, market, terms, env, slot, now_ns, params)


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
def _rest_in_quotes(
    row: Any, market: Any, terms: Any, env: Any, slot: Any, now_ns: int, params: ExecutionParams
) -> None:
    """Fill a maker where only best prices are known: the opposite best must go strictly through its price."""
    up = raises_position(slot.order_action)
    price = slot.order_price_e4
    opposite = row.ask_px_e4[0] if up else row.bid_px_e4[0]
    if opposite >= 0 and ((up and opposite < price) or (not up and opposite > price)):
        fill = min(slot.order_qty_e2, params.unknown_fill_e2)
        _fill(terms, env, slot, price, fill, True, now_ns, params)
        withdraw(env, slot)


@kernel
def _rest_in_prints(
    row: Any, market: Any, terms: Any, env: Any, slot: Any, now_ns: int, params: ExecutionParams
) -> None:
    """Fill a maker where prints are known: a print through its price fills it at once.

    A print at its price eats the queue before it first.
    """
    up = raises_position(slot.order_action)
    price, px, qty = slot.order_price_e4, int(row.print_px_e4), row.print_qty_e2
    if row.print_side == NO_SIDE or row.print_side != (NO if up else YES):
        return
    if (up and px < price) or (not up and px > price):
        _fill(terms, env, slot, price, min(qty, slot.order_qty_e2), True, now_ns, params)
    elif px == price and slot.queue_e2 != QUEUE_UNKNOWN:
        slot.queue_e2 -= qty
        beyond = -slot.queue_e2
        if beyond > 0:
            slot.queue_e2 = 0
            _fill(terms, env, slot, price, min(beyond, slot.order_qty_e2), True, now_ns, params)
