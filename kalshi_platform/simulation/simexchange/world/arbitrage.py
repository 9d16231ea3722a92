"""Arbitrage between the markets of an event, taken at the displayed prices after fees.

Exclusive  exactly one market pays. Every YES for less than a dollar is riskless, and so is every NO where the
           YES bids together are more than a dollar.
Nested     markets in the order of their thresholds: who is above the higher one is above the lower one too.
           YES of the lower with NO of the higher pays a dollar or more.
"""

from typing import Any

import numpy as np

from kalshi_platform.domain.compiled import inline_kernel, inner_kernel
from kalshi_platform.simulation.matching.records import ASK, BID, DOLLAR_E4, NEVER_NS, NONE
from kalshi_platform.simulation.simexchange.world.orders import ask_e4, fee_e4, take
from kalshi_platform.simulation.simexchange.world.records import ARBITRAGE_ACCOUNT, EXCLUSIVE, NESTED

#: Trades of one visit: more than the levels of a book that one news can leave behind.
_MOST = 64


@inner_kernel
def leg_cost_e4(world: Any, market: int, side: int) -> float:
    """Price with fee of one contract bought now; a dollar more than any where nobody offers it."""
    price = ask_e4(world, market, side)
    return 2.0 * DOLLAR_E4 if price == NONE else price + fee_e4(price)


@inner_kernel
def set_gain_e4(world: Any, side: int) -> float:
    """Gain of one contract of every market of an exclusive event, all bought on ``side``."""
    n_markets = world.due.shape[0]
    paid = DOLLAR_E4 * (1 if side == BID else n_markets - 1)
    cost = 0.0
    for market in range(n_markets):
        cost += leg_cost_e4(world, market, side)
    return paid - cost


@inner_kernel
def pair_gain_e4(world: Any, lower: int, higher: int) -> float:
    """Gain of YES of the ``lower`` threshold with NO of the ``higher`` one."""
    return DOLLAR_E4 - leg_cost_e4(world, lower, BID) - leg_cost_e4(world, higher, ASK)


@inner_kernel
def best_gain_e4(world: Any) -> tuple[float, int, int]:
    """(gain, first, second) of the best arbitrage: a side, or the markets of a pair; -1 dollar if none."""
    n_markets, family = world.due.shape[0], world.settings[0].family
    gain, first, second = -1.0 * DOLLAR_E4, 0, 0
    if family == EXCLUSIVE:
        for side in (BID, ASK):
            found = set_gain_e4(world, side)
            if found > gain:
                gain, first = found, side
    elif family == NESTED:
        for lower in range(n_markets):
            for higher in range(lower + 1, n_markets):
                found = pair_gain_e4(world, lower, higher)
                if found > gain:
                    gain, first, second = found, lower, higher
    return gain, first, second


@inner_kernel
def _offered_e2(world: Any, market: int, side: int) -> int:
    best = world.core.best[market, 1 - side]
    return 0 if best == NONE else world.core.depth[market, 1 - side, best]


@inline_kernel
def _leg(world: Any, rng: np.random.Generator, market: int, side: int, size_e2: int) -> int:
    price = ask_e4(world, market, side)
    account = ARBITRAGE_ACCOUNT + world.makers.size
    return 0 if price == NONE else take(world, rng, account, market, side, price, size_e2)


@inline_kernel
def _take_set(world: Any, rng: np.random.Generator, side: int) -> int:
    """Buy every market on ``side`` in the size that all offer; returns it, 0 where a leg was not filled."""
    size = 1 << 40
    for market in range(world.due.shape[0]):
        size = min(size, _offered_e2(world, market, side))
    filled = 0
    for market in range(world.due.shape[0]):
        filled = _leg(world, rng, market, side, size)
        if filled == 0:
            break
    return filled


@inline_kernel
def act(world: Any, rng: np.random.Generator) -> None:
    """Take arbitrage until none is left that pays."""
    world.state[0].arbitrage_ns = NEVER_NS
    for _ in range(_MOST):
        gain, first, second = best_gain_e4(world)
        if gain <= world.settings[0].arbitrage_edge_e4:
            return
        if world.settings[0].family == EXCLUSIVE:
            filled = _take_set(world, rng, first)
        else:
            size = min(_offered_e2(world, first, BID), _offered_e2(world, second, ASK))
            filled = _leg(world, rng, first, BID, size)
            if filled > 0:
                _leg(world, rng, second, ASK, size)
        if filled == 0:
            return


@inner_kernel
def watch(world: Any, rng: np.random.Generator) -> None:
    """Plan a visit of the arbitrageur where there is something to take and none is planned."""
    settings, state = world.settings[0], world.state[0]
    if settings.family == 0 or state.arbitrage_ns != NEVER_NS:
        return
    gain, _, _ = best_gain_e4(world)
    if gain > settings.arbitrage_edge_e4:
        delay = settings.arbitrage_ns * (0.2 + 0.8 * rng.random())
        state.arbitrage_ns = state.now_ns + int(delay)
