"""Rows of one message written by hand, as a feature stream gives them."""

import numpy as np

from kalshi_platform.data.features.rows import Rows, empty
from kalshi_platform.data.features.spec import N_ROW_FEATURES, TEMPORAL


def row_of(now_ns: int, valid: int = 1, bid: int = 4_000, ask: int = 5_000, temporal: float = 0.5) -> Rows:
    """One row with one level a side (-1: none); every temporal feature is ``temporal``."""
    row = empty(1, N_ROW_FEATURES)
    row.recv_ns[0], row.valid[0] = now_ns, valid
    row.bid_px_e4[:] = row.ask_px_e4[:] = row.print_px_e4[:] = -1
    row.bid_px_e4[0, 0], row.ask_px_e4[0, 0] = bid, ask
    row.bid_qty_e2[0, 0] = row.ask_qty_e2[0, 0] = 100
    row.features[0, list(TEMPORAL)] = np.float32(temporal)
    return row
