"""Sending of orders: what a policy's action means to the exchange, a new order, a cancel or nothing.

Keeps      the action of the order that rests, at its price and of its size, sends nothing: the order keeps
           its place in the queue, and its life begins anew.
Latency    of two legs: what the exchange did is seen ``feed_ns`` later, what is sent arrives ``latency_ns``
           later. Replay runs on the clock of what is seen, on which the order meets the book feed + order leg
           after the decision: the book of that moment is seen no earlier. With ``latency_sigma`` both legs
           are log-normal around their medians, drawn anew for every order and cancel.
Size       a buy asks for ``order_qty_e2``, or (setting ``sizing``) for less where a position is held already.
HOLD       leaves a resting order, or cancels it (setting ``hold``); a slot without a choice cancels nothing.
Records    row: ROW_DTYPE, terms: TERMS_DTYPE (bank.py); env, slot: state.py.
Units      prices 1e-4 dollar on the YES scale, sizes 1e-2 contract, cash 1e-6 dollar, time ns.
"""

import math
from typing import Any, NamedTuple

from kalshi_platform.domain.actions import HOLD, N_ACTIONS, SELL_NO, SELL_YES
from kalshi_platform.domain.compiled import kernel
from kalshi_platform.domain.fees import model_fee_e6
from kalshi_platform.domain.units import CONTRACT_E2
from kalshi_platform.simulation.replay.draws import draw_bits, draw_normal
from kalshi_platform.simulation.replay.execution import CANCEL, RESTING
from kalshi_platform.simulation.replay.planning import (
    NO_FEE,
    ExecutionParams,
    buy_reserve_e6,
    full_fee,
    limit_price_e4,
    plan_order,
    wanted_qty_e2,
)


class SendParams(NamedTuple):
    """Scalars that only the sending of an order reads; ExecutionParams, passed on by every call, stay few."""

    hold_cancels: bool
    tapers: bool
    feed_ns: int
    latency_sigma: float
    seed: int


@kernel
def tapered_qty_e2(position_e2: int, qty_e2: int, action: int, params: ExecutionParams) -> int:
    """Size of a tapered order that may be at most ``qty_e2``: a buy's shrinks with the room below the limit.

    It is ``order_qty_e2`` times the free share of the position limit, at least one contract; a sale keeps its
    size, so that a way out is never smaller than the way in. Not rounded to contracts: what a fill takes from
    it is then never more than the fill, so that a filled order still asks for its own size (keeps_order).
    """
    if action in (SELL_YES, SELL_NO):
        return qty_e2
    free_e2 = params.position_limit_e2 - abs(int(position_e2))
    return min(qty_e2, max(params.order_qty_e2 * free_e2 // params.position_limit_e2, CONTRACT_E2))


@kernel
def keeps_order(row: Any, terms: Any, slot: Any, action: int, params: ExecutionParams) -> bool:
    """True where ``action`` asks for the order that rests in the slot: its price, and its size.

    The size is the one that was placed, or what is left of it: a fill is no reason to lose the place.
    """
    if slot.order_state != RESTING or slot.order_action != action:
        return False
    qty = wanted_qty_e2(slot.position_e2, action, params)
    if qty not in (slot.order_qty_e2, slot.placed_qty_e2):
        return False
    return limit_price_e4(row, terms, action, params) == slot.order_price_e4


@kernel
def keeps_tapered(row: Any, terms: Any, slot: Any, action: int, params: ExecutionParams) -> bool:
    """True where ``action`` asks for the tapered order that rests: a size from what is left to its first."""
    if slot.order_state != RESTING or slot.order_action != action:
        return False
    whole = wanted_qty_e2(slot.position_e2, action, params)
    qty = tapered_qty_e2(slot.position_e2, whole, action, params)
    if qty < slot.order_qty_e2 or qty > slot.placed_qty_e2:
        return False
    return limit_price_e4(row, terms, action, params) == slot.order_price_e4


@kernel
def delay_ns(env: Any, slot: Any, now_ns: int, params: ExecutionParams, sending: SendParams) -> int:
    """Return the time from a decision at ``now_ns`` until what it sends meets the replayed book.

    The draw depends on the seed, the episode, the market and the time: not on the environment that plays the
    episode, nor on what was sent before. Whole microseconds, so that no rounding of a logarithm is seen.
    """
    if sending.latency_sigma == 0.0:
        return params.latency_ns + sending.feed_ns
    return _drawn_delay_ns(env, slot, now_ns, params, sending)


@kernel
def _drawn_delay_ns(env: Any, slot: Any, now_ns: int, params: ExecutionParams, sending: SendParams) -> int:
    """Return the sum of both legs, each drawn."""
    key = int(now_ns) ^ draw_bits(sending.seed, int(env.episode)) << 30
    counter = 4 * int(slot.market)
    order_ns = params.latency_ns * math.exp(sending.latency_sigma * draw_normal(key, counter))
    feed_ns = sending.feed_ns * math.exp(sending.latency_sigma * draw_normal(key, counter + 2))
    return 1_000 * int((order_ns + feed_ns) / 1_000.0 + 0.5)


@kernel
def has_choice(slot: Any) -> bool:
    """True where the slot's mask allows more than HOLD."""
    n_allowed = 0
    for action in range(1, N_ACTIONS):
        n_allowed += slot.mask[action]
    return n_allowed > 0


@kernel
def submit(
    row: Any,
    terms: Any,
    env: Any,
    slot: Any,
    action: int,
    now_ns: int,
    params: ExecutionParams,
    sending: SendParams,
) -> None:
    """Send what ``action`` means at ``now_ns``: an order, a cancel, or nothing.

    A resting order stays in the book, and can fill, until what was sent arrives.
    """
    if action == HOLD and not (sending.hold_cancels and slot.order_state == RESTING and has_choice(slot)):
        return
    arrival_ns = now_ns + delay_ns(env, slot, now_ns, params, sending)
    if action == HOLD:
        slot.sent_action = CANCEL
        slot.arrival_ns = arrival_ns
        return
    if sending.tapers:
        kept = keeps_tapered(row, terms, slot, action, params)
    else:
        kept = keeps_order(row, terms, slot, action, params)
    if kept:
        slot.expiry_ns = arrival_ns + params.order_ttl_ns
        return
    fee, budget_e6 = full_fee(terms, NO_FEE, params), env.cash_e6 - env.reserved_e6
    price, qty, reserve_e6 = plan_order(row, terms, fee, slot, action, budget_e6, params)
    if qty == 0:
        return
    if sending.tapers and reserve_e6:  # a buy: the mask asked for the cash of the whole size
        qty = tapered_qty_e2(slot.position_e2, qty, action, params)
        reserve_e6 = buy_reserve_e6(action, price, qty, model_fee_e6(fee.rate_e6, 5_000, qty), params)
    env.reserved_e6 += reserve_e6
    slot.n_orders += 1
    slot.sent_action = action
    slot.sent_price_e4 = price
    slot.sent_qty_e2 = qty
    slot.sent_reserved_e6 = reserve_e6
    slot.arrival_ns = arrival_ns
