"""Market making with inventory bounds, solved by a matrix exponential (Cartea, Jaimungal & Penalva, ch. 10).

Model      the mid is a martingale. Market orders come on each side at rate lambda; one fills a quote at depth
           d from the mid with probability exp(-kappa d). A fill trades one lot. The maker quotes both sides,
           only the reducing one at an inventory of +-Q.
Objective  E[cash + inventory at the mid] - alpha q_T^2 - integral of (phi q^2 + chi |q|) dt
Solution   h(t, q), what the state is worth beyond cash and mid: h = ln(w) / kappa, w = exp(A (T - t)) z,
           A_qq = -kappa (phi q^2 + chi |q|), A_q,q+-1 = lambda / e, z_q = exp(-alpha kappa q^2)
Depths     ask 1/kappa - h(q-1) + h(q), bid 1/kappa - h(q+1) + h(q)
Settlement a binary contract priced p that settles at T: the risk of an inventory is gamma q^2 p (1 - p), so
           alpha = gamma p (1 - p) and phi = 0 (:func:`binary_settlement`).
Units      money in one unit (dollar), time in one unit; lambda a unit of time, kappa a unit of money.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from kalshi_platform.domain.errors import ContractError

#: Largest ln(w) between two inventories that float64 can hold with room for the sums.
_MOST_LOG_RANGE: Final = 600.0
#: Largest norm x time of one step of the exponential: exp of it, and its series, stay small.
_STEP_NORM: Final = 30.0
_SERIES_END: Final = 1e-18


@dataclass(frozen=True)
class MarketMaking:
    """One problem; see the module for the letters."""

    arrival_rate: float  # lambda: market orders a side and unit of time
    kappa: float  # decay of the fill probability with depth
    max_inventory: int  # Q, lots
    running_penalty: float = 0.0  # phi: money a unit of time and lot^2
    holding_cost: float = 0.0  # chi: money a unit of time and lot
    terminal_penalty: float = 0.0  # alpha: money a lot^2

    def __post_init__(self) -> None:
        """Refuse what has no solution, or none that float64 can hold."""
        for name in ("arrival_rate", "kappa"):
            if not (0.0 < getattr(self, name) < np.inf):
                raise ContractError(f"{name}={getattr(self, name)} is not a positive number")
        for name in ("running_penalty", "holding_cost", "terminal_penalty"):
            if not (0.0 <= getattr(self, name) < np.inf):
                raise ContractError(f"{name}={getattr(self, name)} is below 0: a penalty cannot pay")
        if self.max_inventory < 1:
            raise ContractError(f"max_inventory={self.max_inventory} is below 1: nothing could be traded")
        if (most := self.kappa * self.terminal_penalty * self.max_inventory**2) > _MOST_LOG_RANGE:
            raise ContractError(
                f"kappa x terminal_penalty x max_inventory^2 = {most:g} is above {_MOST_LOG_RANGE:g}: "
                "choose a smaller max_inventory, which the penalty keeps out of reach anyway"
            )

    @property
    def inventories(self) -> np.ndarray:
        """Inventories (2Q + 1,) i8 in the order of every array here: -Q..Q."""
        return np.arange(-self.max_inventory, self.max_inventory + 1)


def binary_settlement(
    arrival_rate: float, kappa: float, max_inventory: int, settlement_penalty: float, price: float
) -> MarketMaking:
    """Problem of a contract that pays 1 with probability ``price`` when the time is up.

    ``settlement_penalty`` (gamma) times lots^2 times the variance of the payment is lost at the settlement.
    """
    if not 0.0 < price < 1.0:
        raise ContractError(f"price={price} is outside (0, 1)")
    return MarketMaking(
        arrival_rate, kappa, max_inventory, terminal_penalty=settlement_penalty * price * (1.0 - price)
    )


def _log_weights(problem: MarketMaking, time_left: float) -> np.ndarray:
    """ln w (2Q + 1,) by uniformisation: the series of exp(A t) with only positive terms.

    A + cI has no negative entry for c = -min A_qq, so nothing cancels and each entry is exact to rounding,
    also those many orders of magnitude below the largest.
    """
    q = problem.inventories.astype(float)
    diagonal = -problem.kappa * (problem.running_penalty * q * q + problem.holding_cost * np.abs(q))
    lift, side = -float(diagonal.min()), problem.arrival_rate / np.e
    diagonal = diagonal + lift
    n_steps = max(1, int(np.ceil((lift + 2.0 * side) * time_left / _STEP_NORM)))
    step = time_left / n_steps
    weights, log_scale = np.exp(-problem.kappa * problem.terminal_penalty * q * q), 0.0
    for _ in range(n_steps):
        term = weights
        total = weights.copy()
        k = 0
        while k <= _STEP_NORM or np.any(term > _SERIES_END * total):
            k += 1
            moved = diagonal * term
            moved[1:] += side * term[:-1]
            moved[:-1] += side * term[1:]
            term = moved * (step / k)
            total += term
        largest = float(total.max())
        weights = total / largest
        log_scale += np.log(largest) - lift * step
    return np.log(weights) + log_scale


def values(problem: MarketMaking, time_left: float) -> np.ndarray:
    """h (2Q + 1,): worth of each inventory -Q..Q beyond cash and mid, with ``time_left`` to the end."""
    if not time_left >= 0.0:
        raise ContractError(f"time_left={time_left} is below 0")
    return _log_weights(problem, time_left) / problem.kappa


def value(problem: MarketMaking, time_left: float, inventory: int = 0) -> float:
    """h of one inventory."""
    return float(values(problem, time_left)[inventory + problem.max_inventory])


def depths(problem: MarketMaking, time_left: float) -> tuple[np.ndarray, np.ndarray]:
    """Optimal distances from the mid, (bid, ask), each (2Q + 1,); infinite where the side is not quoted."""
    h = values(problem, time_left)
    bid, ask = np.full(h.size, np.inf), np.full(h.size, np.inf)
    bid[:-1] = 1.0 / problem.kappa - h[1:] + h[:-1]
    ask[1:] = 1.0 / problem.kappa - h[:-1] + h[1:]
    return bid, ask
