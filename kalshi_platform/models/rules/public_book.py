"""Public-book signals of the rules: read from the bank's rows, so a rule needs no feature set of a policy.

Rule   the formulas are the feature table's (data/features/book_signals.py); a row's value comes from that row
       and earlier rows of its segment.
Units  prices in dollars.
"""

from typing import Final, NamedTuple

import numpy as np

from kalshi_platform.data.features.book_signals import N_PAST, write_imbalances, write_spread_signals
from kalshi_platform.data.features.rows import LEVELS
from kalshi_platform.simulation.replay.bank import PRINTS_ONLY, Bank
from kalshi_platform.simulation.replay.pages import reading

#: ``SpreadSignals.ratio`` of a spread that equals its mean, and of a market without a known spread.
AT_AVERAGE: Final = 0.5


class SpreadSignals(NamedTuple):
    """Spread and move of every row of a bank; R rows."""

    ratio: np.ndarray  # (R,) f4: s / (s + mean(s; 60 s)), s the spread
    move: np.ndarray  # (R,) f4: sum decayed(change of mid; 60 s), dollars


def imbalances(bank: Bank, rows: np.ndarray) -> np.ndarray:
    """Imbalance (N, S) f8, -1..1, of the five best levels a side at ``rows`` (N, S) of ``bank``; 0 at -1."""
    with reading(bank.arrays, rows) as arrays:
        at = arrays.rows[np.maximum(rows, 0).ravel()]
    out = np.empty(rows.size)
    write_imbalances(
        at["bid_qty_e2"].reshape(rows.size, LEVELS), at["ask_qty_e2"].reshape(rows.size, LEVELS), out
    )
    return np.where(rows >= 0, out.reshape(rows.shape), 0.0)


def spread_signals(bank: Bank) -> SpreadSignals:
    """Spread and move of every row of ``bank``; a market of prints alone shows neither."""
    segments, markets = bank.arrays.segments, bank.arrays.markets
    signals = SpreadSignals(np.full(bank.n_rows, AT_AVERAGE, np.float32), np.zeros(bank.n_rows, np.float32))
    past = np.zeros(N_PAST)
    for start, stop, market in zip(
        segments["start"].tolist(), segments["stop"].tolist(), segments["market"].tolist(), strict=True
    ):
        if markets["source"][market] != PRINTS_ONLY:
            own = slice(start, stop)
            with reading(bank.arrays, start) as arrays:
                rows = arrays.rows[own]
                columns = (rows["recv_ns"], rows["bid_px_e4"][:, 0], rows["ask_px_e4"][:, 0])
                recv_ns, bid_e4, ask_e4 = (np.ascontiguousarray(column) for column in columns)
            out = (signal[own] for signal in signals)
            write_spread_signals(recv_ns, bid_e4, ask_e4, 0, stop - start, past, *out)
    return signals
