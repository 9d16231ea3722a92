"""Signals of the public book, computed again from stored rows where the feature columns are not at hand.

Owns   no formula: ``yes_imbalance``, ``spread_ratio`` and the move behind ``mid_velocity`` are computed by
       the kernels that write the feature table.
Units  prices 1e-4 dollar on the YES scale, sizes 1e-2 contract, times ns; moves in dollars.
"""

import numpy as np

from kalshi_platform.data.features.microstructure import (
    IMBALANCE,
    MEAN_SPREAD,
    MID,
    MOVE,
    N_PAST,
    SPREAD,
    begin_past,
    decay_past,
)
from kalshi_platform.data.features.orderbook import imbalance_of, quote_of
from kalshi_platform.domain.compiled import kernel

__all__ = ["N_PAST", "write_imbalances", "write_spread_signals"]


@kernel
def write_imbalances(bid_qty_e2: np.ndarray, ask_qty_e2: np.ndarray, out: np.ndarray) -> None:
    """Write the imbalance, -1..1, of n rows' price levels (n, LEVELS) into ``out`` (n,)."""
    for r in range(out.size):
        bids = asks = 0
        for k in range(bid_qty_e2.shape[1]):
            bids += bid_qty_e2[r, k]
            asks += ask_qty_e2[r, k]
        out[r] = imbalance_of(bids, asks)


@kernel
def write_spread_signals(
    recv_ns: np.ndarray,
    bid_e4: np.ndarray,
    ask_e4: np.ndarray,
    start: int,
    stop: int,
    past: np.ndarray,
    ratio: np.ndarray,
    move: np.ndarray,
) -> None:
    """Write ``spread_ratio`` and the decayed move of the rows start..stop-1, one segment of one market.

    recv_ns, bid, ask (best), ratio, move: one entry a row; past (N_PAST,) f8 is scratch. A side without a
    price is an empty one.
    """
    for r in range(start, stop):
        mid, spread = quote_of(bid_e4[r], ask_e4[r], False)
        if r == start:
            begin_past(past, mid, spread, 0.0)
        else:
            decay_past(past, recv_ns[r] - recv_ns[r - 1], mid)
        past[SPREAD] = spread
        past[IMBALANCE] = 0.0
        past[MID] = mid
        both = spread + past[MEAN_SPREAD]
        ratio[r] = spread / both if both > 0.0 else 0.5
        move[r] = past[MOVE]
