"""Cancel, decrease and amend of a resting order.

Place       an order keeps its place where only its expiry changes, and loses it where it grows. Unconfirmed,
            so a switch each: a decrease keeps it (``decrease_keeps_place``), a change of price loses it
            (``reprice_keeps_place``; kept, it queues at the new price by its old time).
Amend       the size told is filled + wanted. An amend that crosses meets the book as an arriving order does
            and keeps its number and fee accumulator. A price that stays may be off a grid that changed.
Unconfirmed a post-only order that an amend would let cross: the amend is refused.
"""

from typing import Any

from kalshi_platform.domain.compiled import inner_kernel
from kalshi_platform.simulation.matching import accounts, book, entry, orders, tape
from kalshi_platform.simulation.matching.command import DECREASE_BY, GTC, NO_FLAGS, POST_ONLY
from kalshi_platform.simulation.matching.expiry import set_expiry
from kalshi_platform.simulation.matching.reasons import (
    DECREASE_CANCEL,
    EXCEEDED_PER_MARKET_RISK_LIMIT,
    EXCHANGE_PAUSED,
    INSUFFICIENT_BALANCE,
    INVALID_ORDER,
    INVALID_ORDER_SIZE,
    INVALID_PRICE,
    MARKET_INACTIVE,
    OK,
    ORDER_NOT_FOUND,
    ORDER_SIDE_MISMATCH,
    ORDER_TICKER_MISMATCH,
    POST_ONLY_CROSS,
    USER_CANCEL,
)
from kalshi_platform.simulation.matching.records import CLOSED, FULL_PAUSE, MAX_QTY_E2, NONE


@inner_kernel
def _own_slot(core: Any, command: Any) -> int:
    """Slot of the command's order where it belongs to the command's account, else NONE."""
    slot = orders.find(core, command.order_id)
    return slot if slot != NONE and core.orders[slot].account == command.account else NONE


@inner_kernel
def cancel(core: Any, command: Any, answer: Any) -> int:
    """Cancel one order; works in a pause of trading, not in one of the exchange nor after the close."""
    if command.market != NONE and core.markets[command.market].status >= CLOSED:
        return MARKET_INACTIVE
    slot = _own_slot(core, command)
    if slot == NONE or command.market not in (NONE, core.orders[slot].market):
        return ORDER_NOT_FOUND
    if core.shards[core.markets[core.orders[slot].market].shard].status == FULL_PAUSE:
        return EXCHANGE_PAUSED
    answer.order_id = command.order_id
    answer.reduced_e2 = orders.cancel(core, slot, USER_CANCEL)
    answer.ended = USER_CANCEL
    return OK


@inner_kernel
def cancel_all(core: Any, command: Any, answer: Any) -> int:
    """Cancel every order of the account on all shards that are not fully paused."""
    for shard in range(core.shards.size):
        if core.shards[shard].status != FULL_PAUSE:
            n = orders.cancel_where(core, command.account, NONE, shard, NO_FLAGS, USER_CANCEL)
            answer.reduced_e2 += n
    return OK


@inner_kernel
def decrease(core: Any, command: Any, answer: Any) -> int:
    """Make an order smaller by, or down to, a size; to nothing ends it."""
    slot = _own_slot(core, command)
    if slot == NONE:
        return ORDER_NOT_FOUND
    order = core.orders[slot]
    reason = entry.trading(core, order.market)
    if reason != OK:
        return reason
    if command.qty_e2 < 0:
        return INVALID_ORDER_SIZE
    left = order.qty_e2 - command.qty_e2 if command.op == DECREASE_BY else command.qty_e2
    if left >= order.qty_e2:
        return INVALID_ORDER_SIZE
    answer.order_id = command.order_id
    if left <= 0:
        answer.reduced_e2 = orders.cancel(core, slot, DECREASE_CANCEL)
        answer.ended = DECREASE_CANCEL
        return OK
    answer.reduced_e2 = order.qty_e2 - left
    answer.left_e2 = left
    _resize(core, slot, left, core.state[0].decrease_keeps_place == 1)
    tape.tell_order(core, tape.CHANGE, slot, answer.reduced_e2, OK)
    return OK


@inner_kernel
def _resize(core: Any, slot: int, qty_e2: int, keeps_place: bool) -> None:
    """Change the size of a resting order at its price; a smaller one holds no more for fees than before."""
    order = core.orders[slot]
    change = qty_e2 - order.qty_e2
    order.qty_e2 = qty_e2
    accounts.change_working(core, slot, change, order.hold_e6 if change < 0 else accounts.ANY_HOLD_E6)
    book.change_depth(core, order.market, order.side, order.own_e4, change)
    if not keeps_place:
        book.unlink(core, slot)
        order.place = orders.next_serial(core)
        book.link(core, slot)
    tape.tell_delta(core, order.market, order.side, order.own_e4, change, tape.BY_ORDER)


@inner_kernel
def _amend_refusal(core: Any, command: Any, slot: int, own_e4: int, left_e2: int) -> int:
    """OK where the amend is taken, else the reason."""
    order = core.orders[slot]
    account, market, side = order.account, order.market, order.side
    if command.expiry_ns != NONE and not entry.is_expiry(core, command.expiry_ns):
        return INVALID_ORDER
    moves = own_e4 != order.own_e4
    if moves and not entry.on_grid(core, market, command.price_e4):
        return INVALID_PRICE
    if left_e2 <= 0 or left_e2 > MAX_QTY_E2:
        return INVALID_ORDER_SIZE
    crosses = moves and book.crosses(core, market, side, own_e4)
    if crosses and (order.options & POST_ONLY) != 0:
        return POST_ONLY_CROSS
    more = left_e2 - order.qty_e2
    if more > 0 and not entry.within_limit(core, account, market, side, more):
        return EXCEEDED_PER_MARKET_RISK_LIMIT
    cost = left_e2 * own_e4 - order.qty_e2 * order.own_e4
    if crosses:
        fee = accounts.taker_bound_e6(core, account, market, own_e4, left_e2)
    else:
        fee = accounts.hold_e6(core, account, market, own_e4, left_e2, order.pool_e6)
    if not moves and more <= 0:
        return OK
    free = accounts.free_with_e6(core, account, market, side, more, cost, fee - order.hold_e6)
    return OK if free >= 0 else INSUFFICIENT_BALANCE


@inner_kernel
def amend(core: Any, command: Any, answer: Any) -> int:
    """Change price, size or expiry of an order; returns OK or the reason of the refusal."""
    slot = _own_slot(core, command)
    if slot == NONE:
        return ORDER_NOT_FOUND
    order = core.orders[slot]
    if order.market != command.market:
        return ORDER_TICKER_MISMATCH
    if order.side != command.side:
        return ORDER_SIDE_MISMATCH
    reason = entry.trading(core, order.market)
    if reason != OK:
        return reason
    own = entry.own_price_e4(order.side, command.price_e4)
    left = command.qty_e2 - order.filled_e2
    reason = _amend_refusal(core, command, slot, own, left)
    if reason != OK:
        return reason
    answer.order_id = command.order_id
    if command.client != 0:
        order.client = command.client
    if command.expiry_ns != NONE:
        set_expiry(core, slot, command.expiry_ns)
    if own != order.own_e4:
        _reprice(core, slot, own, left, answer)
        return OK
    cut = order.qty_e2 - left
    answer.left_e2 = left
    answer.reduced_e2 = max(cut, 0)
    if cut != 0:
        _resize(core, slot, left, cut > 0 and core.state[0].decrease_keeps_place == 1)
    tape.tell_order(core, tape.CHANGE, slot, max(cut, 0), OK)
    return OK


@inner_kernel
def _reprice(core: Any, slot: int, own_e4: int, left_e2: int, answer: Any) -> None:
    """Move a resting order to another price, where it may meet the other side."""
    order = core.orders[slot]
    cut = max(order.qty_e2 - left_e2, 0)
    answer.reduced_e2 = cut
    orders.leave(core, slot)
    order.own_e4 = own_e4
    order.qty_e2 = left_e2
    if core.state[0].reprice_keeps_place == 0:
        order.place = orders.next_serial(core)
    tape.tell_order(core, tape.CHANGE, slot, cut, OK)
    entry.place(core, slot, GTC, answer)
