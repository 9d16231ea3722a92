"""The place of a resting order in the queue at its price: how much stands ahead, and what takes it away.

Joins      an order stands behind all that is displayed at its price when it arrives.
Advances   by prints at its price. And less displayed at a burst's end than stands ahead proves that some of
           it left: no more can stand ahead of an order than is displayed at its price.
Late       a level may shrink before the print that did it arrives (trades of another file, another channel).
           So prints within LATE_NS of a cut count against what was cut first, and nothing is counted twice.
Records    what stood ahead of every order that filled, and what of it traded, for reports.
Records    row: ROW_DTYPE, market: MARKET_DTYPE (bank.py); slot: SLOT_DTYPE (state.py).
Units      prices 1e-4 dollar on the YES scale, sizes 1e-2 contract, time ns.
"""

from typing import Any, Final

from kalshi_platform.data.features.rows import LEVELS
from kalshi_platform.domain.compiled import kernel
from kalshi_platform.domain.units import NS_PER_SECOND
from kalshi_platform.simulation.replay.bank import FULL_DEPTH, PRINTS_ONLY

#: Queue ahead of an order where the displayed size is not known: only a print through it fills.
QUEUE_UNKNOWN: Final = 1 << 62
#: A print counts as the cause of a cut so long after it (a level-2 fill is its trade within as long).
LATE_NS: Final = 2 * NS_PER_SECOND

#: Fields of a slot's record, of its resting order.
QUEUE_FIELDS: Final = [
    ("queue_e2", "i8"),  # size ahead
    ("cut_e2", "i8"),  # size that left the queue because less is displayed, less late prints
    ("cut_until_ns", "i8"),  # until then a print may be the cause of it
    ("placed_qty_e2", "i8"),  # the order's own size when it came to rest
    ("placed_ahead_e2", "i8"),  # size ahead of it then
    ("passed_e2", "i8"),  # prints at its price since then that met what was ahead
]


@kernel
def displayed_ahead_e2(row: Any, market: Any, price_e4: int, up: bool) -> int:
    """Displayed size at the order's own price; QUEUE_UNKNOWN where nobody can know it."""
    if market.source == PRINTS_ONLY:
        return QUEUE_UNKNOWN
    for level in range(LEVELS if market.source == FULL_DEPTH else 1):
        px = row.bid_px_e4[level] if up else row.ask_px_e4[level]
        if px < 0 or (up and px < price_e4) or (not up and px > price_e4):
            return 0
        if px == price_e4:
            shown = row.bid_qty_e2[level] if up else row.ask_qty_e2[level]
            return shown if shown >= 0 else QUEUE_UNKNOWN
    return QUEUE_UNKNOWN  # deeper than the levels that are known


@kernel
def join_queue(slot: Any, ahead_e2: int) -> None:
    """Put the slot's order, of the size it has now, behind ``ahead_e2``."""
    slot.queue_e2 = ahead_e2
    slot.cut_e2 = 0
    slot.placed_qty_e2 = slot.order_qty_e2
    slot.placed_ahead_e2 = ahead_e2
    slot.passed_e2 = 0


@kernel
def cut_queue(row: Any, market: Any, slot: Any, up: bool, now_ns: int) -> None:
    """Cut the queue to the size displayed at a burst's end."""
    if slot.queue_e2 == 0:
        return
    shown_e2 = displayed_ahead_e2(row, market, slot.order_price_e4, up)
    if shown_e2 >= slot.queue_e2:
        return
    kept_e2 = slot.cut_e2 if now_ns <= slot.cut_until_ns else 0
    slot.cut_e2 = kept_e2 + slot.queue_e2 - shown_e2
    slot.cut_until_ns = now_ns + LATE_NS
    slot.queue_e2 = shown_e2


@kernel
def pass_queue(slot: Any, printed_e2: int, now_ns: int) -> int:
    """Let a print at the order's price meet what stands ahead; returns the size left for the order."""
    if slot.queue_e2 == QUEUE_UNKNOWN:
        return 0
    cut_e2 = slot.cut_e2 if now_ns <= slot.cut_until_ns else 0
    of_cut_e2 = min(printed_e2, cut_e2)
    of_queue_e2 = min(printed_e2 - of_cut_e2, slot.queue_e2)
    slot.cut_e2 = cut_e2 - of_cut_e2
    slot.queue_e2 -= of_queue_e2
    slot.passed_e2 += of_cut_e2 + of_queue_e2
    return printed_e2 - of_cut_e2 - of_queue_e2


@kernel
def count_queue(slot: Any) -> None:
    """Count what stood ahead of an order that now fills for the first time, where that was known."""
    if slot.placed_ahead_e2 != QUEUE_UNKNOWN:
        slot.n_queued += 1
        slot.ahead_e2 += slot.placed_ahead_e2
        slot.passed_ahead_e2 += slot.passed_e2
