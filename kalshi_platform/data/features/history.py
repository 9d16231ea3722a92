"""History windows: the last W rows of a market's temporal features, never over a break.

A segment is a run of rows over which replay may step; it ends at every invalid row. A window does not reach
beyond its own segment, so a model never sees rows joined over lost messages.
"""

import numpy as np

from kalshi_platform.domain.compiled import kernel


@kernel
def segment_age(valid: np.ndarray, age: np.ndarray) -> None:
    """Write for every row how many rows of its unbroken segment came before it.

    valid (R,) u1, rows of one market in order; age (R,) i4, written. Invalid rows belong to no segment: 0.
    """
    run = 0
    for r in range(valid.size):
        age[r] = run if valid[r] else 0
        run = run + 1 if valid[r] else 0


@kernel
def gather_windows(temporal: np.ndarray, age: np.ndarray, rows: np.ndarray, out: np.ndarray) -> None:
    """Write the window that ends at each of ``rows``, zero-padded on the left.

    temporal (R, C) f4; age (R,) i4 of :func:`segment_age`; rows (U,) i8, -1 = no row: all zeros;
    out (U, W, C) f4: out[u, W - 1] is row rows[u], out[u, 0] the one W - 1 rows before it.
    """
    n_columns = temporal.shape[1]
    width = out.shape[1]
    for u in range(rows.size):
        row = rows[u]
        known = 0 if row < 0 else min(age[row] + 1, width)
        blank = width - known
        for w in range(blank):
            for c in range(n_columns):
                out[u, w, c] = 0.0
        first = row - known + 1
        for k in range(known):
            for c in range(n_columns):
                out[u, blank + k, c] = temporal[first + k, c]


def warm(width: int = 1) -> None:
    """Compile the kernels (or load them from the cache) before the first window matters."""
    age = np.zeros(1, np.int32)
    segment_age(np.ones(1, np.uint8), age)
    gather_windows(
        np.zeros((1, 1), np.float32), age, np.zeros(1, np.int64), np.empty((1, width, 1), np.float32)
    )
