"""The account of a batch of environments: cash, positions, cost, fees; exact integers.

Units      cash 1e-6 dollar, quantity 1e-2 contract, price 1e-4 dollar on the YES scale.
Invariant  equity = cash + value of positions; a fill changes cash by its signed revenue less its net
           fee; 0 <= reserved <= cash: cash reserved for orders is never spent twice.
A position is one signed number a market, as the exchange nets: + is YES, - is NO.
``env`` and ``slot`` are records (one environment, one of its slots) with the fields below among others.
One record holds everything a step touches, which measured 5 times faster than an array a field (ADR-0002).
"""

from typing import Any, Final

import numpy as np

from kalshi_platform.domain.actions import BUY_NO, BUY_YES, SELL_NO, SELL_YES
from kalshi_platform.domain.compiled import kernel

#: Fields of an environment's record.
ACCOUNT_ENV_FIELDS: Final = [
    ("cash_e6", "i8"),
    ("reserved_e6", "i8"),  # held for orders in flight or resting
    ("equity_e6", "i8"),  # as of the last step
]
#: Fields of a slot's record; counters run since the episode began.
ACCOUNT_SLOT_FIELDS: Final = [
    ("position_e2", "i8"),  # signed
    ("cost_e6", "i8"),  # paid for the open position, fees not included
    ("opened_ns", "i8"),  # when the position last left zero
    ("mark2_e4", "i8"),  # twice the price the position is valued at
    ("slot_cash_e6", "i8"),  # cash flow of the slot after fees
    ("fees_e6", "i8"),
    ("traded_e2", "i8"),
    ("turnover_e6", "i8"),
    ("max_position_e2", "i8"),  # absolute
    ("n_orders", "i4"),
    ("n_fills", "i4"),
    ("n_reached_fills", "i4"),  # of a resting order that the opposite best reached without a print
    ("n_queued", "i4"),  # resting orders that filled and whose queue was known
    ("ahead_e2", "i8"),  # sum over them of the size ahead when they came to rest
    ("passed_ahead_e2", "i8"),  # sum of what of it traded before their first fill
]


@kernel
def open_account(env: Any, capital_e6: int) -> None:
    """Begin an environment's account with ``capital_e6`` in cash and nothing else."""
    env.cash_e6 = capital_e6
    env.reserved_e6 = 0
    env.equity_e6 = capital_e6


@kernel
def clear_position(slot: Any) -> None:
    """Clear the slot's position and its history."""
    slot.position_e2 = 0
    slot.cost_e6 = 0
    slot.opened_ns = 0
    slot.mark2_e4 = 0
    slot.slot_cash_e6 = 0
    slot.fees_e6 = 0
    slot.traded_e2 = 0
    slot.turnover_e6 = 0
    slot.max_position_e2 = 0
    slot.n_orders = 0
    slot.n_fills = 0
    slot.n_reached_fills = 0
    slot.n_queued = 0
    slot.ahead_e2 = 0
    slot.passed_ahead_e2 = 0


@kernel
def unit_price_e4(action: int, price_e4: int) -> int:
    """Price of one contract of the action's own outcome, at YES price ``price_e4``."""
    return price_e4 if action in (BUY_YES, SELL_YES) else 10_000 - price_e4


@kernel
def book_fill(
    env: Any,
    slot: Any,
    action: int,
    price_e4: int,
    qty_e2: int,
    change_e6: int,
    fee_e6: int,
    now_ns: int,
) -> None:
    """Book one fill at YES price ``price_e4``.

    It moves cash by ``change_e6``, of which ``fee_e6`` are fees.
    """
    value_e6 = unit_price_e4(action, price_e4) * qty_e2
    env.cash_e6 += change_e6
    slot.slot_cash_e6 += change_e6
    slot.fees_e6 += fee_e6
    slot.traded_e2 += qty_e2
    slot.turnover_e6 += value_e6
    slot.n_fills += 1
    before = slot.position_e2
    after = before + qty_e2 if action in (BUY_YES, SELL_NO) else before - qty_e2
    if before == 0:
        slot.opened_ns = now_ns
    if action in (BUY_YES, BUY_NO):
        slot.cost_e6 += value_e6
    else:
        slot.cost_e6 = slot.cost_e6 * abs(after) // abs(before)
    slot.position_e2 = after
    slot.max_position_e2 = max(slot.max_position_e2, abs(after))


@kernel
def position_value_e6(position_e2: int, mark2_e4: int) -> int:
    """Value of a signed position at half of ``mark2_e4``, floored to 1e-6 dollar."""
    if position_e2 >= 0:
        return position_e2 * mark2_e4 // 2
    return -position_e2 * (20_000 - mark2_e4) // 2


@kernel
def settle(env: Any, slot: Any, settlement_e4: int) -> None:
    """Pay the slot's position its settlement value; there is no settlement fee."""
    paid_e6 = position_value_e6(slot.position_e2, 2 * settlement_e4)
    env.cash_e6 += paid_e6
    slot.slot_cash_e6 += paid_e6
    slot.position_e2 = 0
    slot.cost_e6 = 0


@kernel
def positions_value_e6(slots: np.ndarray, n: int) -> int:
    """Value of the positions of environment ``n`` of ``slots`` (N, S), each at its mark."""
    total = 0
    for s in range(slots.shape[1]):
        total += position_value_e6(slots[n, s].position_e2, slots[n, s].mark2_e4)
    return total


@kernel
def update_mark(row: Any, slot: Any) -> None:
    """Set the slot's mark: the mid, else the print, else the last mark moved inside the quoted prices."""
    bid, ask = int(row.bid_px_e4[0]), int(row.ask_px_e4[0])
    if bid >= 0 and ask >= 0:
        slot.mark2_e4 = bid + ask
        return
    mark = slot.mark2_e4
    if row.print_px_e4 >= 0:
        mark = 2 * row.print_px_e4
    elif mark == 0:
        mark = 2 * bid if bid >= 0 else (2 * ask if ask >= 0 else 10_000)
    if bid >= 0:
        mark = max(mark, 2 * bid)
    if ask >= 0:
        mark = min(mark, 2 * ask)
    slot.mark2_e4 = mark
