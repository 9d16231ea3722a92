"""Feature set ``trade_flow``: 6 features of who traded what lately, formulas in ``spec.SPEC``.

Owns       the ring of trades: every trade of the last 5 minutes and always the last 20; running sums over
           them and the contracts traded so far. Block trades never come here.
Invariant  sums are integers, so a trade that leaves the window leaves no rounding behind; a trade at t is in
           the window at ``now`` iff now - t < 5 minutes.
"""

import math
from typing import Final, NamedTuple

import numpy as np

from kalshi_platform.data.features.spec import TRADE_FLOW
from kalshi_platform.data.features.squash import tanh
from kalshi_platform.data.market_data.schema import NO, YES
from kalshi_platform.domain.compiled import inline_kernel
from kalshi_platform.domain.units import CONTRACT_E2, DOLLAR_E4, NS_PER_SECOND

_FIRST: Final = TRADE_FLOW.start
_WINDOW_NS: Final = 300 * NS_PER_SECOND
_LARGE_E2: Final = 100 * CONTRACT_E2
_LAST: Final = 10
_LOG_CAPACITY: Final = math.log1p(1_000_000.0)

#: Smallest ring: holds the 2 x 10 last trades whatever their age. Sizes are powers of two.
MIN_RING: Final = 32
#: Columns of the ring.
_NS, _SIDE, _PRICE_E4, _QTY_E2 = range(4)
#: Places in ``TradeFlow.sums``: trades so far and those that left the window; contracts (1e-2) and large
#: trades by side, at place + side; price x contracts; contracts of the last 10 trades and of the 10 before;
#: contracts of the whole recording; 1 where the window changed since the levels were computed.
HEAD, TAIL, VOLUME, LARGE, NOTIONAL, RECENT, OLDER, TRADED, CHANGED = 0, 1, 2, 4, 6, 7, 8, 9, 10
_N_SUMS: Final = 11
#: Places in ``TradeFlow.levels``, computed where the window changed.
_NET, _LARGE_YES, _LARGE_NO, _ACCELERATION, _PRICE, CAPACITY = range(6)


class TradeFlow(NamedTuple):
    """Trades of one market; the kernels change them in place."""

    ring: np.ndarray  # (power of two, 4) i8: ns, taker's side, YES price, size
    sums: np.ndarray  # (11,) i8
    levels: np.ndarray  # (6,) f8


def new_trade_flow(size: int = 256) -> TradeFlow:
    """Trades before the first one; ``size`` trades fit into 5 minutes before :func:`grown` is needed."""
    return TradeFlow(np.zeros((max(size, MIN_RING), 4), np.int64), np.zeros(_N_SUMS, np.int64), np.zeros(6))


def grown(flow: TradeFlow) -> TradeFlow:
    """Ring with the same trades and room for twice as many."""
    size = flow.ring.shape[0]
    ring = np.zeros((2 * size, 4), np.int64)
    head = int(flow.sums[HEAD])
    kept = np.arange(max(0, head - size), head)
    ring[kept & (2 * size - 1)] = flow.ring[kept & (size - 1)]
    return flow._replace(ring=ring)


@inline_kernel
def _expire(ring: np.ndarray, sums: np.ndarray, now_ns: int) -> None:
    """Subtract from the sums the trades that left the window."""
    mask = ring.shape[0] - 1
    while sums[TAIL] < sums[HEAD] and now_ns - ring[sums[TAIL] & mask, _NS] >= _WINDOW_NS:
        slot = sums[TAIL] & mask
        side, qty_e2 = ring[slot, _SIDE], ring[slot, _QTY_E2]
        sums[VOLUME + side] -= qty_e2
        sums[LARGE + side] -= 1 if qty_e2 >= _LARGE_E2 else 0
        sums[NOTIONAL] -= qty_e2 * ring[slot, _PRICE_E4]
        sums[TAIL] += 1
        sums[CHANGED] = 1


@inline_kernel
def has_trade_room(ring: np.ndarray, sums: np.ndarray, now_ns: int) -> bool:
    """True where a trade at ``now_ns`` fits without pushing out one that the window still counts."""
    if sums[HEAD] - sums[TAIL] < ring.shape[0]:
        return True
    _expire(ring, sums, now_ns)
    return sums[HEAD] - sums[TAIL] < ring.shape[0]


@inline_kernel
def add_trade(ring: np.ndarray, sums: np.ndarray, now_ns: int, side: int, price_e4: int, qty_e2: int) -> None:
    """Count a trade at ``now_ns``: taker's ``side``, price on the YES scale; the caller has made room."""
    mask = ring.shape[0] - 1
    head = sums[HEAD]
    sums[RECENT] += qty_e2
    if head >= _LAST:
        middle_e2 = ring[(head - _LAST) & mask, _QTY_E2]
        sums[RECENT] -= middle_e2
        sums[OLDER] += middle_e2
    if head >= 2 * _LAST:
        sums[OLDER] -= ring[(head - 2 * _LAST) & mask, _QTY_E2]
    slot = head & mask
    ring[slot, _NS] = now_ns
    ring[slot, _SIDE] = side
    ring[slot, _PRICE_E4] = price_e4
    ring[slot, _QTY_E2] = qty_e2
    sums[HEAD] += 1
    sums[VOLUME + side] += qty_e2
    sums[LARGE + side] += 1 if qty_e2 >= _LARGE_E2 else 0
    sums[NOTIONAL] += qty_e2 * price_e4
    sums[TRADED] += qty_e2
    sums[CHANGED] = 1


@inline_kernel
def _compute(sums: np.ndarray, levels: np.ndarray) -> None:
    yes_e2, no_e2 = sums[VOLUME + YES], sums[VOLUME + NO]
    n_trades = sums[HEAD] - sums[TAIL]
    volume_e2 = yes_e2 + no_e2
    levels[_NET] = (yes_e2 - no_e2) / volume_e2 if volume_e2 > 0 else 0.0
    levels[_LARGE_YES] = sums[LARGE + YES] / n_trades if n_trades > 0 else 0.0
    levels[_LARGE_NO] = sums[LARGE + NO] / n_trades if n_trades > 0 else 0.0
    levels[_PRICE] = sums[NOTIONAL] / volume_e2 / DOLLAR_E4 if volume_e2 > 0 else 0.0
    levels[_ACCELERATION] = 0.0
    if sums[HEAD] >= 2 * _LAST:
        older_e2 = sums[OLDER]
        levels[_ACCELERATION] = tanh((sums[RECENT] - older_e2) / max(older_e2, CONTRACT_E2))
    levels[CAPACITY] = min(math.log(1.0 + sums[TRADED] / CONTRACT_E2) / _LOG_CAPACITY, 1.0)
    sums[CHANGED] = 0


@inline_kernel
def write_trade_flow(
    out: np.ndarray, row: int, ring: np.ndarray, sums: np.ndarray, levels: np.ndarray, now_ns: int, mid: float
) -> None:
    """Write the feature set as it stands at ``now_ns`` into ``out[row]``, out (n, F) f4.

    ``mid`` in dollars.
    """
    _expire(ring, sums, now_ns)
    if sums[CHANGED] != 0:
        _compute(sums, levels)
    out[row, _FIRST] = levels[_NET]
    out[row, _FIRST + 1] = 0.0 - levels[_NET]  # not -x: no negative zero
    out[row, _FIRST + 2] = levels[_LARGE_YES]
    out[row, _FIRST + 3] = levels[_LARGE_NO]
    out[row, _FIRST + 4] = levels[_ACCELERATION]
    out[row, _FIRST + 5] = levels[_PRICE] - mid if sums[VOLUME + YES] + sums[VOLUME + NO] > 0 else 0.0
