"""Time until an order's turn comes in a queue that only trades shorten: an Erlang time.

Model      Q contracts rest before an order of one contract; market orders of one contract come as a Poisson
           stream of rate mu, and nobody cancels. The order fills with the (Q + 1)-th of them.
Formula    P(filled by T) = 1 - P(Poisson(mu T) <= Q)
In core    :func:`wait` plays it with orders in the matching core.
"""

import numpy as np
from scipy.special import gammainc

from kalshi_platform.domain.compiled import kernel
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.simulation.matching.records import ASK, BID
from kalshi_platform.simulation.simexchange.oracles.venue import LOT_E2, Venue, new_venue, rest, take


def filled_by(ahead: int, rate: float, time: float) -> float:
    """Probability that an order behind ``ahead`` contracts is filled by ``time``; ``rate`` trades a unit."""
    if ahead < 0 or not rate > 0 or not time >= 0:
        raise ContractError(f"no queue has ahead={ahead}, rate={rate}, time={time}: below 0, or no trades")
    # the Poisson tail as a regularised incomplete gamma function
    return float(gammainc(ahead + 1, rate * time))


def new_queue(most_contracts: int = 4_096) -> Venue:
    """An empty book for :func:`wait`."""
    return new_venue(most_orders=most_contracts)


@kernel
def wait(rng: np.random.Generator, venue: Venue, ahead: int, rate: float, times: np.ndarray) -> None:
    """Write the fill times of ``times.size`` orders, each behind ``ahead`` contracts of an empty book."""
    for i in range(times.size):
        for _ in range(ahead):
            rest(venue, BID, 5_000, LOT_E2)
        slot = rest(venue, BID, 5_000, LOT_E2) % venue.core.orders.size
        now = 0.0
        while venue.core.orders[slot].rests == 1:
            now += rng.standard_exponential() / rate
            take(venue, ASK, LOT_E2)
        times[i] = now
