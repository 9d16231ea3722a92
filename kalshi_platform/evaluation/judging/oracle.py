"""The hindsight optimum of one market: the most that a trader of one order's size could have made.

Owns   a dynamic program over a market's rows with positions NO, flat, YES of one order each.
Units  1e-6 dollar for ``qty_e2`` = 1e-2 contract; prices 1e-4 dollar.
Not    a policy: it reads the future and the outcome, and serves only to measure a result by.

Position q at row t earns by moving at the best bid and ask of row t with taker fees, and at the end by
settlement (or by closing at the last bid or ask):
    V[t, q] = max over p of V[t + 1, p] - cost(t, q -> p),   V[T, q] = value of q at the end.
Latency is not modelled and only the best level's price counts, with as much size as an order asks for:
an upper bound for a policy limited to one order's size, within rounding.
"""

from typing import Final

import numpy as np

from kalshi_platform.domain.compiled import allocating_kernel, kernel
from kalshi_platform.domain.fees import model_fee_e6
from kalshi_platform.simulation.replay.bank import UNSETTLED, Bank
from kalshi_platform.simulation.replay.pages import reading
from kalshi_platform.simulation.replay.trading import FeeTime

_NEVER: Final = -(1 << 60)


@kernel
def _move_e6(held: int, wanted: int, bid_e4: int, ask_e4: int, qty_e2: int, rate_e6: int) -> int:
    """Cash of going from ``held`` to ``wanted`` (-1, 0, +1 orders); _NEVER where no price allows the move."""
    if wanted == held:
        return 0
    cash = 0
    if held != 0:  # leave: YES at the bid, NO at the ask
        price = bid_e4 if held > 0 else ask_e4
        if price < 0:
            return _NEVER
        cash += qty_e2 * (price if held > 0 else 10_000 - price) - model_fee_e6(rate_e6, price, qty_e2)
    if wanted != 0:  # enter: YES at the ask, NO at the bid
        price = ask_e4 if wanted > 0 else bid_e4
        if price < 0:
            return _NEVER
        cash -= qty_e2 * (price if wanted > 0 else 10_000 - price) + model_fee_e6(rate_e6, price, qty_e2)
    return cash


@allocating_kernel
def hindsight_e6(
    bid_e4: np.ndarray, ask_e4: np.ndarray, settlement_e4: int, qty_e2: int, rate_e6: np.ndarray
) -> int:  # fmt: skip
    """Greatest cash, 1e-6 dollar, over bid_e4, ask_e4 (T,) i4 (NO_PRICE = side empty), starting flat.

    ``rate_e6`` (T,) i8: fee rate of a taker at each row.
    ``settlement_e4`` is the payment of one YES after the last row; UNSETTLED closes at the last row's prices.
    Fees are those of ``model_fee_e6`` before alignment to the balance unit. Never below 0.
    """
    last = bid_e4.size - 1
    value = np.empty(3, np.int64)  # of holding -1, 0, +1 after the last row
    for k in range(3):
        if settlement_e4 == UNSETTLED:
            value[k] = _move_e6(k - 1, 0, bid_e4[last], ask_e4[last], qty_e2, rate_e6[last])
        else:
            own = settlement_e4 if k == 2 else 10_000 - settlement_e4
            value[k] = 0 if k == 1 else qty_e2 * own
    before = np.empty(3, np.int64)
    for t in range(last, -1, -1):
        for k in range(3):
            best = value[k]
            for p in range(3):
                cash = _move_e6(k - 1, p - 1, bid_e4[t], ask_e4[t], qty_e2, rate_e6[t])
                if cash > _NEVER:
                    best = max(best, cash + value[p])
            before[k] = best
        value[:] = before
    return int(value[1])


def hindsight_by_segment(
    bank: Bank, qty_e2: int, fee_scale_e6: int = 1_000_000, fees: FeeTime = "as_of"
) -> np.ndarray:
    """Optimum of every segment of ``bank``, (G,) i8, 1e-6 dollar, for orders of ``qty_e2``."""
    rates = bank.arrays.terms["taker_rate_e6" if fees == "as_of" else "today_taker_rate_e6"]
    segments, markets = bank.arrays.segments, bank.arrays.markets
    out = np.zeros(segments.size, np.int64)
    for g, market in enumerate(segments["market"].tolist()):
        span = slice(int(segments["start"][g]), int(segments["stop"][g]))
        settlement = int(markets["settlement_e4"][market]) if segments["settles"][g] else UNSETTLED
        with reading(bank.arrays, span.start) as arrays:
            rows = arrays.rows[span]
            terms = int(markets["terms_at"][market]) + rows["terms"].astype(np.int64)
            rate = rates[terms] * fee_scale_e6 // 1_000_000
            bid, ask = rows["bid_px_e4"][:, 0], rows["ask_px_e4"][:, 0]
            out[g] = hindsight_e6(bid, ask, settlement, qty_e2, rate)
    return out
