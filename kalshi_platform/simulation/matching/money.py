"""Cash that comes, goes and moves between shards, and the settlement of a market.

Conservation  on each shard cash of all accounts + a dollar for each open contract, less the floor where the
              holder of the YES was paid it, + fees taken = cash paid in.
Settlement    a YES gets the settlement value, a NO the rest of the dollar, exactly; there is no fee.
Floor         raised while the market trades, it pays direct members who hold YES the rise at once, cancels
              the orders at or below it, and is taken off their payment in the end. It is never lowered here.
Unconfirmed   the exchange may round the payout of a scalar market to its balance precision.
"""

from typing import Any, Final

from kalshi_platform.domain.compiled import inner_kernel
from kalshi_platform.simulation.matching import accounts, book, lifecycle, orders, tape
from kalshi_platform.simulation.matching.reasons import (
    FLOOR_CANCEL,
    INSUFFICIENT_BALANCE,
    INVALID_AMOUNT,
    INVALID_STATUS,
    OK,
)
from kalshi_platform.simulation.matching.records import ASK, BID, CLOSED, DOLLAR_E4, FINALIZED, NONE

#: Most cash that may lie on a shard, a trillion dollars: no sum of it then leaves 64 bits.
MAX_CASH_E6: Final = 10**18


@inner_kernel
def _pay(core: Any, account: int, shard: int, amount_e6: int) -> None:
    core.wallets[account, shard].cash_e6 += amount_e6
    core.shards[shard].paid_in_e6 += amount_e6
    row = core.tape[tape.new_row(core, tape.CASH, shard, account)]
    row.cash_e6 = amount_e6


@inner_kernel
def free_cash_e6(core: Any, account: int, shard: int) -> int:
    """Cash of an account on a shard that no order reserves."""
    return core.wallets[account, shard].cash_e6 - core.wallets[account, shard].reserved_e6


@inner_kernel
def deposit(core: Any, account: int, shard: int, amount_e6: int) -> int:
    """Pay cash in, or free cash out where the amount is negative."""
    if amount_e6 == 0 or not -MAX_CASH_E6 <= amount_e6 <= MAX_CASH_E6 - core.shards[shard].paid_in_e6:
        return INVALID_AMOUNT
    if free_cash_e6(core, account, shard) + amount_e6 < 0:
        return INSUFFICIENT_BALANCE
    _pay(core, account, shard, amount_e6)
    return OK


@inner_kernel
def transfer(core: Any, account: int, source: int, target: int, amount_e6: int) -> int:
    """Move free cash of an account from one shard to another."""
    if source == target or amount_e6 <= 0:
        return INVALID_AMOUNT
    if free_cash_e6(core, account, source) < amount_e6:
        return INSUFFICIENT_BALANCE
    if core.shards[target].paid_in_e6 > MAX_CASH_E6 - amount_e6:
        return INVALID_AMOUNT
    _pay(core, account, source, -amount_e6)
    _pay(core, account, target, amount_e6)
    return OK


@inner_kernel
def _tell_payment(core: Any, market: int, account: int, paid_e6: int, yes_e4: int, cause: int) -> None:
    """Write a row about cash paid for a position."""
    row = core.tape[tape.new_row(core, tape.SETTLE, market, account)]
    row.qty_e2 = core.holdings[account, market].position_e2
    row.cash_e6 = paid_e6
    row.price_e4 = yes_e4
    row.reason = cause


@inner_kernel
def _cancel_up_to(core: Any, market: int, floor_e4: int) -> None:
    """Cancel the orders whose YES price is at or below the floor."""
    level = book.best_below(core, market, BID, floor_e4)
    while level != NONE:
        orders.cancel(core, book.oldest(core, market, BID, level), FLOOR_CANCEL)
        level = book.best_below(core, market, BID, floor_e4)
    while core.best[market, ASK] >= DOLLAR_E4 - floor_e4:
        orders.cancel(core, book.oldest(core, market, ASK, core.best[market, ASK]), FLOOR_CANCEL)


@inner_kernel
def raise_floor(core: Any, market: int, floor_e4: int) -> int:
    """Raise the least payment of one YES and pay the rise to the direct members who hold YES."""
    spec = core.markets[market]
    if spec.status == FINALIZED:
        return INVALID_STATUS
    if not spec.floor_e4 < floor_e4 < DOLLAR_E4:
        return INVALID_AMOUNT
    _cancel_up_to(core, market, floor_e4)
    rise = floor_e4 - spec.floor_e4
    spec.floor_e4 = floor_e4
    for account in range(core.holdings.shape[0]):
        position = core.holdings[account, market].position_e2
        if position > 0 and accounts.paid_floor_e4(core, account, market) > 0:
            core.wallets[account, spec.shard].cash_e6 += position * rise
            _tell_payment(core, market, account, position * rise, floor_e4, tape.BY_FLOOR)
        accounts.reserve_anew(core, account, market)
    return OK


@inner_kernel
def settle(core: Any, market: int, value_e4: int) -> int:
    """Close a market where it is open and pay every position; ``value_e4`` is the payment of one YES.

    It is not below the settlement floor, which is taken off where it was paid.
    """
    spec = core.markets[market]
    if spec.status == FINALIZED:
        return INVALID_STATUS
    if not spec.floor_e4 <= value_e4 <= DOLLAR_E4:
        return INVALID_AMOUNT
    if spec.status != CLOSED:
        lifecycle.close(core, market)
    spec.settlement_e4 = value_e4
    spec.open_interest_e2 = 0
    for account in range(core.holdings.shape[0]):
        holding = core.holdings[account, market]
        position = holding.position_e2
        if position == 0:
            continue
        each = value_e4 - accounts.paid_floor_e4(core, account, market)
        paid = position * each if position > 0 else -position * (DOLLAR_E4 - value_e4)
        core.wallets[account, spec.shard].cash_e6 += paid
        _tell_payment(core, market, account, paid, value_e4, tape.AT_END)
        holding.position_e2 = 0
    spec.status = FINALIZED
    row = core.tape[tape.new_row(core, tape.STATUS, market, NONE)]
    row.left_e2 = FINALIZED
    lifecycle.plan_timers(core)
    return OK
