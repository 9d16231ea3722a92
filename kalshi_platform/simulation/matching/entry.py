"""Entry of an order: what the exchange refuses, then the meeting with the book, then rest or cancel.

FOK         an order that meets one of its own account within its size is treated as IOC, as the exchange
            has it. Fills are never rolled back: a maker that cannot pay, or the order's own group, can leave
            a FOK filled in part.
Reduce-only the size is cut to what closes the position; the cut is cancelled with REDUCE_ONLY_CANCEL.
Balance     the order must be payable at its limit in full, with fees, also an IOC.
Open orders an account has at most ``most_open``: beyond them it may send IOC and FOK alone.
"""

from typing import Any

from kalshi_platform.domain.compiled import inner_kernel
from kalshi_platform.simulation.matching import accounts, book, groups, meeting, orders, tape
from kalshi_platform.simulation.matching.command import FOK, GTC, IOC, POST_ONLY, REDUCE_ONLY
from kalshi_platform.simulation.matching.expiry import set_expiry
from kalshi_platform.simulation.matching.reasons import (
    CORE_FULL,
    EXCEEDED_ORDER_GROUP_RISK_LIMIT,
    EXCEEDED_PER_MARKET_RISK_LIMIT,
    EXCHANGE_PAUSED,
    FOK_INSUFFICIENT_VOLUME,
    INSUFFICIENT_BALANCE,
    INVALID_ORDER,
    INVALID_ORDER_SIZE,
    INVALID_PRICE,
    IOC_REMAINDER,
    MARGIN_CANCEL,
    MARKET_INACTIVE,
    OK,
    OPEN_ORDER_LIMIT,
    ORDER_GROUP_NOT_FOUND,
    POST_ONLY_CROSS,
    REDUCE_ONLY_CANCEL,
    TRADING_PAUSED,
)
from kalshi_platform.simulation.matching.records import (
    ACTIVE,
    ASK,
    BID,
    DOLLAR_E4,
    FULL_PAUSE,
    MAX_QTY_E2,
    NEVER_NS,
    NONE,
    TRADING_PAUSE,
)


@inner_kernel
def on_grid(core: Any, market: int, price_e4: int) -> bool:
    """True where a band of the market holds the price, above the settlement floor.

    A price on the edge of two bands may fit either.
    """
    if not core.markets[market].floor_e4 < price_e4 < DOLLAR_E4:
        return False
    for i in range(core.markets[market].n_bands):
        band = core.bands[market, i]
        if band.start_e4 <= price_e4 <= band.end_e4 and (price_e4 - band.start_e4) % band.step_e4 == 0:
            return True
    return False


@inner_kernel
def own_price_e4(side: int, price_e4: int) -> int:
    """Price that an order of ``side`` pays for one contract of its outcome."""
    return DOLLAR_E4 - price_e4 if side == ASK else price_e4


@inner_kernel
def trading(core: Any, market: int) -> int:
    """OK where orders of the market may be placed and changed now, else the reason."""
    status = core.shards[core.markets[market].shard].status
    if status == FULL_PAUSE:
        return EXCHANGE_PAUSED
    if status == TRADING_PAUSE:
        return TRADING_PAUSED
    return OK if core.markets[market].status == ACTIVE else MARKET_INACTIVE


@inner_kernel
def within_limit(core: Any, account: int, market: int, side: int, more_e2: int) -> bool:
    """True where ``more_e2`` on ``side``, all filled, leave the position within the market's limit."""
    limit = core.markets[market].position_limit_e2
    if limit == 0:
        return True
    position = core.holdings[account, market].position_e2
    reach = core.working[account, market, side].qty_e2 + more_e2
    return (position + reach if side == BID else reach - position) <= limit


@inner_kernel
def is_expiry(core: Any, expiry_ns: int) -> bool:
    """True for a time that is still to come; NEVER_NS is one."""
    return core.state[0].now_ns < expiry_ns <= NEVER_NS


@inner_kernel
def _form(core: Any, command: Any) -> int:
    """OK where the command is an order that the exchange could take, else the reason."""
    rests = command.tif == GTC
    wrong = command.tif < GTC or command.tif > FOK or command.side < BID or command.side > ASK
    wrong = wrong or command.stp < meeting.TAKER_AT_CROSS or command.stp > meeting.MAKER
    wrong = wrong or ((command.options & REDUCE_ONLY) != 0 and command.tif != IOC)
    wrong = wrong or ((command.options & POST_ONLY) != 0 and not rests)
    expires = command.expiry_ns != NEVER_NS
    if wrong or (expires and (not rests or not is_expiry(core, command.expiry_ns))):
        return INVALID_ORDER
    if not on_grid(core, command.market, command.price_e4):
        return INVALID_PRICE
    if not 0 < command.qty_e2 <= MAX_QTY_E2:
        return INVALID_ORDER_SIZE
    return OK


@inner_kernel
def _refusal(core: Any, command: Any, own_e4: int, group: int) -> int:
    """OK where the order is taken, else the reason; ``group`` is the slot of its group."""
    account, market, side, qty = command.account, command.market, command.side, command.qty_e2
    if command.group_id != NONE:
        if group == NONE or core.groups[group].shard != core.markets[market].shard:
            return ORDER_GROUP_NOT_FOUND
        if core.groups[group].triggered == 1:
            return EXCEEDED_ORDER_GROUP_RISK_LIMIT
    if (command.options & POST_ONLY) != 0 and book.crosses(core, market, side, own_e4):
        return POST_ONLY_CROSS
    if (command.options & REDUCE_ONLY) != 0:
        qty = accounts.closes_e2(core.holdings[account, market].position_e2, side, qty)
    if not within_limit(core, account, market, side, qty):
        return EXCEEDED_PER_MARKET_RISK_LIMIT
    fee = accounts.taker_bound_e6(core, account, market, own_e4, qty)
    if accounts.free_with_e6(core, account, market, side, qty, qty * own_e4, fee) < 0:
        return INSUFFICIENT_BALANCE
    if command.tif == GTC and core.n_resting[account] >= core.state[0].most_open:
        return OPEN_ORDER_LIMIT
    return OK if core.state[0].n_free > 0 else CORE_FULL


@inner_kernel
def place(core: Any, slot: int, tif: int, answer: Any) -> None:
    """Let an order that is in no queue meet the book, then rest or end; fills the answer."""
    order = core.orders[slot]
    before = order.filled_e2
    stop = meeting.meet(core, slot)
    answer.filled_e2 = order.filled_e2 - before
    if stop == OK and order.qty_e2 > 0:
        if tif != GTC:
            stop = IOC_REMAINDER
        elif not _can_rest(core, slot):
            stop = MARGIN_CANCEL
    if stop != OK and order.qty_e2 > 0:
        answer.reduced_e2 += order.qty_e2
        answer.ended = stop
        orders.finish(core, slot, stop)
    elif order.qty_e2 > 0:
        answer.left_e2 = order.qty_e2
        orders.rest(core, slot)
    else:
        orders.give_back(core, slot)


@inner_kernel
def _can_rest(core: Any, slot: int) -> bool:
    """True where the account can reserve for what is left of an order that was filled in part."""
    order = core.orders[slot]
    hold = accounts.hold_e6(core, order.account, order.market, order.own_e4, order.qty_e2, order.pool_e6)
    cost = order.qty_e2 * order.own_e4
    free = accounts.free_with_e6(core, order.account, order.market, order.side, order.qty_e2, cost, hold)
    return free >= 0


@inner_kernel
def submit(core: Any, command: Any, answer: Any) -> int:
    """Take a new order; returns OK or the reason of the refusal, which leaves everything as it was."""
    reason = trading(core, command.market)
    if reason != OK:
        return reason
    reason = _form(core, command)
    if reason != OK:
        return reason
    own = own_price_e4(command.side, command.price_e4)
    group = groups.find_group(core, command.group_id, command.account)
    reason = _refusal(core, command, own, group)
    if reason != OK:
        return reason
    slot = orders.take_slot(core)
    order = core.orders[slot]
    order.client = command.client
    order.qty_e2 = command.qty_e2
    order.account = command.account
    order.market = command.market
    order.own_e4 = own
    order.group = group
    order.side = command.side
    order.stp = command.stp
    order.options = command.options
    if command.tif == FOK:
        found, is_own = meeting.volume_e2(core, slot, command.qty_e2)
        if found < command.qty_e2 and not is_own:
            orders.give_back(core, slot)
            return FOK_INSUFFICIENT_VOLUME
    answer.order_id = order.order_id
    tape.tell_order(core, tape.ACK, slot, command.qty_e2, OK)
    if command.expiry_ns != NEVER_NS:
        set_expiry(core, slot, command.expiry_ns)
    if (command.options & REDUCE_ONLY) != 0:
        position = core.holdings[command.account, command.market].position_e2
        keep = accounts.closes_e2(position, command.side, command.qty_e2)
        if _cut(core, slot, keep, answer) == 0:
            return OK
    place(core, slot, command.tif, answer)
    return OK


@inner_kernel
def _cut(core: Any, slot: int, keep_e2: int, answer: Any) -> int:
    """Cut a reduce-only order to ``keep_e2``; returns that. An order cut to nothing ends."""
    order = core.orders[slot]
    cut = order.qty_e2 - keep_e2
    if cut == 0:
        return keep_e2
    answer.reduced_e2 = cut
    answer.ended = REDUCE_ONLY_CANCEL
    if keep_e2 == 0:
        orders.finish(core, slot, REDUCE_ONLY_CANCEL)
        return 0
    order.qty_e2 = keep_e2
    tape.tell_order(core, tape.CHANGE, slot, cut, REDUCE_ONLY_CANCEL)
    return keep_e2
