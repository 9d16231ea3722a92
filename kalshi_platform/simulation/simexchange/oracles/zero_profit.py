"""A maker who quotes Glosten-Milgrom prices in the simulated exchange: by the theory he earns nothing.

Market     V is drawn with the prior. Traders come one by one as the theory says, and take one contract from
           the maker's quote in the matching engine. After each trade the maker cancels, learns and quotes
           anew. V settles the last position. The maker is booked at the prices of the engine's tape.
Rounding   the exact quote lies between two ticks; the maker quotes one of them, drawn so that the mean is the
           exact price. So the theorem holds on any price grid, whole cents too: the expected profit is 0.
           Rounding to the nearest tick could bias a trade by up to half a tick.
End        a market ends after ``max_trades``, or once a tick beside the exact quotes lies outside the grid or
           the two could meet. That depends on past trades alone, so it biases nothing.
Units      prices in ticks, money 1e-6 dollar, sizes 1e-2 contract.
Moves to   another matching core by its ``rest``, ``take`` and ``cancel``, which only :func:`_meet` calls.
"""

from math import floor
from typing import Final

import numpy as np

from kalshi_platform.domain.compiled import kernel
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.units import DOLLAR_E4
from kalshi_platform.simulation.matching.engine import (
    NONE,
    Book,
    Tape,
    cancel,
    new_book,
    new_tape,
    rest,
    take,
)
from kalshi_platform.simulation.simexchange.oracles.glosten_milgrom import ask_of, bid_of

_YES, _NO = range(2)
_LOT_E2: Final = 100


def new_venue(tick_e4: int) -> tuple[Book, Tape]:
    """An empty book whose grid is the multiples of ``tick_e4`` inside (0, 1), and a tape of one command."""
    if tick_e4 <= 0 or DOLLAR_E4 % tick_e4 != 0:
        raise ContractError(f"tick_e4={tick_e4} does not divide a dollar of {DOLLAR_E4} (1e-4 dollar)")
    return new_book(1, DOLLAR_E4 // tick_e4 - 1, 4), new_tape(1, 4)


@kernel
def _round(rng: np.random.Generator, ticks: float) -> int:
    """One of the two ticks beside ``ticks``, drawn so that its mean is ``ticks``."""
    below = floor(ticks)
    return below + (1 if rng.random() < ticks - below else 0)


@kernel
def _meet(book: Book, tape: Tape, bid: int, ask: int, buys: bool) -> int:
    """Quote one contract at ``bid`` and ``ask`` ticks and let a trader take one; returns the price in ticks.

    The price is read from the engine's tape; 0 where the engine did not trade exactly one contract there.
    """
    n_levels = book.depth.shape[2]
    yes = rest(book, tape, 0, _YES, bid - 1, _LOT_E2, 0)
    no = rest(book, tape, 0, _NO, n_levels - ask, _LOT_E2, 0)
    tape.n[0] = 0
    filled = take(book, tape, 0, _YES if buys else _NO, n_levels - 1, _LOT_E2)
    whole = filled == _LOT_E2 and tape.n[0] == 1 and tape.change[0] == -_LOT_E2
    level = tape.level[0]
    price = n_levels - level if tape.side[0] == _NO else level + 1
    tape.n[0] = 0
    if yes != NONE and book.qty[yes] > 0:
        cancel(book, tape, 0, yes)
    if no != NONE and book.qty[no] > 0:
        cancel(book, tape, 0, no)
    tape.n[0] = 0
    return price if whole else 0


@kernel
def make_markets(
    rng: np.random.Generator,
    book: Book,
    tape: Tape,
    prior: float,
    informed: float,
    max_trades: int,
    widen: int,
    profit_e6: np.ndarray,
    n_trades: np.ndarray,
) -> int:
    """Make ``profit_e6.size`` markets, ``widen`` ticks outside the zero-profit quotes on both sides.

    Writes the maker's profit (i8) and trades (i8) of each market. Returns how often the engine did not trade
    as it must: 0, or the engine is wrong.
    """
    n_levels = book.depth.shape[2]
    tick_e4 = DOLLAR_E4 // (n_levels + 1)
    wrong = 0
    for market in range(profit_e6.size):
        p = prior
        pays = rng.random() < prior
        cash_e6, position_e2, trades = 0, 0, 0
        while trades < max_trades:
            bid, ask = bid_of(p, informed), ask_of(p, informed)
            bid_ticks, ask_ticks = bid * (n_levels + 1) - widen, ask * (n_levels + 1) + widen
            if bid_ticks < 1.0 or ask_ticks > n_levels or ask_ticks - bid_ticks < 2.0:
                break
            buys = pays if rng.random() < informed else rng.random() < 0.5
            price = _meet(book, tape, _round(rng, bid_ticks), _round(rng, ask_ticks), buys)
            if price == 0:
                wrong += 1
                break
            sign = -1 if buys else 1
            cash_e6 -= sign * price * tick_e4 * _LOT_E2
            position_e2 += sign * _LOT_E2
            p = ask if buys else bid
            trades += 1
        profit_e6[market] = cash_e6 + (position_e2 * DOLLAR_E4 if pays else 0)
        n_trades[market] = trades
    return wrong
