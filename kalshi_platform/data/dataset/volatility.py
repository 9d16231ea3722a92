"""One number for how much a market's price moved; curricula sort markets by it."""

import numpy as np

from kalshi_platform.data.features.rows import VALID, Rows
from kalshi_platform.domain.units import DOLLAR_E4, NO_PRICE


def mid_volatility(rows: Rows) -> float:
    """Time-weighted standard deviation of the mid, dollars.

    A row weighs the time until the next row. Rows with an invalid or crossed book or without a price on both
    sides weigh nothing; 0 where no time is left.
    """
    if rows.recv_ns.size < 2:
        return 0.0
    bid, ask = rows.bid_px_e4[:-1, 0], rows.ask_px_e4[:-1, 0]
    counts = (rows.valid[:-1] == VALID) & (bid != NO_PRICE) & (ask != NO_PRICE)
    weight_s = np.diff(rows.recv_ns)[counts] * 1e-9
    if not weight_s.sum() > 0:
        return 0.0
    mid = (bid[counts].astype(np.float64) + ask[counts]) / (2 * DOLLAR_E4)
    mean = np.average(mid, weights=weight_s)
    return float(np.sqrt(np.average((mid - mean) ** 2, weights=weight_s)))
