"""Prints written by hand, (second, price, size, taker) and an id each, as one file of a market holds them."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from kalshi_platform.data.market_data.importers.prints import NO_ID, Prints
from kalshi_platform.data.market_data.schema import FLAG_LAST, TRADE, empty

Print = tuple[float, int, int, int]
"""Second, YES price (1e-4 dollar), size (1e-2 contract), outcome that the taker bought."""
T0_S = 1_700_000_000


def made_prints(
    prints: Sequence[Print], ids: Sequence[int] | None = None, heard_ns: Sequence[int] | None = None
) -> Prints:
    """Prints received at the exchange's time, or at ``heard_ns``; without ``ids`` none has one."""
    rows = empty(len(prints))
    rows.kind[:], rows.flags[:] = TRADE, FLAG_LAST
    rows.exch_ns[:] = [T0_S * 10**9 + round(p[0] * 10**9) for p in prints]
    rows.recv_ns[:] = rows.exch_ns if heard_ns is None else heard_ns
    rows.price_e4[:] = [p[1] for p in prints]
    rows.qty_e2[:] = [p[2] for p in prints]
    rows.side[:] = [p[3] for p in prints]
    return Prints(rows, np.array([NO_ID] * len(prints) if ids is None else ids, np.int64))


def multiset(prints: Prints) -> Counter[Print]:
    """How often each print is there."""
    seconds = (prints.rows.exch_ns - T0_S * 10**9) / 10**9
    rows = prints.rows
    columns = (seconds.tolist(), rows.price_e4.tolist(), rows.qty_e2.tolist(), rows.side.tolist())
    return Counter(zip(*columns, strict=True))
