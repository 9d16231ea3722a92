"""Takers: noise that comes in clusters (Hawkes), a share of it informed; whales; noise limit orders.

Hawkes    intensity = base rate x activity + a part that jumps by branching x decay with every taker and then
          decays, drawn by thinning: candidates come at a rate that bounds the intensity until the next one,
          or until the activity changes, when they are drawn anew.
Informed  knows the fair price as it is now, which makers see when they look. It trades where the price is
          wrong by more than the fee and its least gain; else it stays out.
Whale     buys one outcome in parts until its size is done or nobody offers it; an informed one buys what is
          worth more than the mid.
"""

from typing import Any

import numpy as np

from kalshi_platform.domain.compiled import inline_kernel, inner_kernel
from kalshi_platform.simulation.matching.records import ASK, BID, DOLLAR_E4, NONE
from kalshi_platform.simulation.simexchange.world.orders import (
    after,
    any_side,
    ask_e4,
    fair_e4,
    fee_e4,
    rest,
    size_e2,
    take,
    whole_cents_e4,
)
from kalshi_platform.simulation.simexchange.world.records import (
    INFORMED_ACCOUNT,
    LIMIT,
    LIMIT_ACCOUNT,
    TAKER,
    TAKER_ACCOUNT,
    WHALE_ACCOUNT,
)

#: A noise taker pays up to so much more than the best price.
_THROUGH_E4 = 300.0


@inner_kernel
def next_candidate(world: Any, rng: np.random.Generator, market: int) -> int:
    """Bound the intensity from now on and draw the time of the next candidate taker."""
    settings, state, mine = world.settings[0], world.state[0], world.markets[market]
    mine.excitation *= np.exp(-settings.decay * (state.now_ns - mine.excited_ns))
    mine.excited_ns = state.now_ns
    mine.bound = settings.taker_rate * state.activity + mine.excitation
    return after(world, rng, 1.0 / max(mine.bound, 1e-18))


@inner_kernel
def is_taker(world: Any, rng: np.random.Generator, market: int) -> bool:
    """Return True where the candidate that is due now becomes a taker, which then sets off others."""
    settings, state, mine = world.settings[0], world.state[0], world.markets[market]
    excitation = mine.excitation * np.exp(-settings.decay * (state.now_ns - mine.excited_ns))
    if rng.random() * mine.bound > settings.taker_rate * state.activity + excitation:
        return False
    mine.excitation = excitation + settings.branching * settings.decay
    mine.excited_ns = state.now_ns
    return True


@inline_kernel
def informed(world: Any, rng: np.random.Generator, market: int) -> None:
    """Buy the outcome that is too cheap after the fee, if one is."""
    settings = world.settings[0]
    for side in (BID, ASK):
        price = ask_e4(world, market, side)
        if price == NONE:
            continue
        limit = fair_e4(world, market, side) - fee_e4(price) - settings.informed_edge_e4
        if price <= limit:
            size = size_e2(rng, 2.0 * settings.taker_contracts, settings.taker_log_sd)
            take(world, rng, INFORMED_ACCOUNT + world.makers.size, market, side, whole_cents_e4(limit), size)
            return


@inline_kernel
def noise(world: Any, rng: np.random.Generator, market: int) -> None:
    """Buy either outcome at once, knowing nothing."""
    side = any_side(rng)
    price = ask_e4(world, market, side)
    size = size_e2(rng, world.settings[0].taker_contracts, world.settings[0].taker_log_sd)
    if price != NONE:
        limit = whole_cents_e4(price + _THROUGH_E4)
        take(world, rng, TAKER_ACCOUNT + world.makers.size, market, side, max(limit, 100), size)


@inline_kernel
def act_taker(world: Any, rng: np.random.Generator, market: int) -> int:
    """Let the candidate trade where it is a taker; returns the time of the next candidate."""
    if is_taker(world, rng, market):
        if rng.random() < world.settings[0].informed_share:
            informed(world, rng, market)
        else:
            noise(world, rng, market)
    return next_candidate(world, rng, market)


@inner_kernel
def _begin_whale(world: Any, rng: np.random.Generator, market: int) -> None:
    """Choose side and size; a whale is as often informed as any taker, where both outcomes are offered."""
    settings, mine = world.settings[0], world.markets[market]
    mine.whale_side = any_side(rng)
    mine.whale_e2 = size_e2(rng, settings.whale_contracts, 0.7)
    yes, no = ask_e4(world, market, BID), ask_e4(world, market, ASK)
    if NONE not in (yes, no) and rng.random() < settings.informed_share:
        mid_e4 = 0.5 * (yes + DOLLAR_E4 - no)
        mine.whale_side = BID if fair_e4(world, market, BID) > mid_e4 else ASK


@inline_kernel
def act_whale(world: Any, rng: np.random.Generator, market: int) -> int:
    """Buy the next part of a whale's order, or begin one; returns when the whale acts again."""
    settings, mine = world.settings[0], world.markets[market]
    if mine.whale_e2 <= 0:
        _begin_whale(world, rng, market)
    side = mine.whale_side
    price = ask_e4(world, market, side)
    filled = 0
    if price != NONE:
        part = min(settings.child_e2, mine.whale_e2)
        limit = max(whole_cents_e4(price + 100.0), 100)
        filled = take(world, rng, WHALE_ACCOUNT + world.makers.size, market, side, limit, part)
    mine.whale_e2 = mine.whale_e2 - filled if filled > 0 else 0
    return after(world, rng, settings.child_ns if mine.whale_e2 > 0 else settings.whale_ns)


@inner_kernel
def _tick_e4(world: Any, own_e4: int) -> int:
    """Step of the grid at a price: a tenth of a cent at both ends once the bands have changed."""
    is_fine = world.state[0].fine_grid == 1 and (own_e4 < 1_000 or own_e4 >= 9_000)
    return 10 if is_fine else 100


@inner_kernel
def set_activity(world: Any, rng: np.random.Generator, activity: float) -> None:
    """Let takers and limit orders come at ``activity`` times their usual rates from now on."""
    world.state[0].activity = activity
    n_makers = world.makers.size
    for market in range(world.due.shape[0]):
        world.due[market, n_makers + TAKER] = next_candidate(world, rng, market)
        world.due[market, n_makers + LIMIT] = _next_limit(world, rng)


@inner_kernel
def _next_limit(world: Any, rng: np.random.Generator) -> int:
    return after(world, rng, world.settings[0].limit_ns / world.state[0].activity)


@inline_kernel
def act_limit(world: Any, rng: np.random.Generator, market: int) -> int:
    """Rest a noise order at, below or a tick above the best price; returns when the next one comes."""
    settings, side = world.settings[0], any_side(rng)
    best, price = world.core.best[market, side], ask_e4(world, market, side)
    if best != NONE:
        own = best - 100 * int(rng.standard_exponential() * 1.5)
        if rng.random() < settings.improve_share:
            own = best + _tick_e4(world, best)
        size = size_e2(rng, settings.limit_contracts, settings.limit_log_sd)
        if 0 < own < DOLLAR_E4 and (price == NONE or own < price):
            expiry = after(world, rng, settings.limit_life_ns)
            rest(world, rng, LIMIT_ACCOUNT + world.makers.size, market, side, own, size, expiry)
    return _next_limit(world, rng)
