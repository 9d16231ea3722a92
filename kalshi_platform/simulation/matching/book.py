"""Queues and depth of one side of a market: the oldest order of the best price comes first.

Invariants  depth = sum of the queue's orders >= 0; a queue ascends in ``place``; ``best`` is the highest own
            price with depth.
"""

from typing import Any

import numpy as np

from kalshi_platform.domain.compiled import inner_kernel, kernel
from kalshi_platform.simulation.matching.records import NONE, WORD_BITS


@inner_kernel
def highest_bit(word: int) -> int:
    """Place of the highest bit of ``word``, which has one and fits 32 bits."""
    place = 0
    for step in (16, 8, 4, 2, 1):
        if word >> step:
            word >>= step
            place += step
    return place


@inner_kernel
def best_below(core: Any, market: int, side: int, own_e4: int) -> int:
    """Highest own price with depth at or below ``own_e4``; NONE where there is none."""
    at = own_e4 // WORD_BITS
    word = core.occupied[market, side, at] & ((2 << (own_e4 % WORD_BITS)) - 1)
    while word == 0:
        at -= 1
        if at < 0:
            return NONE
        word = core.occupied[market, side, at]
    return at * WORD_BITS + highest_bit(word)


@inner_kernel
def change_depth(core: Any, market: int, side: int, own_e4: int, change_e2: int) -> None:
    """Add ``change_e2`` to the depth at a price and keep ``best`` right."""
    before = core.depth[market, side, own_e4]
    core.depth[market, side, own_e4] = before + change_e2
    at, bit = own_e4 // WORD_BITS, 1 << (own_e4 % WORD_BITS)
    if before == 0:
        core.occupied[market, side, at] |= bit
        core.best[market, side] = max(core.best[market, side], own_e4)
    elif before + change_e2 == 0:
        core.occupied[market, side, at] &= ~bit
        if core.best[market, side] == own_e4:
            core.best[market, side] = best_below(core, market, side, own_e4)


@inner_kernel
def crosses(core: Any, market: int, side: int, own_e4: int) -> bool:
    """True where an order of ``side`` at ``own_e4`` would meet the best of the other side."""
    best = core.best[market, 1 - side]
    return best != NONE and best + own_e4 >= 10_000


@inner_kernel
def oldest(core: Any, market: int, side: int, own_e4: int) -> int:
    """Slot of the order that is filled first at a price; NONE where none rests there."""
    return int(core.queues[market, side, own_e4].head) - 1


@inner_kernel
def link(core: Any, slot: int) -> None:
    """Queue an order behind every older one of its price; nearly always that is the end."""
    order = core.orders[slot]
    ends = core.queues[order.market, order.side, order.own_e4]
    older = np.int64(ends.tail) - 1
    while older != NONE and core.orders[older].place > order.place:
        older = core.orders[older].older
    younger = np.int64(ends.head) - 1 if older == NONE else core.orders[older].younger
    order.older = older
    order.younger = younger
    if older == NONE:
        ends.head = slot + 1
    else:
        core.orders[older].younger = slot
    if younger == NONE:
        ends.tail = slot + 1
    else:
        core.orders[younger].older = slot


@inner_kernel
def unlink(core: Any, slot: int) -> None:
    """Take an order out of the queue of its price; depth stays as it is."""
    order = core.orders[slot]
    ends = core.queues[order.market, order.side, order.own_e4]
    if order.older == NONE:
        ends.head = order.younger + 1
    else:
        core.orders[order.older].younger = order.younger
    if order.younger == NONE:
        ends.tail = order.older + 1
    else:
        core.orders[order.younger].older = order.older


@kernel
def qty_ahead(core: Any, slot: int) -> int:
    """Contracts (1e-2) that are filled before the order at its own price."""
    ahead, older = 0, core.orders[slot].older
    while older != NONE:
        ahead += core.orders[older].qty_e2
        older = core.orders[older].older
    return ahead
