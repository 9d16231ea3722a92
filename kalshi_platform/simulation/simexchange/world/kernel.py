"""The trading day of one event in one compiled loop: the next agent, or the next scheduled item, acts.

Order  at equal times orders expire first, then comes the schedule, then the arbitrageur, then agents by
       market and place. No Python runs between two messages, and nothing is allocated.
"""

from typing import Any

import numpy as np

from kalshi_platform.domain.compiled import inline_kernel, inner_kernel, kernel
from kalshi_platform.simulation.matching import command as c
from kalshi_platform.simulation.matching.expiry import next_expiry_ns
from kalshi_platform.simulation.matching.records import ACTIVE, INACTIVE, NEVER_NS
from kalshi_platform.simulation.simexchange.world import arbitrage, makers, takers
from kalshi_platform.simulation.simexchange.world.feed import publish
from kalshi_platform.simulation.simexchange.world.orders import after, do, let_expire
from kalshi_platform.simulation.simexchange.world.records import (
    ACTIVITY,
    CANCELS,
    JUMP,
    LIMIT,
    NEWS,
    PAUSE,
    QUIET,
    RESUME,
    TAKER,
)


@kernel
def publish_now(world: Any, rng: np.random.Generator) -> None:
    """Record what the exchange told by commands that no agent sent."""
    publish(world, rng)


@inner_kernel
def _next_agent(world: Any) -> tuple[int, int]:
    """(market, column of ``due``) of the agent that acts next."""
    due = world.due
    market, column, at = 0, 0, due[0, 0]
    for m in range(due.shape[0]):
        for k in range(due.shape[1]):
            if due[m, k] < at:
                market, column, at = m, k, due[m, k]
    return market, column


@inline_kernel
def _act(world: Any, rng: np.random.Generator, market: int, column: int) -> None:
    """Let one agent act and note when it acts again."""
    n_makers = world.makers.size
    if column < n_makers:
        at = makers.act(world, rng, market, column)
    elif column == n_makers + TAKER:
        at = takers.act_taker(world, rng, market)
    elif column == n_makers + LIMIT:
        at = takers.act_limit(world, rng, market)
    else:
        at = takers.act_whale(world, rng, market)
    world.due[market, column] = at


@inline_kernel
def _set_status(world: Any, rng: np.random.Generator, status: int) -> None:
    command = world.command[0]
    for market in range(world.due.shape[0]):
        command.op = c.MARKET_STATUS
        command.market = market
        command.status = status
        do(world, rng)


@inline_kernel
def _regrid(world: Any, rng: np.random.Generator) -> None:
    """Give every market the finer bands; resting orders stay where they are."""
    bands = world.fine_bands
    for market in range(world.due.shape[0]):
        for i in range(bands.shape[0]):
            band = world.core.bands[market, i]
            band.start_e4 = bands[i, 0]
            band.end_e4 = bands[i, 1]
            band.step_e4 = bands[i, 2]
        world.core.markets[market].n_bands = bands.shape[0]
        world.command[0].op = c.MARKET_GRID
        world.command[0].market = market
        do(world, rng)
    world.state[0].fine_grid = 1


@inline_kernel
def _news(world: Any, rng: np.random.Generator, row: int, is_jump: bool) -> None:
    """Move the fair prices; at a jump the fastest of the informed trade before any maker looks."""
    fair, now_fair = world.schedule.fair, world.tape.now_fair
    for market in range(now_fair.size):
        now_fair[market] = fair[row, market]
    for market in range(now_fair.size):
        if is_jump and rng.random() < world.settings[0].informed_share:
            takers.informed(world, rng, market)
        makers.hear(world, rng, market)


@inline_kernel
def _item(world: Any, rng: np.random.Generator) -> None:
    """Do the next scheduled item."""
    state, schedule = world.state[0], world.schedule
    kind, value = schedule.kind[state.next_item], schedule.value[state.next_item]
    state.next_item += 1
    if kind in (NEWS, JUMP):
        _news(world, rng, value, kind == JUMP)
    elif kind == ACTIVITY:
        takers.set_activity(world, rng, value / 1_000.0)
    elif kind == QUIET:
        makers.withdraw_all(world, rng, value)
    elif kind == PAUSE:
        _set_status(world, rng, INACTIVE)
    elif kind == RESUME:
        _set_status(world, rng, ACTIVE)
    else:
        _regrid(world, rng)


@inline_kernel
def _open_books(world: Any, rng: np.random.Generator) -> None:
    """Let every maker set its ladder, and draw when everybody acts first; nothing of it is recorded."""
    n_makers, settings = world.makers.size, world.settings[0]
    for market in range(world.due.shape[0]):
        for maker in range(n_makers):
            spec = world.makers[maker]
            world.ladders[market, maker].error_e4 = spec.error_e4 * rng.standard_normal()
            makers.look(world, rng, market, maker)
            makers.set_quotes(world, rng, market, maker, 2 * spec.levels)
            world.ladders[market, maker].doing = CANCELS
            world.due[market, maker] = after(world, rng, spec.refresh_ns)
        world.due[market, n_makers + TAKER] = takers.next_candidate(world, rng, market)
        world.due[market, n_makers + LIMIT] = after(world, rng, settings.limit_ns)
        world.due[market, n_makers + 2] = after(world, rng, settings.whale_ns)
    world.tape.n[0] = 0
    world.tape.now_us[0] = 0
    world.state[0].batch = -1
    world.state[0].is_open = 1


@kernel
def trade(world: Any, rng: np.random.Generator, end_ns: int, room: int) -> bool:
    """Open the books in the first call; then run the event until ``end_ns`` or the recording is full.

    Returns True where the end was reached; else the caller takes the rows away, sets ``tape.n`` to 0 and
    calls again. The recording is full with less than ``room`` rows left, what one agent or item may write at
    most. One kernel does both: each that holds the matching core takes 15 s to compile.
    """
    state, schedule, tape, n_told = world.state[0], world.schedule, world.tape, world.told.size
    if state.is_open == 0:
        _open_books(world, rng)
        return False
    while tape.time_us.size - tape.n[0] >= room and (n_told == 0 or n_told - state.n_told >= 2 * room):
        market, column = _next_agent(world)
        item_ns = NEVER_NS
        if state.next_item < schedule.at_ns.size:
            item_ns = schedule.at_ns[state.next_item]
        expiry_ns = next_expiry_ns(world.core)
        at = min(expiry_ns, item_ns, state.arbitrage_ns, world.due[market, column])
        if at >= end_ns:
            return True
        state.now_ns = max(state.now_ns, at)
        if at == expiry_ns:  # else agents would meet orders that are gone
            let_expire(world, rng)
        elif at == item_ns:
            _item(world, rng)
        elif at == state.arbitrage_ns:
            arbitrage.act(world, rng)
        else:
            _act(world, rng, market, column)
        arbitrage.watch(world, rng)
    return False
