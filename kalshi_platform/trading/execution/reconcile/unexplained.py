"""Money at which a change of position is booked that no fill explains: no result may be made up.

Left     contracts that are gone count at what they cost, or at their mark where that is less. Nothing tells
         that they were sold, let alone dearer: what they had gained is taken back, what they had lost stays
         lost. A trade that the exchange took back, or a damaged row of ours, is put right by the cost.
Came     contracts that we did not know count at what the exchange says that they cost, or at their mark where
         that is more. Where it tells no cost, a position from nothing counts a dollar each: so much may be
         lost. Its gain until its first price is no result, nor its loss where no price was known as it came
         (results.py).
Paid     where the market is settled, what it paid is one more such mark, and the only one of a position from
         nothing.
Turned   a position that changes its side left whole, and another one came.
Cash     is compared and corrected by itself, and no result: what such a change brought or took is in there.
"""

from collections.abc import Iterator
from typing import NamedTuple

from kalshi_platform.domain.units import DOLLAR_E4
from kalshi_platform.trading.execution.orders.positions import MarketPosition, payout_e6


class Correction(NamedTuple):
    """Change of a position, and the cost of its contracts as if bought: YES where plus, NO where minus."""

    change_e2: int
    cost_e6: int


def corrections(
    market: MarketPosition, theirs_e2: int, told_e6: int = 0, value_e4: int | None = None
) -> list[Correction]:
    """Return what makes our position theirs, in this order.

    ``told_e6``: cost of their whole position by the exchange; 0 where it tells none. ``value_e4``: what one
    YES paid; None where the market is not settled.
    """
    return list(_corrections(market, theirs_e2, told_e6, value_e4))


def _corrections(
    market: MarketPosition, theirs_e2: int, told_e6: int, value_e4: int | None
) -> Iterator[Correction]:
    """Yield the part that left, then the part that came."""
    ours_e2 = market.position_e2
    kept_e2 = min(ours_e2, theirs_e2, key=abs) if ours_e2 * theirs_e2 > 0 else 0
    left_e2, came_e2 = ours_e2 - kept_e2, theirs_e2 - kept_e2
    if left_e2:
        share_e6 = market.cost_e6 * abs(left_e2) // abs(ours_e2)
        brought_e6 = min(share_e6, *_worths_e6(market, left_e2, value_e4))
        yield Correction(-left_e2, DOLLAR_E4 * abs(left_e2) - brought_e6)
    if came_e2 and kept_e2:
        worths = _worths_e6(market, came_e2, value_e4)
        yield Correction(came_e2, min(max(told_e6 - market.cost_e6, *worths), DOLLAR_E4 * abs(came_e2)))
    elif came_e2:
        yield Correction(came_e2, cost_from_nothing_e6(came_e2, told_e6, value_e4))


def cost_from_nothing_e6(position_e2: int, told_e6: int, value_e4: int | None = None) -> int:
    """Cost of a position that was taken over where none was before."""
    if value_e4 is not None:
        return payout_e6(position_e2, value_e4)
    most_e6 = DOLLAR_E4 * abs(position_e2)  # no contract costs more
    return min(told_e6, most_e6) if told_e6 > 0 else most_e6


def _worths_e6(market: MarketPosition, part_e2: int, value_e4: int | None) -> list[int]:
    """Worth of a part of a position at each price that is known: its mark, and what the market paid."""
    return [payout_e6(part_e2, price) for price in (market.mark_e4 or 0, value_e4) if price is not None]
