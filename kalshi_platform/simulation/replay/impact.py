"""Own impact: size that a slot took of displayed price levels, which is gone while it stays displayed.

Owns       the part of a slot's record that remembers it, and what is left of a level for the slot.
Invariant  for every price remembered 0 <= taken <= displayed on the last row seen, where the size is known;
           a price that is no longer displayed is forgotten, so that at most LEVELS are remembered a side.
Records    row: ROW_DTYPE (bank.py); slot: SLOT_DTYPE (state.py).
Units      prices 1e-4 dollar on the YES scale, sizes 1e-2 contract.
"""

from typing import Any, Final

from kalshi_platform.data.features.rows import LEVELS
from kalshi_platform.domain.compiled import kernel
from kalshi_platform.simulation.replay.planning import ExecutionParams

BID, ASK = 0, 1
#: Prices a slot and side whose liquidity is remembered as taken: all that can be displayed.
IMPACT_DEPTH: Final = LEVELS

#: Fields of a slot's record.
IMPACT_FIELDS: Final = [
    ("n_taken", "i4"),  # entries of taken_* in use
    ("taken_px_e4", "i4", (2, IMPACT_DEPTH)),  # NO_PRICE = unused
    ("taken_e2", "i8", (2, IMPACT_DEPTH)),
]


@kernel
def forget_impact(slot: Any) -> None:
    """Forget everything that the slot took."""
    slot.n_taken = 0
    for side in range(2):
        for k in range(IMPACT_DEPTH):
            slot.taken_px_e4[side, k] = -1
            slot.taken_e2[side, k] = 0


@kernel
def taken_e2(slot: Any, side: int, price_e4: int) -> int:
    """Size that the slot took of a level that is still displayed."""
    for k in range(IMPACT_DEPTH):
        if slot.taken_px_e4[side, k] == price_e4:
            return slot.taken_e2[side, k]
    return 0


@kernel
def remember(slot: Any, side: int, price_e4: int, qty_e2: int) -> None:
    """Count ``qty_e2`` as taken at a price that the last row displays."""
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
    left = slot.n_taken
    for side in range(2):
        for k in range(IMPACT_DEPTH):
            if left == 0:
                return
            price = slot.taken_px_e4[side, k]
            if price < 0:
                continue
            left -= 1
            shown = -1
            for level in range(LEVELS):
                px = row.bid_px_e4[level] if side == BID else row.ask_px_e4[level]
                if px == price:
                    qty = row.bid_qty_e2[level] if side == BID else row.ask_qty_e2[level]
                    shown = qty if qty >= 0 else slot.taken_e2[side, k]
                    break
                if px < 0 or (side == BID and px < price) or (side == ASK and px > price):
                    break  # levels are in order
            if shown < 0:
                slot.taken_px_e4[side, k] = -1
                slot.taken_e2[side, k] = 0
                slot.n_taken -= 1
            else:
                slot.taken_e2[side, k] = min(slot.taken_e2[side, k], shown)


@kernel
def price_e4_of(row: Any, side: int, level: int) -> int:
    """Price of one level of the row, best first; NO_PRICE where absent."""
    return int(row.ask_px_e4[level] if side == ASK else row.bid_px_e4[level])


@kernel
def free_e2(row: Any, slot: Any, side: int, level: int, params: ExecutionParams) -> int:
    """Size of a displayed level that the slot has not taken yet."""
    shown = int(row.ask_qty_e2[level] if side == ASK else row.bid_qty_e2[level])
    most = shown if shown >= 0 else params.unknown_fill_e2
    return max(most - taken_e2(slot, side, price_e4_of(row, side, level)), 0)
