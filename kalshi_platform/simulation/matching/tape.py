"""Tape of everything that happened, in order: a ring that never loses a row.

A command is refused with TAPE_FULL while the ring has not room for the most rows that it could write, so a
reader that comes late stops the exchange and misses nothing. A refused command writes no row.
"""

from typing import Any, Final

from kalshi_platform.domain.compiled import inner_kernel
from kalshi_platform.simulation.matching.codes import codes
from kalshi_platform.simulation.matching.records import ASK, DOLLAR_E4, NONE

#: ACK       an order was accepted; qty = its size
#: FILL      two orders met; order = taker, ``maker_*`` = the resting one; side = the taker's
#: CANCEL    an order ended; qty = what was not filled, reason = why
#: CHANGE    an order was amended or decreased; left = its remaining size
#: DELTA     the public book changed at a price by qty; reason = BY_ORDER or BY_FILLS
#: SETTLE    an account was paid cash for its position, which qty tells; price = payment of one YES;
#:           reason = AT_END, or BY_FLOOR where the floor rose to that price and the position stays
#: STATUS    a market's status became ``left``
#: SHARD     a shard's status became ``left``; market = the shard
#: GRID      a market's price bands changed
#: GROUP     a group was created, changed, triggered, reset or deleted: reason = the GROUP_* below
#: CASH      cash was paid into, out of or between shards; market = the shard
ACK, FILL, CANCEL, CHANGE, DELTA, SETTLE, STATUS, SHARD, GRID, GROUP, CASH = codes(11)
KIND_NAMES: Final = (
    "ACK", "FILL", "CANCEL", "CHANGE", "DELTA", "SETTLE", "STATUS", "SHARD", "GRID", "GROUP", "CASH",
)  # fmt: skip
GROUP_CREATED, GROUP_LIMIT_SET, GROUP_TRIGGERED, GROUP_RESET, GROUP_DELETED = codes(5)
#: Kinds of a SETTLE.
AT_END, BY_FLOOR = codes(2)
#: Kinds of a DELTA.
BY_ORDER, BY_FILLS = codes(2)


@inner_kernel
def new_row(core: Any, kind: int, market: int, account: int) -> int:
    """Index of a new row with every other field empty."""
    state = core.state[0]
    i = state.written % core.tape.size
    state.written += 1
    row = core.tape[i]
    row.time_ns = state.now_ns
    row.kind = kind
    row.market = market
    row.account = account
    row.order_id = NONE
    row.maker_id = NONE
    row.client = 0
    row.qty_e2 = 0
    row.left_e2 = 0
    row.maker_left_e2 = 0
    row.fee_e6 = 0
    row.maker_fee_e6 = 0
    row.position_e2 = 0
    row.maker_position_e2 = 0
    row.cash_e6 = 0
    row.reason = 0
    row.maker_account = NONE
    row.side = NONE
    row.price_e4 = NONE
    row.group = NONE
    return i


@inner_kernel
def yes_price_e4(side: int, own_e4: int) -> int:
    """Price on the YES scale of an order of ``side`` that pays ``own_e4`` for its own outcome."""
    return DOLLAR_E4 - own_e4 if side == ASK else own_e4


@inner_kernel
def tell_order(core: Any, kind: int, slot: int, qty_e2: int, reason: int) -> None:
    """Write a row about one order as it stands."""
    order = core.orders[slot]
    row = core.tape[new_row(core, kind, order.market, order.account)]
    row.order_id = order.order_id
    row.client = order.client
    row.side = order.side
    row.price_e4 = yes_price_e4(order.side, order.own_e4)
    row.qty_e2 = qty_e2
    row.left_e2 = order.qty_e2
    row.reason = reason
    row.group = order.group


@inner_kernel
def tell_delta(core: Any, market: int, side: int, own_e4: int, change_e2: int, cause: int) -> None:
    """Write a change of the public book."""
    row = core.tape[new_row(core, DELTA, market, NONE)]
    row.side = side
    row.price_e4 = yes_price_e4(side, own_e4)
    row.qty_e2 = change_e2
    row.reason = cause
