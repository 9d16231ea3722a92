"""Market makers: ladders that are cancelled together and set anew, an inventory that leans on the price.

Belief  the fair price as it is when the maker looks, plus an error of its own that lasts over several looks,
        less a shift for what it holds. Between two looks its quotes stand still: who knows news earlier
        trades against them.
Quotes  whole cents, post-only. Where the other side is in the way, the whole ladder moves back.
Stale   what others still offer for less than the belief, fee and least gain of an informed trader deducted, a
        maker buys before it quotes: else its whole ladder would stand behind one old order, and tell by that
        where the price is.
"""

from typing import Any

import numpy as np

from kalshi_platform.domain.compiled import inline_kernel, inner_kernel
from kalshi_platform.simulation.matching.records import BID, NEVER_NS, NONE
from kalshi_platform.simulation.simexchange.world.orders import (
    after,
    any_side,
    ask_e4,
    fee_e4,
    rest,
    take,
    whole_cents_e4,
    withdraw,
)
from kalshi_platform.simulation.simexchange.world.records import CANCELS, MAX_LEVELS, SETS

#: Share of its error that a maker keeps from one look to the next.
_MEMORY = 0.9


@inner_kernel
def look(world: Any, rng: np.random.Generator, market: int, maker: int) -> None:
    """Form a new belief and begin a new ladder."""
    spec, ladder = world.makers[maker], world.ladders[market, maker]
    fresh = spec.error_e4 * rng.standard_normal()
    ladder.error_e4 = _MEMORY * ladder.error_e4 + np.sqrt(1.0 - _MEMORY * _MEMORY) * fresh
    held = world.core.holdings[maker, market].position_e2 / spec.max_e2
    belief = 10_000.0 * world.tape.now_fair[market] + ladder.error_e4 - spec.skew_e4 * held
    ladder.belief_e4 = min(max(belief, 50.0), 9_950.0)
    ladder.n_set = 0
    ladder.first_side = any_side(rng)


@inner_kernel
def quote_price_e4(world: Any, market: int, maker: int, side: int, level: int) -> int:
    """Own price of one quote in whole cents; 0 where the ladder leaves the prices that exist."""
    spec, belief = world.makers[maker], world.ladders[market, maker].belief_e4
    mine = belief if side == BID else 10_000.0 - belief
    first = whole_cents_e4(mine - spec.offset_e4 + 50.0)
    other = world.core.best[market, 1 - side]
    if other != NONE:
        first = min(first, whole_cents_e4(9_999.0 - other))
    return max(first - whole_cents_e4(spec.spacing_e4 * level + 50.0), 0)


@inner_kernel
def quote_size_e2(
    world: Any, rng: np.random.Generator, market: int, maker: int, side: int, level: int
) -> int:
    """Size of one quote in lots, and not more than the position may still grow; 0 where that is no lot."""
    spec = world.makers[maker]
    contracts = (spec.contracts + level * spec.step_contracts) * np.exp(spec.log_sd * rng.standard_normal())
    lots = max(int(contracts / spec.lot_contracts + 0.5), 1)
    held = world.core.holdings[maker, market].position_e2
    room = spec.max_e2 - (held if side == BID else -held)
    lot_e2 = int(100.0 * spec.lot_contracts)
    return min(lots, room // lot_e2) * lot_e2


@inline_kernel
def cancel_ladder(world: Any, rng: np.random.Generator, market: int, maker: int) -> int:
    """Cancel every quote of a maker in one market; returns how many there were."""
    n, quotes = 0, world.quotes[market, maker]
    for level in range(MAX_LEVELS):
        for side in range(2):
            if quotes[side, level] != NONE:
                n += withdraw(world, rng, maker, quotes[side, level])
                quotes[side, level] = NONE
    return n


@inline_kernel
def take_stale(world: Any, rng: np.random.Generator, market: int, maker: int, side: int) -> None:
    """Buy up to one quote's size of what is offered for less than the maker believes it to be worth."""
    spec, belief = world.makers[maker], world.ladders[market, maker].belief_e4
    price = ask_e4(world, market, side)
    if price == NONE:
        return
    mine = belief if side == BID else 10_000.0 - belief
    limit = mine - fee_e4(price) - world.settings[0].informed_edge_e4
    held = world.core.holdings[maker, market].position_e2
    room = spec.max_e2 - (held if side == BID else -held)
    size = min(int(100.0 * spec.contracts), room)
    if price <= limit and size > 0:
        take(world, rng, maker, market, side, max(whole_cents_e4(limit), price), size)


@inline_kernel
def set_quotes(world: Any, rng: np.random.Generator, market: int, maker: int, n: int) -> bool:
    """Set the next ``n`` quotes, one side after the other; returns True where the ladder is complete."""
    spec, ladder = world.makers[maker], world.ladders[market, maker]
    last = min(ladder.n_set + n, 2 * spec.levels)
    while ladder.n_set < last:
        side = ladder.first_side if ladder.n_set < spec.levels else 1 - ladder.first_side
        level = ladder.n_set % spec.levels
        ladder.n_set += 1
        if level == 0:
            take_stale(world, rng, market, maker, side)
        price = quote_price_e4(world, market, maker, side, level)
        size = quote_size_e2(world, rng, market, maker, side, level)
        if price >= 100 and size > 0:
            world.quotes[market, maker, side, level] = rest(
                world, rng, maker, market, side, price, size, NEVER_NS
            )
    return ladder.n_set == 2 * spec.levels


@inline_kernel
def act(world: Any, rng: np.random.Generator, market: int, maker: int) -> int:
    """Cancel the ladder or set the next quotes; returns when the maker acts again."""
    spec, ladder, state = world.makers[maker], world.ladders[market, maker], world.state[0]
    if ladder.doing == CANCELS:
        ladder.doing = SETS
        ladder.n_set = 0
        n = cancel_ladder(world, rng, market, maker)
        if state.now_ns < state.quiet_until_ns:
            return state.quiet_until_ns - state.now_ns + after(world, rng, spec.reaction_ns)
        if n > 0:
            return after(world, rng, spec.pause_ns)
    if ladder.n_set == 0:
        look(world, rng, market, maker)
    if set_quotes(world, rng, market, maker, spec.orders_at_once):
        ladder.doing = CANCELS
        return after(world, rng, spec.refresh_ns)
    return state.now_ns + 1_000 * world.settings[0].batch_us


@inner_kernel
def hear(world: Any, rng: np.random.Generator, market: int) -> None:
    """Let makers answer who hear that the fair price has left their belief by more than they tolerate."""
    price = 10_000.0 * world.tape.now_fair[market]
    for maker in range(world.makers.size):
        spec, ladder = world.makers[maker], world.ladders[market, maker]
        if ladder.doing == CANCELS and abs(price - ladder.belief_e4) > spec.tolerance_e4:
            soon = after(world, rng, spec.reaction_ns)
            world.due[market, maker] = min(world.due[market, maker], soon)


@inner_kernel
def withdraw_all(world: Any, rng: np.random.Generator, until_ns: int) -> None:
    """Let every maker cancel within a second, and stay away until ``until_ns``."""
    world.state[0].quiet_until_ns = until_ns
    for market in range(world.due.shape[0]):
        for maker in range(world.makers.size):
            world.ladders[market, maker].doing = CANCELS
            soon = after(world, rng, 3e8)
            world.due[market, maker] = min(world.due[market, maker], soon)
