"""A maker who quotes Glosten-Milgrom prices in the simulated exchange: by the theory he earns nothing.

Market     V is drawn with the prior. Traders come one by one as the theory says, and take one contract from
           the maker's quote in the matching core. After each trade the maker cancels, learns and quotes
           anew. V pays the position of the market. The maker is booked by the core: cash and position of
           his account.
Rounding   the exact quote lies between two ticks; the maker quotes one of them, drawn so that the mean is the
           exact price. So the theorem holds on any price grid, whole cents too: the expected profit is 0.
           Rounding to the nearest tick could bias a trade by up to half a tick.
End        a market ends after ``max_trades``, or once a tick beside the exact quotes lies outside the grid or
           the two could meet. That depends on past trades alone, so it biases nothing.
Units      prices in ticks, money 1e-6 dollar, sizes 1e-2 contract.
"""

from math import floor

import numpy as np

from kalshi_platform.domain.compiled import kernel
from kalshi_platform.domain.units import DOLLAR_E4
from kalshi_platform.simulation.matching.records import ASK, BID
from kalshi_platform.simulation.simexchange.oracles.glosten_milgrom import ask_of, bid_of
from kalshi_platform.simulation.simexchange.oracles.venue import (
    LOT_E2,
    MAKER,
    Venue,
    cancel,
    new_venue,
    rest,
    take,
)

__all__ = ["make_markets", "new_venue"]


@kernel
def _round(rng: np.random.Generator, ticks: float) -> int:
    """One of the two ticks beside ``ticks``, drawn so that its mean is ``ticks``."""
    below = floor(ticks)
    return below + (1 if rng.random() < ticks - below else 0)


@kernel
def _meet(venue: Venue, bid: int, ask: int, buys: bool) -> bool:
    """Quote one contract at ``bid`` and ``ask`` ticks and let a trader take one.

    False where the core did not trade one contract, or left other than the untouched quote.
    """
    yes = rest(venue, BID, bid * venue.tick_e4, LOT_E2)
    no = rest(venue, ASK, ask * venue.tick_e4, LOT_E2)
    filled = take(venue, BID if buys else ASK, LOT_E2)
    return filled == LOT_E2 and cancel(venue, yes if buys else no) == LOT_E2


@kernel
def _worth_e6(venue: Venue, pays: bool) -> int:
    """Cash of the maker's account and the payment of its position."""
    held = venue.core.holdings[MAKER, 0].position_e2
    paid = max(held, 0) if pays else max(-held, 0)
    return venue.core.wallets[MAKER, 0].cash_e6 + paid * DOLLAR_E4


@kernel
def make_markets(
    rng: np.random.Generator,
    venue: Venue,
    prior: float,
    informed: float,
    max_trades: int,
    widen: int,
    profit_e6: np.ndarray,
    n_trades: np.ndarray,
) -> int:
    """Make ``profit_e6.size`` markets, ``widen`` ticks outside the zero-profit quotes on both sides.

    Writes the maker's profit (i8) and trades (i8) of each market. Returns how often the core did not trade as
    it must: 0, or the core is wrong.
    """
    n_ticks = DOLLAR_E4 // venue.tick_e4
    wrong = 0
    for market in range(profit_e6.size):
        p = prior
        pays = rng.random() < prior
        before_e6, trades = _worth_e6(venue, pays), 0
        while trades < max_trades:
            bid, ask = bid_of(p, informed), ask_of(p, informed)
            bid_ticks, ask_ticks = bid * n_ticks - widen, ask * n_ticks + widen
            if bid_ticks < 1.0 or ask_ticks > n_ticks - 1 or ask_ticks - bid_ticks < 2.0:
                break
            buys = pays if rng.random() < informed else rng.random() < 0.5
            if not _meet(venue, _round(rng, bid_ticks), _round(rng, ask_ticks), buys):
                wrong += 1
                break
            p = ask if buys else bid
            trades += 1
        profit_e6[market] = _worth_e6(venue, pays) - before_e6
        n_trades[market] = trades
    return wrong
