"""Traders of the simulated exchange: market makers, an informed quoter, informed takers and noise.

Belief     makers share a consensus = fair probability + error, error = ``error_sd`` x z x 2 sqrt(p(1-p)),
           z a mean-reverting process with unit variance. Each maker sees it with an error of its own.
Signal     informed traders know the fair probability. They rest bids on both outcomes at the makers'
           prices, larger on the side that is too cheap: size x exp(+-lean x s), s = -z + noise. So the
           displayed imbalance tells sign and size of the error, with noise.
Flow       informed takers buy what is too cheap after the fee; noise takers, limits and cancels know nothing.
Not here   when the fair probability moves and who acts next (kernel.py).
"""

from typing import NamedTuple

import numpy as np

from kalshi_platform.domain.compiled import kernel
from kalshi_platform.simulation.matching.engine import NONE, Book, Tape, cancel, resize, rest, take

#: Quotes of one trader a side, and noise orders of one market that can rest at the same time.
MAX_LEVELS, NOISE_SLOTS = 5, 24
_TAGS_A_MARKET = 1_000
_FEE_RATE = 0.07
#: Quotes stand on round prices even where the grid is finer, so queues form.
_ROUND_E4 = 50.0
_OWN_ERROR_SD_E4 = 15.0


class Params(NamedTuple):
    """Scalars of :class:`SimConfig` as the kernels take them; prices 1e-4 dollar, sizes 1e-2 contract."""

    error_sd_e4: float
    error_memory: float
    revision_messages: float
    news_messages: float
    resolved: float
    lean: float
    signal_noise: float
    n_makers: int
    maker_levels: int
    half_spread_e4: float
    maker_e2: float
    informed_e2: float
    noise_e2: float
    rates: tuple[float, float, float, float, float, float]  # cumulative shares, in the order of kernel.act
    snipe_share: float


class Agents(NamedTuple):
    """State of the traders on M markets: K makers and, last, the informed quoter."""

    z: np.ndarray  # (M,) f8 consensus error in standard deviations
    own_error_e4: np.ndarray  # (M, K + 1) f8 what each adds to the consensus; 0 for the informed quoter
    quotes: np.ndarray  # (M, K + 1, 2, MAX_LEVELS) i4 order numbers; may have gone since: see alive()
    noise: np.ndarray  # (M, NOISE_SLOTS) i4 order numbers


def new_agents(n_markets: int, n_makers: int) -> Agents:
    """Traders without orders."""
    return Agents(
        z=np.zeros(n_markets),
        own_error_e4=np.zeros((n_markets, n_makers + 1)),
        quotes=np.full((n_markets, n_makers + 1, 2, MAX_LEVELS), NONE, "i4"),
        noise=np.full((n_markets, NOISE_SLOTS), NONE, "i4"),
    )


@kernel
def _alive(book: Book, order: int, tag: int) -> bool:
    """True where ``order`` lives and carries our ``tag``; the engine uses order numbers again."""
    return order != NONE and book.qty[order] > 0 and book.owner[order] == tag


@kernel
def _quote_tag(market: int, agent: int, side: int, j: int) -> int:
    return market * _TAGS_A_MARKET + (agent * 2 + side) * MAX_LEVELS + j


@kernel
def _noise_tag(market: int, slot: int) -> int:
    return market * _TAGS_A_MARKET + _TAGS_A_MARKET - 1 - slot


@kernel
def floor_level(grid: np.ndarray, price_e4: float) -> int:
    """Highest grid position not above ``price_e4``; NONE below the grid."""
    return int(np.searchsorted(grid, price_e4, side="right")) - 1


@kernel
def nearest_level(grid: np.ndarray, price_e4: float) -> int:
    """Grid position nearest to ``price_e4``; NONE where the price is nearer to 0 than to the grid."""
    below = floor_level(grid, price_e4)
    if below == NONE:
        return 0 if price_e4 > grid[0] / 2 else NONE
    if below + 1 < grid.size and grid[below + 1] - price_e4 < price_e4 - grid[below]:
        return below + 1
    return below


@kernel
def consensus_e4(agents: Agents, tape: Tape, params: Params, market: int) -> float:
    """YES probability that all makers together believe in, 1e-4 dollar."""
    p = tape.now_fair[market]
    error = params.error_sd_e4 * agents.z[market] * 2.0 * np.sqrt(p * (1.0 - p))
    return min(max(p * 10_000.0 + error, 20.0), 9_980.0)


@kernel
def _pause(rng: np.random.Generator, tape: Tape) -> None:
    """Move the clock by a reaction time inside a burst: some hundred microseconds."""
    tape.now_us[0] += 50 + int(rng.random() * 800.0)


@kernel
def _size_e2(rng: np.random.Generator, median_e2: float, log_sd: float) -> int:
    """Log-normal order size: mostly whole contracts, sometimes hundredths (the exchange takes both)."""
    size = median_e2 * np.exp(log_sd * rng.standard_normal())
    unit = 1 if rng.random() < 0.05 else 100
    return max(int(size / unit + 0.5) * unit, unit)


@kernel
def _targets(
    agents: Agents, tape: Tape, params: Params, grid: np.ndarray, market: int, agent: int, out: np.ndarray
) -> None:  # fmt: skip
    """Fill ``out`` (2, MAX_LEVELS) with the levels ``agent`` wants to quote; NONE = no quote."""
    yes_e4 = consensus_e4(agents, tape, params, market) + agents.own_error_e4[market, agent]
    out[:] = NONE
    levels = params.maker_levels if agent < params.n_makers else min(params.maker_levels, 2)
    for side in range(2):
        belief = yes_e4 if side == 0 else 10_000.0 - yes_e4
        for j in range(levels):
            price_e4 = belief - params.half_spread_e4 - 100.0 * j
            out[side, j] = nearest_level(grid, np.floor(price_e4 / _ROUND_E4 + 0.5) * _ROUND_E4)


@kernel
def _cancel_stale(
    rng: np.random.Generator,
    book: Book,
    tape: Tape,
    agents: Agents,
    market: int,
    agent: int,
    want: np.ndarray,
) -> None:
    """Cancel the agent's quotes that lie on none of the levels it wants."""
    for j in range(MAX_LEVELS):
        for side in range(2):
            order = agents.quotes[market, agent, side, j]
            if not _alive(book, order, _quote_tag(market, agent, side, j)):
                agents.quotes[market, agent, side, j] = NONE
                continue
            stale = True
            for k in range(MAX_LEVELS):
                if want[side, k] == book.level[order]:
                    stale = False
            if stale:
                _pause(rng, tape)
                cancel(book, tape, market, order)
                agents.quotes[market, agent, side, j] = NONE


@kernel
def _quote_size_e2(rng: np.random.Generator, agents: Agents, params: Params, market: int, agent: int,
                   side: int, j: int) -> int:  # fmt: skip
    deeper = 1.0 + 0.5 * j
    if agent < params.n_makers:
        return _size_e2(rng, params.maker_e2 * deeper, 0.35)
    s = -agents.z[market] + params.signal_noise * rng.standard_normal()
    s = min(max(s, -2.5), 2.5)
    tilt = params.lean * s if side == 0 else -params.lean * s
    return _size_e2(rng, params.informed_e2 * deeper * np.exp(tilt), 0.15)


@kernel
def _place_missing(
    rng: np.random.Generator, book: Book, tape: Tape, agents: Agents, params: Params,
    market: int, agent: int, want: np.ndarray,
) -> None:  # fmt: skip
    """Quote the wanted levels that have no quote yet, and refill quotes that are mostly eaten."""
    for j in range(MAX_LEVELS):
        for side in range(2):
            level = want[side, j]
            if level == NONE:
                continue
            free, quoted = NONE, NONE
            for k in range(MAX_LEVELS):
                order = agents.quotes[market, agent, side, k]
                if not _alive(book, order, _quote_tag(market, agent, side, k)):
                    free = k if free == NONE else free
                elif book.level[order] == level:
                    quoted = order
            size = _quote_size_e2(rng, agents, params, market, agent, side, j)
            if quoted == NONE and free != NONE:
                _pause(rng, tape)
                tag = _quote_tag(market, agent, side, free)
                agents.quotes[market, agent, side, free] = rest(book, tape, market, side, level, size, tag)
            elif quoted != NONE and book.qty[quoted] < 0.4 * size:
                _pause(rng, tape)
                resize(book, tape, market, quoted, size)


@kernel
def _withdraw_noise(
    rng: np.random.Generator, book: Book, tape: Tape, agents: Agents, params: Params, market: int,
    want: np.ndarray,
) -> None:  # fmt: skip
    """Cancel nine of ten noise orders that now lie inside the makers' new spread."""
    for slot in range(NOISE_SLOTS):
        order = agents.noise[market, slot]
        if not _alive(book, order, _noise_tag(market, slot)) or rng.random() < 0.1:
            continue
        side = book.side[order]
        if book.level[order] > want[params.n_makers, side, 0]:
            _pause(rng, tape)
            cancel(book, tape, market, order)


@kernel
def _sweep(
    rng: np.random.Generator, book: Book, tape: Tape, agents: Agents, params: Params, grid: np.ndarray,
    market: int,
) -> None:  # fmt: skip
    """Take forgotten orders that the consensus has left behind."""
    yes_e4 = consensus_e4(agents, tape, params, market)
    for side in range(2):
        belief = yes_e4 if side == 0 else 10_000.0 - yes_e4
        limit = floor_level(grid, belief - 25.0)
        if limit != NONE:
            _pause(rng, tape)
            take(book, tape, market, side, limit, 1_000_000_000)


@kernel
def requote(
    rng: np.random.Generator, book: Book, tape: Tape, agents: Agents, params: Params, grid: np.ndarray,
    market: int, agent: int, want: np.ndarray,
) -> None:  # fmt: skip
    """Fill up the ladder of one maker, or of the informed quoter, after trades took from it."""
    _targets(agents, tape, params, grid, market, agent, want[agent])
    _cancel_stale(rng, book, tape, agents, market, agent, want[agent])
    _place_missing(rng, book, tape, agents, params, market, agent, want[agent])


@kernel
def requote_all(
    rng: np.random.Generator, book: Book, tape: Tape, agents: Agents, params: Params, grid: np.ndarray,
    market: int, want: np.ndarray,
) -> None:  # fmt: skip
    """Requote a market after its consensus moved.

    All agents withdraw stale quotes, sweep the orders left behind, then quote anew.
    """
    n = params.n_makers + 1
    for agent in range(n):
        if agent < params.n_makers:
            agents.own_error_e4[market, agent] = _OWN_ERROR_SD_E4 * rng.standard_normal()
        _targets(agents, tape, params, grid, market, agent, want[agent])
        _cancel_stale(rng, book, tape, agents, market, agent, want[agent])
    _sweep(rng, book, tape, agents, params, grid, market)
    _withdraw_noise(rng, book, tape, agents, params, market, want)
    first = int(rng.random() * n)
    for i in range(n):
        agent = (first + i) % n
        _place_missing(rng, book, tape, agents, params, market, agent, want[agent])


@kernel
def revise_lean(
    rng: np.random.Generator, book: Book, tape: Tape, agents: Agents, params: Params, market: int
) -> None:
    """Give the informed quotes of both sides at one depth new sizes; one message each."""
    agent, j = params.n_makers, int(rng.random() * 2.0)
    for side in range(2):
        order = agents.quotes[market, agent, side, j]
        if _alive(book, order, _quote_tag(market, agent, side, j)):
            size = _quote_size_e2(rng, agents, params, market, agent, side, 0)
            _pause(rng, tape)
            resize(book, tape, market, order, size)


@kernel
def noise_limit(
    rng: np.random.Generator, book: Book, tape: Tape, agents: Agents, params: Params, grid: np.ndarray,
    market: int,
) -> None:  # fmt: skip
    """Rest a noise bid below the best one, now and then a cent above it; the bid never crosses."""
    slot, side = int(rng.random() * NOISE_SLOTS), int(rng.random() * 2.0)
    best = book.best[market, side]
    if best == NONE or _alive(book, agents.noise[market, slot], _noise_tag(market, slot)):
        return
    away_e4 = -100.0 if rng.random() < 0.03 else 100.0 * int(rng.standard_exponential() * 2.0)
    level = nearest_level(grid, grid[best] - away_e4)
    size = _size_e2(rng, params.noise_e2, 0.8)
    agents.noise[market, slot] = rest(book, tape, market, side, level, size, _noise_tag(market, slot))


@kernel
def noise_cancel(rng: np.random.Generator, book: Book, tape: Tape, agents: Agents, market: int) -> None:
    """Cancel one noise order."""
    slot = int(rng.random() * NOISE_SLOTS)
    order = agents.noise[market, slot]
    if _alive(book, order, _noise_tag(market, slot)):
        cancel(book, tape, market, order)
    agents.noise[market, slot] = NONE


@kernel
def noise_market(
    rng: np.random.Generator, book: Book, tape: Tape, params: Params, grid: np.ndarray, market: int
) -> None:
    """Buy one outcome at once, up to four cents through its best price; one in eight orders is large."""
    side = int(rng.random() * 2.0)
    other = book.best[market, 1 - side]
    if other == NONE:
        return
    size = _size_e2(rng, params.noise_e2, 0.9)
    if rng.random() < 0.125:
        size *= 8
    limit = floor_level(grid, 10_000.0 - grid[other] + 400.0)
    take(book, tape, market, side, limit, size)


@kernel
def informed_market(
    rng: np.random.Generator, book: Book, tape: Tape, params: Params, grid: np.ndarray, market: int
) -> None:
    """Buy every offer that lies half a cent or more below its fair price after the taker fee."""
    p = tape.now_fair[market]
    least_e4 = 10_000.0 * _FEE_RATE * p * (1.0 - p) + 50.0
    for side in range(2):
        fair_e4 = p * 10_000.0 if side == 0 else (1.0 - p) * 10_000.0
        limit = floor_level(grid, fair_e4 - least_e4)
        if limit != NONE:
            take(book, tape, market, side, limit, _size_e2(rng, params.noise_e2 * 2.0, 0.7))
