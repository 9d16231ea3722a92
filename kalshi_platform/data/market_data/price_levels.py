"""Sizes of one market's price levels as a dense ladder, and the one rule by which a row changes a level.

Owns    depth[side, price_e4 // tick_e4]: i8, 1e-2 contract, by own-side bid price; on cents 101 a side.
Users   the door (``door.py``), which decides whether a row may enter, and the book (``data/book/ladder.py``),
        which also keeps best prices and totals. Both take a level's new size from :func:`size_after`.
Prices  strictly between 0 and 1 dollar: nobody can trade at 0.00 or 1.00. A level, delta, quote or print at
        one of them is put aside where it enters, and counted (``levels_outside_0_1``, say).
"""

from typing import Any

import numpy as np

from kalshi_platform.data.market_data.schema import SNAPSHOT
from kalshi_platform.domain.compiled import inline_kernel
from kalshi_platform.domain.units import DOLLAR_E4


def new_levels(tick_e4: int) -> np.ndarray:
    """Empty ladder (2, price levels) i8 of ``tick_e4``, which divides 10_000."""
    return np.zeros((2, DOLLAR_E4 // tick_e4 + 1), np.int64)


def finer_levels(depth: np.ndarray, tick_e4: int, finer_e4: int) -> np.ndarray:
    """The same sizes on a ladder of ``finer_e4``, which divides ``tick_e4``."""
    finer = new_levels(finer_e4)
    finer[:, :: tick_e4 // finer_e4] = depth
    return finer


@inline_kernel
def size_after(depth: np.ndarray, kind: int, side: int, level: int, qty_e2: int) -> int:
    """Size of ``depth[side, level]`` after a snapshot's level or a delta; below zero: the row is wrong."""
    return qty_e2 if kind == SNAPSHOT else depth[side, level] + qty_e2


@inline_kernel
def best_after(depth: np.ndarray, side: int, level: int, best: int) -> int:
    """Highest level of ``side`` that holds something, -1 if none, after ``depth[side, level]`` changed.

    ``best``: the highest one before. Scans only where that level emptied.
    """
    if depth[side, level] > 0:
        return max(level, best)
    if level == best:
        while best >= 0 and depth[side, best] == 0:
            best -= 1
    return best


def is_at_edge(price_e4: Any) -> Any:
    """True where a price (one, or an array of them) is 0.00 or 1.00, where nobody can trade."""
    return (price_e4 == 0) | (price_e4 == DOLLAR_E4)
