"""The columns a replay steps over: one row a message of one market.

Owns   the struct-of-arrays written by the feature kernel and read by the replay environment.
Units  prices 1e-4 dollar on the YES scale (an ask is 10_000 - the NO bid), sizes 1e-2 contract.
Not    the outcome of the market: it lies in the dataset's settlements and never in a row.

valid      INVALID: never stepped over. VALID: the book is proven and the market trades. CROSSED: the same,
           but the best bid is not below the best ask, as amid a change that takes several messages. A crossed
           row stays in its segment; nothing is decided and nothing fills on it. A book of prints
           (trade-implied) is never crossed.
burst_end  see bursts.py; 1 in every row of a live stream, which matches nothing.
"""

from typing import Final, NamedTuple

import numpy as np

#: Price levels kept a side, best first; absent levels are NO_PRICE with size 0.
LEVELS: Final = 5  # price levels
#: Values of ``Rows.valid``.
INVALID, VALID, CROSSED = range(3)


class Rows(NamedTuple):
    """n rows of one market, ordered by ``recv_ns``."""

    recv_ns: np.ndarray  # (n,) i8
    valid: np.ndarray  # (n,) u1: INVALID, VALID or CROSSED
    bid_px_e4: np.ndarray  # (n, LEVELS) i4, YES bids, best (highest) first
    bid_qty_e2: np.ndarray  # (n, LEVELS) i8; UNKNOWN_QTY where not recorded
    ask_px_e4: np.ndarray  # (n, LEVELS) i4, YES asks, best (lowest) first
    ask_qty_e2: np.ndarray  # (n, LEVELS) i8
    print_px_e4: np.ndarray  # (n,) i4: price of the trade in this message; NO_PRICE if none
    print_qty_e2: np.ndarray  # (n,) i8
    print_side: np.ndarray  # (n,) u1: the taker's outcome; NO_SIDE if none
    burst_end: np.ndarray  # (n,) u1: 1 = the last row of its burst
    known: np.ndarray  # (n,) u2: step of the market's history (``MarketHistory.known``) that held
    features: np.ndarray  # (n, F) f4: columns of the feature table, all stored feature sets, in table order


def empty(n: int, n_features: int) -> Rows:
    """Zeroed columns for ``n`` rows with ``n_features`` features, each row a burst of its own."""
    return Rows(
        recv_ns=np.zeros(n, "i8"),
        valid=np.zeros(n, "u1"),
        bid_px_e4=np.zeros((n, LEVELS), "i4"),
        bid_qty_e2=np.zeros((n, LEVELS), "i8"),
        ask_px_e4=np.zeros((n, LEVELS), "i4"),
        ask_qty_e2=np.zeros((n, LEVELS), "i8"),
        print_px_e4=np.zeros(n, "i4"),
        print_qty_e2=np.zeros(n, "i8"),
        print_side=np.zeros(n, "u1"),
        burst_end=np.ones(n, "u1"),
        known=np.zeros(n, "u2"),
        features=np.zeros((n, n_features), "f4"),
    )


def take(rows: Rows, index: slice) -> Rows:
    """View of the rows in ``index``."""
    return Rows(*(column[index] for column in rows))


def find_segments(valid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Starts and stops of the runs of non-zero ``valid``.

    Runs of one row are left out, nothing can step in them.
    """
    edges = np.flatnonzero(np.diff(np.concatenate(([0], (valid != 0).astype(np.int8), [0]))))
    starts, stops = edges[::2], edges[1::2]
    long_enough = stops - starts >= 2
    return starts[long_enough], stops[long_enough]
