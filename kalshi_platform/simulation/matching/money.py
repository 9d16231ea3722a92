"""Cash that comes, goes and moves between shards, and the settlement of a market.

Conservation  on each shard cash of all accounts + a dollar for each open contract + fees taken = cash paid
              in.
Settlement    a YES gets the settlement value, a NO the rest of the dollar, exactly; there is no fee.
Unconfirmed   the exchange may round the payout of a scalar market to its balance precision.
"""

from typing import Any, Final

from kalshi_platform.domain.compiled import inner_kernel
from kalshi_platform.simulation.matching import lifecycle, tape
from kalshi_platform.simulation.matching.reasons import (
    INSUFFICIENT_BALANCE,
    INVALID_AMOUNT,
    INVALID_STATUS,
    OK,
)
from kalshi_platform.simulation.matching.records import CLOSED, DOLLAR_E4, FINALIZED, NONE

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
def settle(core: Any, market: int, value_e4: int) -> int:
    """Close a market where it is open and pay every position; ``value_e4`` is the payment of one YES."""
    spec = core.markets[market]
    if spec.status == FINALIZED:
        return INVALID_STATUS
    if not 0 <= value_e4 <= DOLLAR_E4:
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
        paid = position * value_e4 if position > 0 else -position * (DOLLAR_E4 - value_e4)
        core.wallets[account, spec.shard].cash_e6 += paid
        holding.position_e2 = 0
        row = core.tape[tape.new_row(core, tape.SETTLE, market, account)]
        row.qty_e2 = position
        row.cash_e6 = paid
        row.price_e4 = value_e4
    spec.status = FINALIZED
    row = core.tape[tape.new_row(core, tape.STATUS, market, NONE)]
    row.left_e2 = FINALIZED
    lifecycle.plan_timers(core)
    return OK
