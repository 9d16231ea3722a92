"""The loops of reading.py: bounds and places of the numbers of a request.

Shapes     M markets of a request, C columns it names, A active ones among them, N groups, S slots; ``slots``
           (A,) i8: g * S + s of each active market.
Invariant  where a kernel returns an index, a number is wrong and nothing of what was written counts.
"""

import numpy as np

from kalshi_platform.domain.compiled import kernel
from kalshi_platform.simulation.replay.account import HOLD, N_ACTIONS
from kalshi_platform.simulation.replay.layout import Layout


@kernel
def first_outside(rows: np.ndarray, low: np.ndarray, high: np.ndarray) -> int:
    """Index m * C + c of the first of ``rows`` (M, C) outside [low, high] (C,) or NaN; -1 where none is."""
    for m in range(rows.shape[0]):
        for c in range(rows.shape[1]):
            if not (rows[m, c] >= low[c] and rows[m, c] <= high[c]):
                return m * rows.shape[1] + c
    return -1


@kernel
def place_rows(
    rows: np.ndarray, slots: np.ndarray, bits: np.ndarray, layout: Layout, flat: np.ndarray
) -> None:
    """Lay ``rows`` (A, F + P) f4 and what is allowed out in ``flat`` (N, width) f4, all zeros.

    ``bits`` (A,) i8: bit a set where action a is allowed.
    """
    n_slots, n_market, n_portfolio = layout.n_slots, layout.n_market, layout.n_portfolio
    for n in range(flat.shape[0]):
        for s in range(n_slots):
            flat[n, layout.action_mask_at + s * N_ACTIONS + HOLD] = 1.0
    for m in range(rows.shape[0]):
        n, s = slots[m] // n_slots, slots[m] % n_slots
        for c in range(n_market):
            flat[n, s * n_market + c] = rows[m, c]
        for c in range(n_portfolio):
            flat[n, layout.portfolio_at + s * n_portfolio + c] = rows[m, n_market + c]
        flat[n, layout.slot_mask_at + s] = 1.0
        for a in range(N_ACTIONS):
            if bits[m] >> a & 1:
                flat[n, layout.action_mask_at + s * N_ACTIONS + a] = 1.0


@kernel
def place_windows(
    rows: np.ndarray, slots: np.ndarray, low: np.ndarray, high: np.ndarray, windows: np.ndarray
) -> int:
    """Write ``rows`` (A, K, H) to the end of each market's window in ``windows`` (N * S, W, H) f4, K <= W.

    Returns -1, or the index of the first market with a number outside [low, high] (H,).
    """
    first = windows.shape[1] - rows.shape[1]
    for m in range(rows.shape[0]):
        for k in range(rows.shape[1]):
            for c in range(rows.shape[2]):
                if not (rows[m, k, c] >= low[c] and rows[m, k, c] <= high[c]):
                    return m
                windows[slots[m], first + k, c] = rows[m, k, c]
    return -1
