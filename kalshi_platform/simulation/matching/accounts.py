"""Cash, collateral and netted positions; exact integers.

Position   one signed number an account and market: + YES, - NO. Whoever buys against a position closes it
           first; YES and NO of one market are a dollar at once.
Reserve    cash that resting orders of one side may cost: the cost of all of them at their own prices, less a
           dollar for each contract they can close, never below 0; and the model fee of a maker. Then no
           sequence of fills lowers the free cash, whatever order they come in, but for rounding.
Fees       an order holds cash for the maker fees in force when it came, was filled in part or amended. Fees
           that rise later raise nothing until then, and a decrease never raises what an order holds; a fill
           always pays the fees of its own time.
Rounding   a fill that would leave less cash than is reserved does not happen: the order that cannot pay is
           cancelled (MARGIN_CANCEL). So cash is never negative.
Floor      a direct member who holds YES has been paid the settlement floor already: to him one YES costs, is
           worth and makes with a NO that much less. Others are paid all at the settlement.
Unconfirmed  how the exchange reserves for sells beyond the position. Cross-market collateral is not returned.
"""

from typing import Any

from kalshi_platform.domain.compiled import inner_kernel
from kalshi_platform.domain.fees import apply_fill, model_fee_e6
from kalshi_platform.simulation.matching.codes import code, codes
from kalshi_platform.simulation.matching.records import ASK, BID, BROKER_UNIT_E6, DOLLAR_E4

#: No bound of the cash that an order may hold for fees.
ANY_HOLD_E6 = code(2**62)
#: Parts of an order in a fill.
ARRIVES, RESTS = codes(2)


@inner_kernel
def closes_e2(position_e2: int, side: int, qty_e2: int) -> int:
    """Contracts of ``qty_e2`` bought on ``side`` that close ``position_e2``."""
    held = position_e2 if side == ASK else -position_e2
    return min(max(held, 0), qty_e2)


@inner_kernel
def paid_floor_e4(core: Any, account: int, market: int) -> int:
    """Part of one YES that the account is paid as soon as it holds it."""
    return core.markets[market].floor_e4 if core.units[account] < BROKER_UNIT_E6 else 0


@inner_kernel
def reserve_e6(position_e2: int, side: int, qty_e2: int, cost_e6: int, floor_e4: int) -> int:
    """Cash that resting orders of one side may cost in all: ``qty_e2`` of them for ``cost_e6``.

    ``cost_e6`` is at the orders' prices, of which a bid's account is paid ``floor_e4`` (``paid_floor_e4``).
    """
    if side == BID:
        cost_e6 -= floor_e4 * qty_e2
    return max(0, cost_e6 - (DOLLAR_E4 - floor_e4) * closes_e2(position_e2, side, qty_e2))


@inner_kernel
def falls_between_steps(core: Any, account: int, market: int, own_e4: int) -> bool:
    """True where a fill at ``own_e4`` can fall between two steps of the account's balance, fees aside."""
    unit = core.units[account]
    return own_e4 % unit != 0 or paid_floor_e4(core, account, market) % unit != 0


@inner_kernel
def hold_e6(core: Any, account: int, market: int, own_e4: int, qty_e2: int, pool_e6: int) -> int:
    """Cash held for the fees of an order of ``qty_e2`` that rests: the maker fee and one step of the balance.

    The step is held only where a fill can fall between two steps, and less what the order's accumulator
    ``pool_e6`` has taken of it already.
    """
    rate, unit = core.markets[market].maker_rate_e6, core.units[account]
    if qty_e2 == 0 or (rate == 0 and not falls_between_steps(core, account, market, own_e4)):
        return 0
    return model_fee_e6(rate, own_e4, qty_e2) + max(unit - pool_e6, 0)


@inner_kernel
def taker_bound_e6(core: Any, account: int, market: int, own_e4: int, qty_e2: int) -> int:
    """Cash for the fees of an order that may fill at once, at its limit.

    A better price may carry a larger fee, but saves more than that. An order of nothing costs nothing.
    """
    if qty_e2 == 0:
        return 0
    spec = core.markets[market]
    rate = max(spec.taker_rate_e6, spec.maker_rate_e6)
    fee = model_fee_e6(rate, own_e4, qty_e2)
    rounds = fee > 0 or falls_between_steps(core, account, market, own_e4)
    return fee + core.units[account] if rounds else 0


@inner_kernel
def free_with_e6(
    core: Any, account: int, market: int, side: int, qty_e2: int, cost_e6: int, fee_e6: int
) -> int:
    """Free cash if the resting orders of ``side`` grew by so much and ``fee_e6`` were held besides."""
    holding = core.holdings[account, market]
    bids, asks = core.working[account, market, BID], core.working[account, market, ASK]
    bid_qty, bid_cost, ask_qty, ask_cost = bids.qty_e2, bids.cost_e6, asks.qty_e2, asks.cost_e6
    if side == BID:
        bid_qty += qty_e2
        bid_cost += cost_e6
    else:
        ask_qty += qty_e2
        ask_cost += cost_e6
    floor = paid_floor_e4(core, account, market)
    needed = reserve_e6(holding.position_e2, BID, bid_qty, bid_cost, floor)
    needed += reserve_e6(holding.position_e2, ASK, ask_qty, ask_cost, floor) + holding.hold_e6 + fee_e6
    wallet = core.wallets[account, core.markets[market].shard]
    return wallet.cash_e6 - (wallet.reserved_e6 - holding.reserved_e6 + needed)


@inner_kernel
def reserve_anew(core: Any, account: int, market: int) -> None:
    """Bring the reserve in line with the position, the resting orders and the settlement floor."""
    floor = paid_floor_e4(core, account, market)
    holding = core.holdings[account, market]
    wallet = core.wallets[account, core.markets[market].shard]
    needed = holding.hold_e6
    for side in range(2):
        work = core.working[account, market, side]
        needed += reserve_e6(holding.position_e2, side, work.qty_e2, work.cost_e6, floor)
    wallet.reserved_e6 += needed - holding.reserved_e6
    holding.reserved_e6 = needed


@inner_kernel
def change_working(core: Any, slot: int, change_e2: int, most_hold_e6: int) -> None:
    """Reserve for ``change_e2`` more (or less) of an order at its price.

    The caller has set the order's remaining size already. The order holds ``most_hold_e6`` for fees at most.
    """
    order = core.orders[slot]
    account, market = order.account, order.market
    work = core.working[account, market, order.side]
    work.qty_e2 += change_e2
    work.cost_e6 += change_e2 * order.own_e4
    hold = hold_e6(core, account, market, order.own_e4, order.qty_e2, order.pool_e6)
    hold = min(hold, most_hold_e6)
    core.holdings[account, market].hold_e6 += hold - order.hold_e6
    order.hold_e6 = hold
    reserve_anew(core, account, market)


@inner_kernel
def fill_terms(core: Any, slot: int, own_e4: int, qty_e2: int, rests: int) -> tuple[int, int, int, int]:
    """(change of cash, net fee, the order's new accumulator, free cash afterwards) of a fill.

    ``own_e4`` is the price of the fill for this side. Nothing is changed.
    """
    order = core.orders[slot]
    account, market, side = order.account, order.market, order.side
    spec, holding = core.markets[market], core.holdings[account, market]
    floor = paid_floor_e4(core, account, market)
    cost = (own_e4 - floor if side == BID else own_e4) * qty_e2
    revenue = (DOLLAR_E4 - floor) * closes_e2(holding.position_e2, side, qty_e2) - cost
    rate = spec.maker_rate_e6 if rests == RESTS else spec.taker_rate_e6
    fee = model_fee_e6(rate, own_e4, qty_e2)
    change, net_fee, pool = apply_fill(revenue, fee, order.pool_e6, core.units[account], spec.rounding)
    position = holding.position_e2 + (qty_e2 if side == BID else -qty_e2)
    needed = holding.hold_e6
    for s in range(2):
        work = core.working[account, market, s]
        working, cost = work.qty_e2, work.cost_e6
        if rests == RESTS and s == side:
            working -= qty_e2
            cost -= own_e4 * qty_e2
            left = order.qty_e2 - qty_e2
            needed += hold_e6(core, account, market, own_e4, left, pool) - order.hold_e6
        needed += reserve_e6(position, s, working, cost, floor)
    wallet = core.wallets[account, spec.shard]
    free = wallet.cash_e6 + change - (wallet.reserved_e6 - holding.reserved_e6 + needed)
    return change, net_fee, pool, free


@inner_kernel
def settle_fill(
    core: Any, slot: int, own_e4: int, qty_e2: int, change_e6: int, fee_e6: int, pool_e6: int, rests: int
) -> None:
    """Book one side of a fill on the terms of ``fill_terms``, in the order too."""
    order = core.orders[slot]
    account, market, side = order.account, order.market, order.side
    holding = core.holdings[account, market]
    before = holding.position_e2
    holding.position_e2 = before + (qty_e2 if side == BID else -qty_e2)
    holding.fees_e6 += fee_e6
    core.markets[market].open_interest_e2 += max(holding.position_e2, 0) - max(before, 0)
    shard = core.markets[market].shard
    core.wallets[account, shard].cash_e6 += change_e6
    core.shards[shard].fees_e6 += fee_e6
    order.pool_e6 = pool_e6
    order.qty_e2 -= qty_e2
    order.filled_e2 += qty_e2
    if rests == RESTS:
        change_working(core, slot, -qty_e2, ANY_HOLD_E6)
    else:
        reserve_anew(core, account, market)
