"""The trading day of one event: when news comes, when the consensus errs anew, and who acts next.

Clock  everything random happens per *message*, so that activity stays even however long the event lasts;
       ``times_us`` then says when the n-th message may come at the earliest.
Model  the forecast moves at news times with Gaussian increments whose variance is known beforehand, so
       every fair probability is a martingale; after the last message 1 - resolved of the variance is left.
"""

from math import sqrt

import numpy as np

from kalshi_platform.domain.compiled import allocating_kernel, kernel
from kalshi_platform.simulation.matching.engine import Book, Tape
from kalshi_platform.simulation.simexchange.agents import (
    Agents,
    Params,
    informed_market,
    noise_cancel,
    noise_limit,
    noise_market,
    requote,
    requote_all,
    revise_lean,
)
from kalshi_platform.simulation.simexchange.contracts import fair_probability

_OPENING_NOISE_ORDERS = 12


@kernel
def _act(
    rng: np.random.Generator, book: Book, tape: Tape, agents: Agents, params: Params, grid: np.ndarray,
    market: int, want: np.ndarray,
) -> None:  # fmt: skip
    """Draw one trader by the rates and let it act."""
    u = rng.random()
    if u < params.rates[0]:
        agent = int(rng.random() * (params.n_makers + 1))
        requote(rng, book, tape, agents, params, grid, market, agent, want)
    elif u < params.rates[1]:
        revise_lean(rng, book, tape, agents, params, market)
    elif u < params.rates[2]:
        noise_limit(rng, book, tape, agents, params, grid, market)
    elif u < params.rates[3]:
        noise_cancel(rng, book, tape, agents, market)
    elif u < params.rates[4]:
        noise_market(rng, book, tape, params, grid, market)
    else:
        informed_market(rng, book, tape, params, grid, market)


@kernel
def _open(
    rng: np.random.Generator, book: Book, tape: Tape, agents: Agents, params: Params, grid: np.ndarray,
    want: np.ndarray,
) -> None:  # fmt: skip
    """Fill the books as they stand when the recording begins."""
    for market in range(agents.z.size):
        agents.z[market] = rng.standard_normal()
        requote_all(rng, book, tape, agents, params, grid, market, want)
        for _ in range(_OPENING_NOISE_ORDERS):
            noise_limit(rng, book, tape, agents, params, grid, market)


@allocating_kernel
def trade_event(
    rng: np.random.Generator, book: Book, tape: Tape, agents: Agents, params: Params, grid: np.ndarray,
    lower: np.ndarray, upper: np.ndarray, times_us: np.ndarray, opening: np.ndarray,
) -> tuple[float, float]:  # fmt: skip
    """Run one event until its tape holds ``times_us.size`` messages after the opening.

    lower, upper (M,) f8 interval of each market on the standardised scale; grid (G,) prices 1e-4 dollar;
    times_us (N,) ascending; opening (M, 2, G) i8 receives the depth at the start of the recording. The
    tape must hold exactly N rows after ``tape.n`` was set back to 0. Returns (last forecast, variance left).
    """
    n_markets, n_messages = lower.size, times_us.size
    want = np.empty((params.n_makers + 1, 2, 5), np.int64)
    forecast, variance = 0.0, 1.0
    for market in range(n_markets):
        tape.now_fair[market] = fair_probability(forecast, variance, lower[market], upper[market])
    _open(rng, book, tape, agents, params, grid, want)
    opening[:] = book.depth
    tape.n[0] = 0
    tape.now_us[0] = times_us[0]
    news_at = params.news_messages * n_markets * rng.standard_exponential()
    revision_at = np.empty(n_markets)
    for market in range(n_markets):
        revision_at[market] = params.revision_messages * n_markets * rng.standard_exponential()
    while tape.n[0] < n_messages:
        n = tape.n[0]
        tape.now_us[0] = max(tape.now_us[0], times_us[n])
        if n >= news_at:
            news_at = n + params.news_messages * n_markets * rng.standard_exponential()
            left = 1.0 - params.resolved * n / n_messages
            forecast += sqrt(variance - left) * rng.standard_normal()
            variance = left
            first = int(rng.random() * n_markets)
            for market in range(n_markets):
                tape.now_fair[market] = fair_probability(forecast, variance, lower[market], upper[market])
            for i in range(n_markets):
                market = (first + i) % n_markets
                if rng.random() < params.snipe_share:
                    informed_market(rng, book, tape, params, grid, market)
                requote_all(rng, book, tape, agents, params, grid, market, want)
            continue
        market = int(rng.random() * n_markets)
        if n >= revision_at[market]:
            revision_at[market] = n + params.revision_messages * n_markets * rng.standard_exponential()
            memory = params.error_memory
            agents.z[market] = memory * agents.z[market] + sqrt(1.0 - memory * memory) * rng.standard_normal()
            requote_all(rng, book, tape, agents, params, grid, market, want)
        else:
            _act(rng, book, tape, agents, params, grid, market, want)
    # what was still to come of the last news is left, with everything else, to the settlement
    return forecast, variance
