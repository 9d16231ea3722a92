"""Queue race: which of the two best queues empties first when orders of one contract come in balance.

Model      n contracts rest at the best bid, p at the best ask; each event adds or removes one contract on one
           side, all four equally likely. The price moves to the side whose queue empties first.
Formula    P(ask first) = (1/pi) Int_0^pi (2 - cos t - sqrt((2 - cos t)^2 - 1))^p sin(nt) cos(t/2)/sin(t/2) dt
Source     Cont & de Larrard (2013), SIAM Journal on Financial Mathematics 4.
In engine  :func:`race` plays the race with orders of the simulated exchange.
"""

from typing import Final

import numpy as np

from kalshi_platform.domain.compiled import kernel
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.simulation.matching.engine import Book, Tape, new_book, new_tape, rest, take

#: Nodes of the quadrature; the integrand turns n times.
_NODES_A_CONTRACT: Final = 8
_LEAST_NODES: Final = 200
_BID, _ASK = range(2)  # sides of the engine: bids for YES, bids for NO
_LEVEL: Final = 0  # both queues; with three levels they do not cross
_N_LEVELS: Final = 3
_LOT_E2: Final = 100


def ask_empties_first(n_bid: int, n_ask: int) -> float:
    """Probability that ``n_ask`` contracts at the ask are gone before ``n_bid`` at the bid."""
    if min(n_bid, n_ask) < 1:
        raise ContractError(
            f"a race needs contracts on both sides, not {n_bid} at the bid, {n_ask} at the ask"
        )
    nodes, weight = np.polynomial.legendre.leggauss(_LEAST_NODES + _NODES_A_CONTRACT * n_bid)
    t = (nodes + 1.0) * np.pi / 2.0
    cosine = 2.0 - np.cos(t)
    decay = cosine - np.sqrt((1.0 - np.cos(t)) * (3.0 - np.cos(t)))
    integrand = decay**n_ask * np.sin(n_bid * t) / np.tan(t / 2.0)
    return float(weight @ integrand / 2.0)  # (1/pi) x half the length of the interval


def new_race(most_contracts: int = 4_096) -> tuple[Book, Tape]:
    """An empty book for :func:`race`, and its tape, which keeps nothing."""
    return new_book(1, _N_LEVELS, most_contracts), new_tape(1, 0)


@kernel
def race(
    rng: np.random.Generator, book: Book, tape: Tape, n_bid: int, n_ask: int, n_races: int, most_events: int
) -> tuple[int, int]:
    """Run ``n_races`` races in ``book``, which must be empty; returns (won by the ask, undecided).

    A race is undecided, and stopped, after ``most_events``: its length has no finite mean.
    """
    won, undecided = 0, 0
    for _ in range(n_races):
        for _ in range(n_bid):
            rest(book, tape, 0, _BID, _LEVEL, _LOT_E2, 0)
        for _ in range(n_ask):
            rest(book, tape, 0, _ASK, _LEVEL, _LOT_E2, 0)
        left = most_events
        while left > 0 and book.depth[0, _BID, _LEVEL] > 0 and book.depth[0, _ASK, _LEVEL] > 0:
            left -= 1
            u = rng.random()
            side = _BID if u < 0.5 else _ASK
            if u < 0.25 or u >= 0.75:
                rest(book, tape, 0, side, _LEVEL, _LOT_E2, 0)
            else:
                take(book, tape, 0, 1 - side, _N_LEVELS - 1, _LOT_E2)
        if left == 0:
            undecided += 1
        elif book.depth[0, _ASK, _LEVEL] == 0:
            won += 1
        take(book, tape, 0, _ASK, _N_LEVELS - 1, book.depth[0, _BID, _LEVEL])
        take(book, tape, 0, _BID, _N_LEVELS - 1, book.depth[0, _ASK, _LEVEL])
    return won, undecided
