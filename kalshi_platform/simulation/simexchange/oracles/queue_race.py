"""Queue race: which of the two best queues empties first when orders of one contract come in balance.

Model      n contracts rest at the best bid, p at the best ask; each event adds or removes one contract on one
           side, all four equally likely. The price moves to the side whose queue empties first.
Formula    P(ask first) = (1/pi) Int_0^pi (2 - cos t - sqrt((2 - cos t)^2 - 1))^p sin(nt) cos(t/2)/sin(t/2) dt
Source     Cont & de Larrard (2013), SIAM Journal on Financial Mathematics 4.
In core    :func:`race` plays the race with orders in the matching core.
"""

from typing import Final

import numpy as np

from kalshi_platform.domain.compiled import kernel
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.simulation.matching.records import ASK, BID
from kalshi_platform.simulation.simexchange.oracles.venue import LOT_E2, Venue, new_venue, rest, take

#: Nodes of the quadrature; the integrand turns n times.
_NODES_A_CONTRACT: Final = 8
_LEAST_NODES: Final = 200
#: Prices of the two queues, 1e-4 dollar.
_BID_E4, _ASK_E4 = 4_900, 5_100
_OWN_E4: Final = 4_900  # what either side pays for its outcome


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


def new_race(most_contracts: int = 4_096) -> Venue:
    """An empty book for :func:`race`."""
    return new_venue(most_orders=most_contracts)


@kernel
def race(
    rng: np.random.Generator, venue: Venue, n_bid: int, n_ask: int, n_races: int, most_events: int
) -> tuple[int, int]:
    """Run ``n_races`` races in ``venue``, which must be empty; returns (won by the ask, undecided).

    A race is undecided, and stopped, after ``most_events``: its length has no finite mean.
    """
    depth = venue.core.depth
    won, undecided = 0, 0
    for _ in range(n_races):
        for _ in range(n_bid):
            rest(venue, BID, _BID_E4, LOT_E2)
        for _ in range(n_ask):
            rest(venue, ASK, _ASK_E4, LOT_E2)
        left = most_events
        while left > 0 and depth[0, BID, _OWN_E4] > 0 and depth[0, ASK, _OWN_E4] > 0:
            left -= 1
            u = rng.random()
            side = BID if u < 0.5 else ASK
            if u < 0.25 or u >= 0.75:
                rest(venue, side, _BID_E4 if side == BID else _ASK_E4, LOT_E2)
            else:
                take(venue, 1 - side, LOT_E2)
        if left == 0:
            undecided += 1
        elif depth[0, ASK, _OWN_E4] == 0:
            won += 1
        take(venue, ASK, depth[0, BID, _OWN_E4])
        take(venue, BID, depth[0, ASK, _OWN_E4])
    return won, undecided
