"""Meeting of an arriving order with those that rest: best price first, oldest first, at the resting price.

Self-trade  an account does not trade with itself: TAKER_AT_CROSS ends the arriving order there (its fills
            stand), MAKER cancels the resting one and goes on.
"""

from typing import Any, Final

from kalshi_platform.domain.compiled import inner_kernel
from kalshi_platform.simulation.matching import accounts, book, groups, orders, tape
from kalshi_platform.simulation.matching.codes import codes
from kalshi_platform.simulation.matching.reasons import (
    EXCEEDED_ORDER_GROUP_RISK_LIMIT,
    MARGIN_CANCEL,
    OK,
    SELF_CROSS_ATTEMPT,
)
from kalshi_platform.simulation.matching.records import DOLLAR_E4, NONE

TAKER_AT_CROSS, MAKER = codes(2)
#: Codes of ``self_trade_prevention_type``.
STP_CODES: Final = {"taker_at_cross": TAKER_AT_CROSS, "maker": MAKER}


@inner_kernel
def volume_e2(core: Any, slot: int, wanted_e2: int) -> tuple[int, bool]:
    """Size that rests within an order's limit, counted up to ``wanted_e2``, and True where its own is met."""
    order = core.orders[slot]
    other, found = 1 - order.side, 0
    level = core.best[order.market, other]
    while level != NONE and level + order.own_e4 >= DOLLAR_E4 and found < wanted_e2:
        at = book.oldest(core, order.market, other, level)
        while at != NONE and found < wanted_e2:
            if core.orders[at].account == order.account:
                return found, True
            found += core.orders[at].qty_e2
            at = core.orders[at].younger
        level = book.best_below(core, order.market, other, level - 1) if level > 0 else NONE
    return min(found, wanted_e2), False


@inner_kernel
def _trade(core: Any, taker_slot: int, maker_slot: int) -> tuple[int, int]:
    """Fill two orders with each other; returns (size, OK or why not), MARGIN_CANCEL for the taker.

    A size of 0 with OK means that the maker could not pay and was cancelled.
    """
    taker, maker = core.orders[taker_slot], core.orders[maker_slot]
    qty = min(taker.qty_e2, maker.qty_e2)
    maker_own = maker.own_e4
    taker_own = DOLLAR_E4 - maker_own
    m_change, m_fee, m_pool, m_free = accounts.fill_terms(core, maker_slot, maker_own, qty, accounts.RESTS)
    if m_free < 0:
        orders.cancel(core, maker_slot, MARGIN_CANCEL)
        return 0, OK
    t_change, t_fee, t_pool, t_free = accounts.fill_terms(core, taker_slot, taker_own, qty, accounts.ARRIVES)
    if t_free < 0:
        return 0, MARGIN_CANCEL
    accounts.settle_fill(core, maker_slot, maker_own, qty, m_change, m_fee, m_pool, accounts.RESTS)
    accounts.settle_fill(core, taker_slot, taker_own, qty, t_change, t_fee, t_pool, accounts.ARRIVES)
    row = core.tape[tape.new_row(core, tape.FILL, taker.market, taker.account)]
    row.order_id = taker.order_id
    row.maker_id = maker.order_id
    row.maker_account = maker.account
    row.client = taker.client
    row.side = taker.side
    row.price_e4 = tape.yes_price_e4(maker.side, maker_own)
    row.qty_e2 = qty
    row.left_e2 = taker.qty_e2
    row.maker_left_e2 = maker.qty_e2
    row.fee_e6 = t_fee
    row.maker_fee_e6 = m_fee
    row.position_e2 = core.holdings[taker.account, taker.market].position_e2
    row.maker_position_e2 = core.holdings[maker.account, maker.market].position_e2
    row.group = taker.group
    return qty, OK


@inner_kernel
def _meet_level(core: Any, slot: int, other: int, level: int) -> tuple[int, int]:
    """Fill an order from the queue of one price; returns (size filled, why it must stop or OK)."""
    taker = core.orders[slot]
    market, total = taker.market, 0
    while taker.qty_e2 > 0:
        at = book.oldest(core, market, other, level)
        if at == NONE:
            return total, OK
        maker = core.orders[at]
        if maker.account == taker.account:
            if taker.stp == TAKER_AT_CROSS:
                return total, SELF_CROSS_ATTEMPT
            orders.cancel(core, at, SELF_CROSS_ATTEMPT)
            continue
        qty, stop = _trade(core, slot, at)
        if stop != OK:
            return total, stop
        if qty == 0:
            continue
        total += qty
        group = maker.group
        if maker.qty_e2 == 0:
            if group != NONE:
                core.groups[group].n_orders -= 1
            core.n_resting[maker.account] -= 1
            book.unlink(core, at)
            orders.give_back(core, at)
        if group != NONE:
            groups.count_match(core, group, qty)
        if taker.group != NONE and groups.count_match(core, taker.group, qty):
            return total, EXCEEDED_ORDER_GROUP_RISK_LIMIT
    return total, OK


@inner_kernel
def meet(core: Any, slot: int) -> int:
    """Fill an order that is in no queue from the other side; returns OK or why the rest of it must go.

    The public book changes once a price, after the last fill there.
    """
    taker = core.orders[slot]
    market, other = taker.market, 1 - taker.side
    while taker.qty_e2 > 0 and book.crosses(core, market, taker.side, taker.own_e4):
        level = core.best[market, other]
        filled, stop = _meet_level(core, slot, other, level)
        if filled > 0:
            book.change_depth(core, market, other, level, -filled)
            tape.tell_delta(core, market, other, level, -filled, tape.BY_FILLS)
        if stop != OK:
            return stop
    return OK
