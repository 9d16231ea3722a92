"""Public-book signals of the rules: read from the bank's rows, so a rule needs no feature set of a policy.

Owns   the imbalance of a row, and the spread and the move of a row beside those of the last minute.
Rule   the formulas are the feature table's (``yes_imbalance``, ``spread_ratio``, ``mid_velocity``), computed
       by its own kernels; a row's value comes from that row and earlier rows of its segment.
Units  prices in dollars.
"""

from typing import Any, Final, NamedTuple

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
from kalshi_platform.data.features.rows import LEVELS
from kalshi_platform.domain.compiled import kernel
from kalshi_platform.simulation.replay.bank import PRINTS_ONLY, Bank

_AVERAGE: Final = 0.5


class SpreadSignals(NamedTuple):
    """Spread and move of every row of a bank; R rows."""

    ratio: np.ndarray  # (R,) f4: s / (s + mean(s; 60 s)); 0.5 at the average and where no spread is known
    move: np.ndarray  # (R,) f4: sum decayed(change of mid; 60 s), dollars


@kernel
def write_imbalances(all_rows: Any, rows: np.ndarray, out: np.ndarray) -> None:
    """Write the imbalance of the five best levels at ``rows`` (N, S) into ``out``; 0 in an empty slot."""
    for n in range(rows.shape[0]):
        for s in range(rows.shape[1]):
            out[n, s] = 0.0
            if rows[n, s] < 0:
                continue
            row = all_rows[rows[n, s]]
            bids = asks = 0
            for k in range(LEVELS):
                bids += row.bid_qty_e2[k]
                asks += row.ask_qty_e2[k]
            out[n, s] = imbalance_of(bids, asks)


@kernel
def write_spread_signals(
    all_rows: Any, segments: Any, markets: Any, past: np.ndarray, ratio: np.ndarray, move: np.ndarray
) -> None:
    """Write ``SpreadSignals`` of every row of a segment; ``past`` (N_PAST,) f8 is scratch.

    A market of prints alone shows no spread: its rows keep what ``ratio`` and ``move`` hold.
    """
    for g in range(segments.shape[0]):
        segment = segments[g]
        if markets[segment.market].source == PRINTS_ONLY:
            continue
        for r in range(segment.start, segment.stop):
            mid, spread = quote_of(all_rows[r].bid_px_e4[0], all_rows[r].ask_px_e4[0], False)
            if r == segment.start:
                begin_past(past, mid, spread, 0.0)
            else:
                decay_past(past, all_rows[r].recv_ns - all_rows[r - 1].recv_ns, mid)
            past[SPREAD] = spread
            past[IMBALANCE] = 0.0
            past[MID] = mid
            both = spread + past[MEAN_SPREAD]
            if both > 0.0:
                ratio[r] = spread / both
            move[r] = past[MOVE]


def imbalances(bank: Bank, rows: np.ndarray) -> np.ndarray:
    """Imbalance (N, S) f8, -1..1, of the five best levels a side at ``rows`` (N, S) of ``bank``."""
    out = np.empty(rows.shape)
    write_imbalances(bank.arrays.rows, rows, out)
    return out


def spread_signals(bank: Bank) -> SpreadSignals:
    """Spread and move of every row of ``bank``."""
    arrays = bank.arrays
    signals = SpreadSignals(np.full(bank.n_rows, _AVERAGE, np.float32), np.zeros(bank.n_rows, np.float32))
    write_spread_signals(arrays.rows, arrays.segments, arrays.markets, np.zeros(N_PAST), *signals)
    return signals
