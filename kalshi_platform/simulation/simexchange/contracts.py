"""Contracts on one latent quantity: their intervals, strikes, fair probability and price grid.

Owns   the latent model: today's forecast x of a final value X, X | x ~ N(x, remaining variance), total
       variance 1. P(lower < X <= upper | x) is in closed form, so it is a martingale by construction
       and the settlement happens with exactly that probability.
Units  the latent quantity is standardised; strikes show it as 60 + 10 x (two decimals).
"""

from math import erf, sqrt
from statistics import NormalDist
from typing import Final, Literal, NamedTuple

import numpy as np

from kalshi_platform.domain.compiled import kernel
from kalshi_platform.domain.market import WHOLE_CENTS, MarketSpec, PriceBand
from kalshi_platform.domain.units import DOLLAR_E4

Family = Literal["single", "nested", "brackets"]

_DECI_CENTS: Final = (PriceBand(start_e4=0, end_e4=DOLLAR_E4, step_e4=10),)
#: Tenths of a cent at both ends.
TAPERED: Final = (
    PriceBand(start_e4=0, end_e4=1_000, step_e4=10),
    PriceBand(start_e4=1_000, end_e4=9_000, step_e4=100),
    PriceBand(start_e4=9_000, end_e4=DOLLAR_E4, step_e4=10),
)


class Contract(NamedTuple):
    """YES pays where the final value lies in (lower, upper]; None = unbounded; shown strikes."""

    lower: float | None
    upper: float | None

    @property
    def name(self) -> str:
        """Last part of the ticker, as the exchange forms it: B for between, T for a threshold."""
        if self.lower is None:
            return f"T{self.upper:g}"
        if self.upper is None:
            return f"T{self.lower:g}"
        return f"B{(self.lower + self.upper) / 2:g}"

    @property
    def strike_type(self) -> str:
        """Name that the exchange gives the shape of the interval."""
        if self.lower is None:
            return "less_or_equal"
        return "greater" if self.upper is None else "between"

    @property
    def bounds(self) -> tuple[float, float]:
        """Return (lower, upper) as distances from the mean, in standard deviations; infinite if open."""
        return (
            -np.inf if self.lower is None else (self.lower - 60.0) / 10.0,
            np.inf if self.upper is None else (self.upper - 60.0) / 10.0,
        )


def _strike(probability: float) -> float:
    """Shown strike below which the final value falls with ``probability``."""
    return round(60.0 + 10.0 * NormalDist().inv_cdf(probability), 2)


def draw_contracts(rng: np.random.Generator, family: Family, n: int) -> list[Contract]:
    """Contracts of one event: one threshold, n nested thresholds, or n brackets that exclude each other."""
    if family == "single":
        return [Contract(_strike(rng.uniform(0.25, 0.75)), None)]
    if family == "nested":
        below = np.sort(rng.uniform(0.0, 1.0, n)) * 0.08 + np.linspace(0.18, 0.72, n)
        return [Contract(_strike(p), None) for p in below]
    edges = np.cumsum(rng.dirichlet(np.full(n, 6.0)))[:-1].clip(0.02, 0.98)
    strikes = [_strike(p) for p in edges]
    return [Contract(a, b) for a, b in zip([None, *strikes], [*strikes, None], strict=True)]


def names_of(contracts: list[Contract]) -> list[str]:
    """Last parts of the tickers of one event's markets, each another one.

    The two brackets that share their only strike would have one name: the lower one's ends in L.
    """
    names = [contract.name for contract in contracts]
    return [
        f"{name}L" if contract.lower is None and names.count(name) > 1 else name
        for name, contract in zip(names, contracts, strict=True)
    ]


def draw_grid(rng: np.random.Generator, fine_share: float) -> tuple[PriceBand, ...]:
    """Price bands of one event: mostly whole cents."""
    u = rng.random()
    if u >= fine_share:
        return WHOLE_CENTS
    return _DECI_CENTS if u < fine_share / 2 else TAPERED


def grid_prices_e4(bands: tuple[PriceBand, ...]) -> np.ndarray:
    """Ascending prices strictly inside (0, 1) that ``bands`` allow; (G,) i4, 1e-4 dollar."""
    spec = MarketSpec(ticker="GRID", event="GRID", price_ranges=bands)
    prices = [p for p in range(spec.tick_e4, DOLLAR_E4, spec.tick_e4) if spec.on_grid(p)]
    return np.array(prices, "i4")


@kernel
def fair_probability(forecast: float, remaining_variance: float, lower: float, upper: float) -> float:
    """P(lower < X <= upper) for X ~ N(forecast, remaining_variance)."""
    scale = sqrt(2.0 * remaining_variance)
    high = 0.5 * (1.0 + erf((upper - forecast) / scale)) if upper < np.inf else 1.0
    low = 0.5 * (1.0 + erf((lower - forecast) / scale)) if lower > -np.inf else 0.0
    return high - low
