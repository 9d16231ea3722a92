"""Life of one order's slot: taken, resting, cancelled, given back.

An order's number is serial x capacity + slot: it grows with time, names the slot without a search, and is
never used twice.
"""

from typing import Any

from kalshi_platform.domain.compiled import inner_kernel
from kalshi_platform.simulation.matching import accounts, book, tape
from kalshi_platform.simulation.matching.accounts import ANY_HOLD_E6
from kalshi_platform.simulation.matching.expiry import set_expiry
from kalshi_platform.simulation.matching.records import NEVER_NS, NONE


@inner_kernel
def next_serial(core: Any) -> int:
    """Number that grows with every order, place and group."""
    serial = core.state[0].serial
    core.state[0].serial = serial + 1
    return serial


@inner_kernel
def find(core: Any, order_id: int) -> int:
    """Slot of the open order ``order_id``; NONE where there is none."""
    if order_id < 0:
        return NONE
    slot = order_id % core.orders.size
    return slot if core.orders[slot].order_id == order_id else NONE


@inner_kernel
def take_slot(core: Any) -> int:
    """Slot for a new order, with its number and place; NONE where the core is full."""
    state = core.state[0]
    if state.n_free == 0:
        return NONE
    state.n_free -= 1
    slot = core.free[state.n_free]
    state.n_used = max(state.n_used, slot + 1)
    state.n_open += 1
    order = core.orders[slot]
    serial = next_serial(core)
    order.order_id = serial * core.orders.size + slot
    order.place = serial
    order.filled_e2 = 0
    order.pool_e6 = 0
    order.hold_e6 = 0
    order.expiry_ns = NEVER_NS
    order.heap_at = NONE
    order.rests = 0
    return slot


@inner_kernel
def give_back(core: Any, slot: int) -> None:
    """Free the slot of an order that is in no queue any more."""
    state, order = core.state[0], core.orders[slot]
    if order.heap_at != NONE:
        set_expiry(core, slot, NEVER_NS)
    order.order_id = NONE
    order.rests = 0
    core.free[state.n_free] = slot
    state.n_free += 1
    state.n_open -= 1


@inner_kernel
def rest(core: Any, slot: int) -> None:
    """Queue an order with what is left of it, reserve for it, and tell the book."""
    order = core.orders[slot]
    if order.group != NONE:
        core.groups[order.group].n_orders += 1
    order.rests = 1
    core.n_resting[order.account] += 1
    accounts.change_working(core, slot, order.qty_e2, ANY_HOLD_E6)
    book.link(core, slot)
    book.change_depth(core, order.market, order.side, order.own_e4, order.qty_e2)
    tape.tell_delta(core, order.market, order.side, order.own_e4, order.qty_e2, tape.BY_ORDER)


@inner_kernel
def leave(core: Any, slot: int) -> None:
    """Take a resting order out of the book and free its reserve; its remaining size stays known."""
    order = core.orders[slot]
    qty = order.qty_e2
    order.rests = 0
    core.n_resting[order.account] -= 1
    if order.group != NONE:
        core.groups[order.group].n_orders -= 1
    book.unlink(core, slot)
    book.change_depth(core, order.market, order.side, order.own_e4, -qty)
    order.qty_e2 = 0
    accounts.change_working(core, slot, -qty, ANY_HOLD_E6)
    order.qty_e2 = qty
    tape.tell_delta(core, order.market, order.side, order.own_e4, -qty, tape.BY_ORDER)


@inner_kernel
def finish(core: Any, slot: int, reason: int) -> None:
    """End an order that is in no queue: tell what was not filled, and free its slot."""
    order = core.orders[slot]
    qty = order.qty_e2
    order.qty_e2 = 0
    tape.tell_order(core, tape.CANCEL, slot, qty, reason)
    give_back(core, slot)


@inner_kernel
def cancel(core: Any, slot: int, reason: int) -> int:
    """Cancel a resting order; returns the size taken away."""
    qty = core.orders[slot].qty_e2
    leave(core, slot)
    finish(core, slot, reason)
    return qty


@inner_kernel
def cancel_side(core: Any, market: int, side: int, reason: int) -> None:
    """Cancel all orders of one side of a market, the best price first, the oldest first."""
    while core.best[market, side] != NONE:
        cancel(core, book.oldest(core, market, side, core.best[market, side]), reason)


@inner_kernel
def cancel_where(core: Any, account: int, group: int, shard: int, flags: int, reason: int) -> int:
    """Cancel the resting orders of an account, a group or a shard with all of ``flags``; NONE means any.

    Returns how many. It looks at every slot: a command that is rare enough.
    """
    n = 0
    for slot in range(core.state[0].n_used):
        order = core.orders[slot]
        if order.rests == 0 or (order.options & flags) != flags:
            continue
        if account not in (NONE, order.account) or group not in (NONE, order.group):
            continue
        if shard not in (NONE, core.markets[order.market].shard):
            continue
        cancel(core, slot, reason)
        n += 1
    return n
