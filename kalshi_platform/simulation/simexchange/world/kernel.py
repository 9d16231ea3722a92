"""The trading day of one event in one compiled loop: the next agent, or the next scheduled item, acts.

Order  at equal times the schedule comes first, then the arbitrageur, then agents by market and place. No
       Python runs between two messages, and nothing is allocated.
"""

from typing import Any

import numpy as np

from kalshi_platform.domain.compiled import inner_kernel, kernel
from kalshi_platform.simulation.matching import command as c
from kalshi_platform.simulation.matching.records import ACTIVE, INACTIVE, NEVER_NS
from kalshi_platform.simulation.simexchange.world import arbitrage, makers, takers
from kalshi_platform.simulation.simexchange.world.orders import after, do
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


@inner_kernel
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


@inner_kernel
def _set_status(world: Any, rng: np.random.Generator, status: int) -> None:
    command = world.command[0]
    for market in range(world.due.shape[0]):
        command.op = c.MARKET_STATUS
        command.market = market
        command.status = status
        do(world, rng)


@inner_kernel
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


@inner_kernel
def _news(world: Any, rng: np.random.Generator, row: int, is_jump: bool) -> None:
    """Move the fair prices; at a jump the fastest of the informed trade before any maker looks."""
    fair, now_fair = world.schedule.fair, world.tape.now_fair
    for market in range(now_fair.size):
        now_fair[market] = fair[row, market]
    for market in range(now_fair.size):
        if is_jump and rng.random() < world.settings[0].informed_share:
            takers.informed(world, rng, market)
        makers.hear(world, rng, market)


@inner_kernel
def _item(world: Any, rng: np.random.Generator) -> None:
    """Do the next scheduled item."""
    state, schedule = world.state[0], world.schedule
    kind, value = schedule.kind[state.next_item], schedule.value[state.next_item]
    state.next_item += 1
    if kind in (NEWS, JUMP):
        _news(world, rng, value, kind == JUMP)
    elif kind == ACTIVITY:
        state.activity = value / 1_000.0
    elif kind == QUIET:
        makers.withdraw_all(world, rng, value)
    elif kind == PAUSE:
        _set_status(world, rng, INACTIVE)
    elif kind == RESUME:
        _set_status(world, rng, ACTIVE)
    else:
        _regrid(world, rng)


@kernel
def open_books(world: Any, rng: np.random.Generator) -> None:
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


@kernel
def trade(world: Any, rng: np.random.Generator, end_ns: int, room: int) -> bool:
    """Run the event until ``end_ns`` or until the recording has less than ``room`` rows left.

    Returns True where the end was reached; else the caller takes the rows away, sets ``tape.n`` to 0 and
    calls again. ``room`` is what one agent or item may write at most.
    """
    state, schedule, tape = world.state[0], world.schedule, world.tape
    while tape.time_us.size - tape.n[0] >= room:
        market, column = _next_agent(world)
        item_ns = NEVER_NS
        if state.next_item < schedule.at_ns.size:
            item_ns = schedule.at_ns[state.next_item]
        at = min(item_ns, state.arbitrage_ns, world.due[market, column])
        if at >= end_ns:
            return True
        state.now_ns = max(state.now_ns, at)
        if at == item_ns:
            _item(world, rng)
        elif at == state.arbitrage_ns:
            arbitrage.act(world, rng)
        else:
            _act(world, rng, market, column)
        arbitrage.watch(world, rng)
    return False
