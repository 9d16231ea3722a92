"""Time until an order's turn comes in a queue that only trades shorten: an Erlang time.

Model      Q contracts rest before an order of one contract; market orders of one contract come as a Poisson
           stream of rate mu, and nobody cancels. The order fills with the (Q + 1)-th of them.
Formula    P(filled by T) = 1 - P(Poisson(mu T) <= Q)
In engine  :func:`wait` plays it with orders of the simulated exchange.
"""

from typing import Final

import numpy as np
from scipy.special import gammainc

from kalshi_platform.domain.compiled import kernel
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.simulation.matching.engine import Book, Tape, new_book, new_tape, rest, take

_YES, _NO = range(2)
_N_LEVELS: Final = 3
_LOT_E2: Final = 100


def filled_by(ahead: int, rate: float, time: float) -> float:
    """Probability that an order behind ``ahead`` contracts is filled by ``time``; ``rate`` trades a unit."""
    if ahead < 0 or not rate > 0 or not time >= 0:
        raise ContractError(f"no queue has ahead={ahead}, rate={rate}, time={time}: below 0, or no trades")
    # the Poisson tail as a regularised incomplete gamma function
    return float(gammainc(ahead + 1, rate * time))


def new_queue(most_contracts: int = 4_096) -> tuple[Book, Tape]:
    """An empty book for :func:`wait`, and its tape, which keeps nothing."""
    return new_book(1, _N_LEVELS, most_contracts), new_tape(1, 0)


@kernel
def wait(
    rng: np.random.Generator, book: Book, tape: Tape, ahead: int, rate: float, times: np.ndarray
) -> None:
    """Write the fill times of ``times.size`` orders, each behind ``ahead`` contracts of an empty book."""
    for i in range(times.size):
        for _ in range(ahead):
            rest(book, tape, 0, _YES, 0, _LOT_E2, 0)
        order = rest(book, tape, 0, _YES, 0, _LOT_E2, 1)
        now = 0.0
        while book.qty[order] > 0:
            now += rng.standard_exponential() / rate
            take(book, tape, 0, _NO, _N_LEVELS - 1, _LOT_E2)
        times[i] = now
