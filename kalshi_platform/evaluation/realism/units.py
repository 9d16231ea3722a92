"""Units that the bootstrap resamples: blocks of a dataset, or half hours where there are too few blocks.

Block      an event, or the events that share a factor and a time (``data/dataset/blocks.py``).
Half hour  of the clock, UTC: markets that trade at the same time fall into the same one. Used where fewer
           than MIN_BLOCKS blocks are measured; differences between days are then not in the noise.
"""

from typing import Final, NamedTuple

import numpy as np

from kalshi_platform.data.dataset.entries import MarketEntries
from kalshi_platform.domain.units import NS_PER_SECOND
from kalshi_platform.evaluation.statistics.blocks import MIN_BLOCKS

HALF_HOUR_NS: Final = 1_800 * NS_PER_SECOND


class MarketUnits(NamedTuple):
    """Units that one market's values fall into: ``n`` of them from number ``first`` on."""

    first: int
    n: int
    begin_ns: int
    length_ns: int  # 0: the market lies in one unit

    def of(self, at_ns: np.ndarray) -> np.ndarray:
        """Place (k,) i8 of each time among the market's own units."""
        if self.length_ns == 0:
            return np.zeros(at_ns.size, np.int64)
        return np.clip((at_ns - self.begin_ns) // self.length_ns, 0, self.n - 1)


class Units(NamedTuple):
    """All units of a side, and those of each of its M markets in the order of ``entries``."""

    n: int
    is_time: bool
    of_market: tuple[MarketUnits, ...]

    @property
    def words(self) -> str:
        """Number and kind of the units."""
        if not self.is_time:
            return f"{self.n:,} blocks of events"
        return f"{self.n:,} half hours, because fewer than {MIN_BLOCKS} blocks of events are there"


def units_of(entries: MarketEntries) -> Units:
    """Units of ``entries``."""
    event = entries.numbers("event")
    block = entries.events.block[event]
    code = np.where(block >= 0, block + entries.events.n_events, event)
    found, place = np.unique(code, return_inverse=True)
    if found.size >= MIN_BLOCKS:
        return Units(found.size, False, tuple(MarketUnits(p, 1, 0, 0) for p in place.tolist()))
    first = entries.numbers("first_ns") // HALF_HOUR_NS
    last = entries.numbers("last_ns") // HALF_HOUR_NS
    hours = np.unique(np.concatenate([np.arange(a, b + 1) for a, b in zip(first, last, strict=True)]))
    begin = np.searchsorted(hours, first)
    return Units(
        hours.size,
        True,
        tuple(
            MarketUnits(b, n, a * HALF_HOUR_NS, HALF_HOUR_NS)
            for a, b, n in zip(first.tolist(), begin.tolist(), (last - first + 1).tolist(), strict=True)
        ),
    )
