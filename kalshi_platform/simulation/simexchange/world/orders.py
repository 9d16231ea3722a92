"""Orders of agents: the one way to the matching core, and sizes and prices as agents draw them."""

from typing import Any

import numpy as np

from kalshi_platform.domain.compiled import inline_kernel, inner_kernel
from kalshi_platform.simulation.matching import command as c
from kalshi_platform.simulation.matching.execute import execute
from kalshi_platform.simulation.matching.orders import find
from kalshi_platform.simulation.matching.reasons import INSUFFICIENT_BALANCE, OK
from kalshi_platform.simulation.matching.records import ASK, BID, DOLLAR_E4, NEVER_NS, NONE
from kalshi_platform.simulation.simexchange.world.feed import publish


@inner_kernel
def do(world: Any, rng: np.random.Generator) -> int:
    """Send the world's command at its clock, record what the feed tells; returns OK or the reason."""
    command, state = world.command[0], world.state[0]
    command.time_ns = state.now_ns
    state.commands += 1
    reason = execute(world.core, command, world.answer[0])
    if reason != OK:
        state.refused += 1
    if reason == INSUFFICIENT_BALANCE:
        state.unpaid += 1
    publish(world, rng)
    return reason


@inner_kernel
def let_expire(world: Any, rng: np.random.Generator) -> None:
    """Let orders end whose time has come by the world's clock: no agent's command."""
    command = world.command[0]
    command.op = c.WAIT
    command.time_ns = world.state[0].now_ns
    execute(world.core, command, world.answer[0])
    publish(world, rng)


@inline_kernel
def _submit(
    world: Any, rng: np.random.Generator, account: int, market: int, side: int, own_e4: int, qty_e2: int,
    tif: int, options: int, expiry_ns: int,
) -> int:  # fmt: skip
    command = world.command[0]
    command.op = c.SUBMIT
    command.account = account
    command.market = market
    command.side = side
    command.price_e4 = own_e4 if side == BID else DOLLAR_E4 - own_e4
    command.qty_e2 = qty_e2
    command.tif = tif
    command.options = options
    command.expiry_ns = expiry_ns
    return do(world, rng)


@inline_kernel
def rest(
    world: Any, rng: np.random.Generator, account: int, market: int, side: int, own_e4: int, qty_e2: int,
    expiry_ns: int,
) -> int:  # fmt: skip
    """Rest a post-only order; returns its number, NONE where the exchange refused it."""
    reason = _submit(world, rng, account, market, side, own_e4, qty_e2, c.GTC, c.POST_ONLY, expiry_ns)
    return world.answer[0].order_id if reason == OK else NONE


@inline_kernel
def take(
    world: Any, rng: np.random.Generator, account: int, market: int, side: int, own_e4: int, qty_e2: int
) -> int:
    """Buy at once up to ``own_e4`` (IOC); returns the size filled."""
    reason = _submit(world, rng, account, market, side, own_e4, qty_e2, c.IOC, c.NO_FLAGS, NEVER_NS)
    return world.answer[0].filled_e2 if reason == OK else 0


@inline_kernel
def withdraw(world: Any, rng: np.random.Generator, account: int, order_id: int) -> bool:
    """Cancel an order where it still rests; returns True where it did."""
    if find(world.core, order_id) == NONE:
        return False
    command = world.command[0]
    command.op = c.CANCEL
    command.account = account
    command.market = NONE
    command.order_id = order_id
    return do(world, rng) == OK


@inner_kernel
def ask_e4(world: Any, market: int, side: int) -> int:
    """Price at which the outcome that ``side`` buys is offered; NONE where nobody offers it."""
    other = world.core.best[market, 1 - side]
    return NONE if other == NONE else DOLLAR_E4 - other


@inner_kernel
def whole_cents_e4(price_e4: float) -> int:
    """Highest whole cent at or below a price, within 0 to 99; every grid of the exchange has them."""
    return min(max(int(np.floor(price_e4 / 100.0)) * 100, 0), 9_900)


@inner_kernel
def size_e2(rng: np.random.Generator, contracts: float, log_sd: float) -> int:
    """Log-normal size in whole contracts, at least one; one in twenty in hundredths, at least a hundredth."""
    size = min(contracts * np.exp(log_sd * rng.standard_normal()), 1e6)
    unit = 1 if rng.random() < 0.05 else 100
    return max(int(100.0 * size / unit + 0.5) * unit, unit)


@inner_kernel
def fee_e4(price_e4: int) -> float:
    """Taker's fee of one contract, 1e-4 dollar, before rounding."""
    return 0.07 * price_e4 * (10_000 - price_e4) / 10_000.0


@inner_kernel
def fair_e4(world: Any, market: int, side: int) -> float:
    """Fair price of the outcome that ``side`` buys."""
    p = 10_000.0 * world.tape.now_fair[market]
    return 10_000.0 - p if side == ASK else p


@inner_kernel
def after(world: Any, rng: np.random.Generator, mean_ns: float) -> int:
    """Time an exponential wait from now."""
    return world.state[0].now_ns + 1 + int(min(mean_ns * rng.standard_exponential(), 1e18))


@inner_kernel
def any_side(rng: np.random.Generator) -> int:
    """One of the two sides."""
    return BID if rng.random() < 0.5 else ASK
