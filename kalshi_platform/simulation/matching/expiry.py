"""Heap of the orders that expire: the earliest first, of equals the older order.

``heap_at`` of an order is its place here, so that any order leaves in logarithmic time.
"""

from typing import Any

from kalshi_platform.domain.compiled import inner_kernel
from kalshi_platform.simulation.matching.records import NEVER_NS, NONE


@inner_kernel
def _is_before(core: Any, a: int, b: int) -> bool:
    first, second = core.orders[a], core.orders[b]
    if first.expiry_ns != second.expiry_ns:
        return first.expiry_ns < second.expiry_ns
    return first.order_id < second.order_id


@inner_kernel
def _put(core: Any, at: int, slot: int) -> None:
    core.heap[at] = slot
    core.orders[slot].heap_at = at


@inner_kernel
def _sift(core: Any, start: int) -> None:
    """Move the order at ``start`` up or down to where it belongs."""
    n, at, slot = core.state[0].n_heap, start, core.heap[start]
    while at > 0 and _is_before(core, slot, core.heap[(at - 1) // 2]):
        _put(core, at, core.heap[(at - 1) // 2])
        at = (at - 1) // 2
    while 2 * at + 1 < n:
        child = 2 * at + 1
        if child + 1 < n and _is_before(core, core.heap[child + 1], core.heap[child]):
            child += 1
        if not _is_before(core, core.heap[child], slot):
            break
        _put(core, at, core.heap[child])
        at = child
    _put(core, at, slot)


@inner_kernel
def set_expiry(core: Any, slot: int, expiry_ns: int) -> None:
    """Let an order end at ``expiry_ns``; NEVER_NS takes it out of the heap."""
    state, order = core.state[0], core.orders[slot]
    at = order.heap_at
    order.expiry_ns = expiry_ns
    if at == NONE:
        if expiry_ns == NEVER_NS:
            return
        at = state.n_heap
        state.n_heap += 1
        _put(core, at, slot)
    elif expiry_ns == NEVER_NS:
        order.heap_at = NONE
        state.n_heap -= 1
        if at == state.n_heap:
            return
        _put(core, at, core.heap[state.n_heap])
    _sift(core, at)


@inner_kernel
def next_expiry_ns(core: Any) -> int:
    """Time of the next expiry; NEVER_NS where none is to come."""
    if core.state[0].n_heap == 0:
        return NEVER_NS
    return core.orders[core.heap[0]].expiry_ns
