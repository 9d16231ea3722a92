"""Feature set ``microstructure``: 12 features of how the book came to be as it is, formulas in ``spec.SPEC``.

Owns       sums over each side's price levels, the time since its best price stands, and decayed averages of
           spread, imbalance and mid over the past rows.
Invariant  no valid row knows anything from before a broken row: the averages begin anew at the first valid
           row after it, and invalid rows change none of them.
Unit       prices in dollars, times ns. Weights decay with time (60 s), not with the number of messages.
"""

import math
from typing import Final, NamedTuple

import numpy as np

from kalshi_platform.data.features.rows import LEVELS
from kalshi_platform.data.features.spec import MICROSTRUCTURE
from kalshi_platform.data.features.squash import exp_of, log_day, soft
from kalshi_platform.data.market_data.schema import NO, YES
from kalshi_platform.domain.compiled import inline_kernel
from kalshi_platform.domain.units import DOLLAR_E4, NO_TIME, NS_PER_MS, NS_PER_SECOND, UNKNOWN_QTY

_FIRST: Final = MICROSTRUCTURE.start
_DECAY_A_NS: Final = -1.0 / (60.0 * NS_PER_SECOND)
_BURST_NS: Final = 100 * NS_PER_MS
#: 1 / (1 + cents) at each distance in 1e-4 dollar; the last is that of an absent level (NO_PRICE) from 1.
_WEIGHT: Final = 100.0 / (100.0 + np.arange(DOLLAR_E4 + 2))
_HALF_MOVE: Final = 0.05
_HALF_BURST_MOVE: Final = 0.01
_HALF_BURST: Final = 7.0
_UNSEEN: Final = -2

#: Places in ``Micro.marks``: best price a side and since when (at place + side), messages of the burst before
#: this one, time of the last valid row (NO_TIME: begin anew).
BEST_E4, SINCE_NS, BURST, LAST_NS = 0, 2, 4, 5
_N_MARKS: Final = 6
#: Places in ``Micro.past``: weighted sum of a side's levels and its best level's share (at place + side),
#: of the last valid row: spread, imbalance, mid; their decayed past; mid at the burst's beginning.
WEIGHTED, SHARE, SPREAD, IMBALANCE, MID, MEAN_SPREAD, MEAN_IMBALANCE = 0, 2, 4, 5, 6, 7, 8
MOVE, SQUARES, MOVED, SEEN, BURST_MID = range(9, 14)
N_PAST: Final = 14


class Micro(NamedTuple):
    """Memory of the feature set; the kernels change it in place."""

    marks: np.ndarray  # (6,) i8
    past: np.ndarray  # (14,) f8


def new_micro() -> Micro:
    """Memory of a market before its first message."""
    marks = np.zeros(_N_MARKS, np.int64)
    marks[BEST_E4 : BEST_E4 + 2] = _UNSEEN
    marks[LAST_NS] = NO_TIME
    return Micro(marks, np.zeros(N_PAST))


@inline_kernel
def note_side(
    marks: np.ndarray,
    past: np.ndarray,
    side: int,
    px_e4: np.ndarray,
    qty_e2: np.ndarray,
    row: int,
    size_e2: int,
    deep: bool,
    now_ns: int,
) -> None:
    """Remember a side whose levels the message touched: px, qty (n, LEVELS), in ``row``, on the YES scale.

    size_e2: total of the levels, UNKNOWN_QTY where not known; deep: more than the best price is known.
    """
    best_e4 = px_e4[row, 0]
    if best_e4 != marks[BEST_E4 + side]:
        marks[BEST_E4 + side] = best_e4
        marks[SINCE_NS + side] = now_ns
    weighted = 0.0
    for k in range(LEVELS):
        # an absent level holds nothing, whatever its distance
        weighted += qty_e2[row, k] * _WEIGHT[abs(px_e4[row, k] - best_e4)]
    past[WEIGHTED + side] = UNKNOWN_QTY if size_e2 < 0 else weighted
    past[SHARE + side] = qty_e2[row, 0] / size_e2 if deep and size_e2 > 0 else 0.0


@inline_kernel
def begin_past(past: np.ndarray, mid: float, spread: float, imbalance: float) -> None:
    """Begin the decayed averages anew at the first valid row after a broken one."""
    past[MEAN_SPREAD] = spread
    past[MEAN_IMBALANCE] = imbalance
    past[MOVE] = past[SQUARES] = past[MOVED] = 0.0
    past[SEEN] = 1.0
    past[BURST_MID] = mid


@inline_kernel
def decay_past(past: np.ndarray, elapsed_ns: int, mid: float) -> None:
    """Move the decayed averages to the next valid row; the last row's spread and imbalance held until now."""
    kept = exp_of(elapsed_ns * _DECAY_A_NS)
    spread, imbalance, change = past[SPREAD], past[IMBALANCE], mid - past[MID]
    mean_spread = spread + kept * (past[MEAN_SPREAD] - spread)
    mean_imbalance = imbalance + kept * (past[MEAN_IMBALANCE] - imbalance)
    move = past[MOVE] * kept + change
    squares = past[SQUARES] * kept + change * change
    moved = past[MOVED] * kept + (1.0 if change != 0.0 else 0.0)
    seen = past[SEEN] * kept + 1.0
    past[MEAN_SPREAD] = mean_spread
    past[MEAN_IMBALANCE] = mean_imbalance
    past[MOVE] = move
    past[SQUARES] = squares
    past[MOVED] = moved
    past[SEEN] = seen


@inline_kernel
def _write_book_shape(out: np.ndarray, row: int, marks: np.ndarray, past: np.ndarray, now_ns: int) -> None:
    """Write the features depth_pressure to ask_age, from the sides as :func:`note_side` remembers them."""
    bids, asks = past[WEIGHTED + YES], past[WEIGHTED + NO]
    bid_share, ask_share = past[SHARE + YES], past[SHARE + NO]
    bid_ns, ask_ns = marks[SINCE_NS + YES], marks[SINCE_NS + NO]
    pressure = 0.0
    if bids >= 0.0 and asks >= 0.0 and bids + asks > 0.0:
        pressure = (bids - asks) / (bids + asks)
    bid_age, ask_age = log_day(now_ns - bid_ns), log_day(now_ns - ask_ns)
    out[row, _FIRST] = pressure
    out[row, _FIRST + 1] = bid_share
    out[row, _FIRST + 2] = ask_share
    out[row, _FIRST + 3] = bid_age
    out[row, _FIRST + 4] = ask_age


@inline_kernel
def _write_past(
    out: np.ndarray, row: int, past: np.ndarray, n_burst: int, mid: float, spread: float, imbalance: float
) -> None:
    """Write the features spread_ratio to moving_share of a valid row."""
    both = spread + past[MEAN_SPREAD]
    ratio = spread / both if both > 0.0 else 0.5
    velocity = soft(past[MOVE], _HALF_MOVE)
    volatility = soft(math.sqrt(past[SQUARES]), _HALF_MOVE)
    change = 0.5 * (imbalance - past[MEAN_IMBALANCE])
    share = past[MOVED] / past[SEEN]
    direction = soft(mid - past[BURST_MID], _HALF_BURST_MOVE) if n_burst > 0 else 0.0
    out[row, _FIRST + 5] = ratio
    out[row, _FIRST + 6] = velocity
    out[row, _FIRST + 7] = volatility
    out[row, _FIRST + 9] = direction
    out[row, _FIRST + 10] = change
    out[row, _FIRST + 11] = share


@inline_kernel
def write_microstructure(
    out: np.ndarray,
    row: int,
    marks: np.ndarray,
    past: np.ndarray,
    now_ns: int,
    gap_ns: int,
    valid: bool,
    mid: float,
    spread: float,
    imbalance: float,
) -> None:
    """Advance by one message and write the feature set into ``out[row]``, out (n, F) f4.

    gap_ns: time since the market's previous message, -1 at its first. The caller has noted the sides
    (:func:`note_side`). An invalid row gets an average spread and nothing moving.
    """
    _write_book_shape(out, row, marks, past, now_ns)
    n_burst = 0
    if 0 <= gap_ns < _BURST_NS:
        n_burst = marks[BURST] + 1
    else:
        past[BURST_MID] = mid
    marks[BURST] = n_burst
    out[row, _FIRST + 8] = n_burst / (n_burst + _HALF_BURST) if n_burst > 0 else 0.0
    if not valid:
        marks[LAST_NS] = NO_TIME
        out[row, _FIRST + 5] = 0.5
        for k in (6, 7, 9, 10, 11):
            out[row, _FIRST + k] = 0.0
        return
    last_ns = marks[LAST_NS]
    if last_ns == NO_TIME:
        begin_past(past, mid, spread, imbalance)
    else:
        decay_past(past, now_ns - last_ns, mid)
    past[SPREAD] = spread
    past[IMBALANCE] = imbalance
    past[MID] = mid
    marks[LAST_NS] = now_ns
    _write_past(out, row, past, n_burst, mid, spread, imbalance)
