"""Plans of orders: limit, size and reserved cash of an action on a given book.

Owns       the scalars of the execution model and the one function that decides both which actions the mask
           allows and which order is sent.
Records    row: ROW_DTYPE, terms: TERMS_DTYPE (simulation/replay/bank.py); slot: see
           simulation/replay/account.py
Units      prices 1e-4 dollar on the YES scale, sizes 1e-2 contract, cash 1e-6 dollar, time ns.
"""

from typing import Any, Final, NamedTuple

import numpy as np

from kalshi_platform.domain.actions import BUY_NO, BUY_YES, SELL_NO, SELL_YES
from kalshi_platform.domain.compiled import kernel
from kalshi_platform.domain.fees import MICRO, model_fee_e6
from kalshi_platform.domain.trading_hours import PAUSE_NS, pause_start_ns
from kalshi_platform.simulation.replay.account import unit_price_e4


class ExecutionParams(NamedTuple):
    """Scalars of the execution model; see ``simulation/replay/trading.py`` for their meaning and defaults."""

    maker: bool
    latency_ns: int
    order_ttl_ns: int
    order_qty_e2: int
    position_limit_e2: int
    max_slippage_e4: int
    improve_ticks: int
    unknown_fill_e2: int
    fee_scale_e6: int
    unit_e6: int
    fees_today: bool
    maker_queue: bool


@kernel
def is_paused(slot: Any, at_ns: int) -> bool:
    """True where ``at_ns``, on the market's own clock, lies in the exchange's weekly pause.

    The slot keeps the next pause: a division and a look into the table of weeks cost a tenth of a step.
    """
    if at_ns >= slot.pause_ns + PAUSE_NS or at_ns < slot.pause_known_ns:
        slot.pause_ns = pause_start_ns(at_ns)
        slot.pause_known_ns = at_ns
    return at_ns >= slot.pause_ns


@kernel
def raises_position(action: int) -> bool:
    """True where a fill adds YES (lifts asks, or rests as a bid)."""
    return action in (BUY_YES, SELL_NO)


@kernel
def scaled_rate_e6(terms: Any, maker: bool, params: ExecutionParams) -> int:
    """Fee rate at the time, or today's where the settings say so, times the scale of the fee ladder."""
    if params.fees_today:
        rate = terms.today_maker_rate_e6 if maker else terms.today_taker_rate_e6
    else:
        rate = terms.maker_rate_e6 if maker else terms.taker_rate_e6
    return rate * params.fee_scale_e6 // 1_000_000


@kernel
def rounding_of(terms: Any, params: ExecutionParams) -> int:
    """Rounding rule of fees at the time, or today's where the settings say so."""
    return MICRO if params.fees_today else int(terms.rounding)


@kernel
def neighbour_price(bands_e4: np.ndarray, price_e4: int, up: bool) -> int:
    """Next valid price above or below ``price_e4``, strictly inside (0, 1).

    ``price_e4`` itself if there is none.

    ``bands_e4`` (B, 3): start, end, step; a step of 0 ends the list.
    """
    best = -1
    for b in range(bands_e4.shape[0]):
        start, end, step = bands_e4[b, 0], bands_e4[b, 1], bands_e4[b, 2]
        if step == 0:
            break
        if up:
            candidate = start if price_e4 < start else start + ((price_e4 - start) // step + 1) * step
            if price_e4 < candidate <= end and (best < 0 or candidate < best):
                best = candidate
        else:
            candidate = end if price_e4 > end else start + ((price_e4 - start - 1) // step) * step
            if start <= candidate < price_e4 and candidate > best:
                best = candidate
    return price_e4 if best <= 0 or best >= 10_000 else best


@kernel
def wanted_qty_e2(position_e2: int, action: int, params: ExecutionParams) -> int:
    """Size ``action`` may trade: a buy up to the position limit, a sale down to zero and never through it."""
    if action == BUY_YES:
        room = params.position_limit_e2 - position_e2 if position_e2 >= 0 else 0
    elif action == BUY_NO:
        room = params.position_limit_e2 + position_e2 if position_e2 <= 0 else 0
    elif action == SELL_YES:
        room = position_e2
    else:
        room = -position_e2
    return max(min(room, params.order_qty_e2), 0)


@kernel
def taker_limit_e4(best_e4: int, up: bool, params: ExecutionParams) -> int:
    """Limit of an order that takes the side whose best price is ``best_e4``: the slippage beyond it."""
    if up:
        return max(best_e4, min(best_e4 + params.max_slippage_e4, 9_999))
    return min(best_e4, max(best_e4 - params.max_slippage_e4, 1))


@kernel
def limit_price_e4(row: Any, terms: Any, action: int, params: ExecutionParams) -> int:
    """Limit price of an order decided on the book of ``row``; -1 where the side it needs is empty."""
    up = raises_position(action)
    bid, ask = int(row.bid_px_e4[0]), int(row.ask_px_e4[0])  # plain Python must not multiply in 32 bits
    if params.maker:
        price = bid if up else ask
        if price < 0:
            return -1
        for _ in range(params.improve_ticks):
            better = neighbour_price(terms.bands_e4, price, up)
            if (up and ask >= 0 and better >= ask) or (not up and better <= bid):
                break
            price = better
        return price
    price = ask if up else bid
    return -1 if price < 0 else taker_limit_e4(price, up, params)


class FullFee(NamedTuple):
    """Fee rate of a market, and the highest fee that an order of full size can pay there."""

    rate_e6: int
    highest_e6: int


#: ``before`` of the first market.
NO_FEE: Final = FullFee(-1, 0)


@kernel
def full_fee(terms: Any, before: FullFee, params: ExecutionParams) -> FullFee:
    """Fee of a full order under ``terms``; ``before``, of another market, where the rate is the same."""
    rate_e6 = scaled_rate_e6(terms, params.maker, params)
    if rate_e6 == before.rate_e6:
        return before
    return FullFee(rate_e6, model_fee_e6(rate_e6, 5_000, params.order_qty_e2))


@kernel
def buy_reserve_e6(action: int, price_e4: int, qty_e2: int, fee_e6: int, params: ExecutionParams) -> int:
    """Cash that an order to buy reserves: cost at the limit, highest fee, one unit for the rounding."""
    return unit_price_e4(action, price_e4) * qty_e2 + fee_e6 + params.unit_e6


@kernel
def plan_order(
    row: Any, terms: Any, fee: FullFee, slot: Any, action: int, budget_e6: int, params: ExecutionParams
) -> tuple[int, int, int]:
    """(limit price, size, cash to reserve) of ``action`` on the book of ``row``; size 0 = not available.

    The same function writes the mask and plans the order that is sent, so the two cannot differ. The reserve
    is the cost at the limit plus the highest fee the size can pay (at a price of one half); it must fit into
    ``budget_e6``. A resting order keeps its own reserve until it is replaced.
    """
    qty = wanted_qty_e2(slot.position_e2, action, params)
    if qty == 0:
        return 0, 0, 0
    price = limit_price_e4(row, terms, action, params)
    if price < 0:
        return 0, 0, 0
    if action in (SELL_YES, SELL_NO):
        return price, qty, 0
    fee_e6 = fee.highest_e6 if qty == params.order_qty_e2 else model_fee_e6(fee.rate_e6, 5_000, qty)
    reserve_e6 = buy_reserve_e6(action, price, qty, fee_e6, params)
    if reserve_e6 > budget_e6:
        return 0, 0, 0
    return price, qty, reserve_e6
