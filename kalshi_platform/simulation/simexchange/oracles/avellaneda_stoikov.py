"""Avellaneda-Stoikov quotes, a simulation of them, and the exact moments of what that simulation draws.

Model      mid: steps of sigma sqrt(dt) N(0, 1). In a step a market order comes on each side with probability
           A dt and fills a quote at depth d with probability exp(-k d), at most one lot a side and step.
Quotes     reservation price s - q skew, skew = gamma sigma^2 (T - t), and spread
           skew + (2/gamma) ln(1 + gamma/k); so the bid lies spread/2 + q skew below the mid, the ask
           spread/2 - q skew above it. The symmetric maker of their tables has skew 0 and the mean spread.
Exact      quotes depend on (t, q) alone, so inventory is a Markov chain and mean and variance of the profit
           follow from three numbers a state (:func:`exact_moments`); nothing is drawn.
Source     Avellaneda & Stoikov (2008), Quantitative Finance 8; the tables' settings are the defaults.
"""

from typing import Final, NamedTuple

import numpy as np

from kalshi_platform.domain.compiled import kernel
from kalshi_platform.domain.errors import ContractError

#: Probability that a chain of inventories may leave out.
_LEFT_OUT: Final = 1e-9


class Market(NamedTuple):
    """Settings of the market; the defaults are those of the published tables."""

    sigma: float = 2.0  # dollar a square root of a unit of time
    arrival_rate: float = 140.0  # A, market orders a side and unit of time
    k: float = 1.5  # decay of the fill probability, per dollar
    horizon: float = 1.0  # T
    n_steps: int = 200


class Schedule(NamedTuple):
    """Quotes of every step: bid depth = half_spread + q skew, ask depth = half_spread - q skew."""

    half_spread: np.ndarray  # (n_steps,) f8, dollar
    skew: np.ndarray  # (n_steps,) f8, dollar a lot


class Moments(NamedTuple):
    """Mean and standard deviation of the profit, and the standard deviation of the last inventory."""

    profit: float
    profit_sd: float
    inventory_sd: float


def _require_possible(market: Market) -> None:
    """Refuse by ContractError a market whose chance of an order a step is none, naming what would be one."""
    for name in ("arrival_rate", "k", "horizon"):
        if not 0.0 < getattr(market, name) < np.inf:
            raise ContractError(f"{name}={getattr(market, name)} is not a positive number")
    if not 0.0 <= market.sigma < np.inf:
        raise ContractError(f"sigma={market.sigma} is below 0 or not finite")
    if market.n_steps < 1 or market.arrival_rate * market.horizon > market.n_steps:
        raise ContractError(
            f"arrival_rate x horizon / n_steps = {market.arrival_rate * market.horizon:g} / {market.n_steps} "
            "is no probability of an order a step: take more steps"
        )


def spread(market: Market, gamma: float, time_left: np.ndarray) -> np.ndarray:
    """Optimal spread ask - bid at ``time_left`` before the end, dollar; ``gamma`` above 0."""
    _require_possible(market)
    if not 0.0 < gamma < np.inf:
        raise ContractError(f"gamma={gamma} is not a positive number: at 0 quotes are symmetric, 2 / k apart")
    risk = gamma * market.sigma**2 * time_left
    return np.asarray(risk + 2.0 / gamma * np.log1p(gamma / market.k))


def inventory_schedule(market: Market, gamma: float) -> Schedule:
    """Quotes of the maker who minds inventory, at the beginning of each step."""
    time_left = market.horizon * (1.0 - np.arange(market.n_steps) / market.n_steps)
    return Schedule(spread(market, gamma, time_left) / 2.0, gamma * market.sigma**2 * time_left)


def symmetric_schedule(market: Market, total_spread: float) -> Schedule:
    """Quotes of the maker who stays ``total_spread`` / 2 from the mid whatever he holds."""
    return Schedule(np.full(market.n_steps, total_spread / 2.0), np.zeros(market.n_steps))


@kernel
def simulate(
    rng: np.random.Generator,
    half_spread: np.ndarray,
    skew: np.ndarray,
    sigma_step: float,
    arrival: float,
    k: float,
    profit: np.ndarray,
    inventory: np.ndarray,
) -> None:
    """Draw ``profit.size`` paths into ``profit`` (f8, dollar at the last mid) and ``inventory`` (i8).

    ``sigma_step`` sd of the mid's move and ``arrival`` probability of a market order a side, both a step.
    """
    for path in range(profit.size):
        mid, cash, q = 0.0, 0.0, 0
        for t in range(half_spread.size):
            bid, ask = half_spread[t] + q * skew[t], half_spread[t] - q * skew[t]
            bought = rng.random() < arrival and rng.random() < np.exp(-k * bid)
            sold = rng.random() < arrival and rng.random() < np.exp(-k * ask)
            if bought:
                cash -= mid - bid
                q += 1
            if sold:
                cash += mid + ask
                q -= 1
            mid += sigma_step * rng.standard_normal()
        profit[path] = cash + q * mid
        inventory[path] = q


def exact_moments(market: Market, schedule: Schedule, most: int = 80) -> Moments:
    """Moments of :func:`simulate`; inventories beyond +-``most`` lots are left out of the chain.

    A state carries P(q), E[W; q] and E[W^2; q] of the profit W at the present mid. ContractError where more
    than a billionth of the probability lies beyond +-``most``.
    """
    _require_possible(market)
    q = np.arange(-most, most + 1)
    states = np.zeros((3, q.size))
    states[0, most] = 1.0
    dt = market.horizon / market.n_steps
    for half_spread, skew in zip(*schedule, strict=True):
        depth = np.stack([half_spread + q * skew, half_spread - q * skew])
        chance = market.arrival_rate * dt * np.minimum(np.exp(-market.k * depth), 1.0)
        following = np.zeros_like(states)
        for bought in (0, 1):
            for sold in (0, 1):
                p = np.where(bought, chance[0], 1 - chance[0]) * np.where(sold, chance[1], 1 - chance[1])
                gain = bought * depth[0] + sold * depth[1]
                mass, first, second = states * p
                moved = np.stack([mass, first + gain * mass, second + 2 * gain * first + gain**2 * mass])
                following += _shifted(moved, bought - sold)
        following[2] += market.sigma**2 * dt * q**2 * following[0]  # the mid moves under the new inventory
        states = following
    mass, first, second = states.sum(axis=1)
    if mass < 1.0 - _LEFT_OUT:
        raise ContractError(f"{1.0 - mass:.2g} of the probability lies beyond most={most} lots: take more")
    mean = first / mass
    return Moments(
        float(mean),
        float(np.sqrt(second / mass - mean**2)),
        float(np.sqrt((states[0] * q**2).sum() / mass)),
    )


def _shifted(states: np.ndarray, lots: int) -> np.ndarray:
    """The states after the inventory changed by ``lots`` (-1, 0 or 1); what leaves the range is dropped."""
    if lots == 0:
        return states
    out = np.zeros_like(states)
    if lots > 0:
        out[:, 1:] = states[:, :-1]
    else:
        out[:, :-1] = states[:, 1:]
    return out
