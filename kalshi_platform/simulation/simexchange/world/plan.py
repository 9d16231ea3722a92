"""The day of one event, planned before anybody trades: news, releases, game clock, pauses, its end.

Model    today's forecast x of a final value X, X | x ~ N(x, V), V from 1 downward. Every move of x has the
         variance by which V falls, so each fair probability is a martingale and the settlement happens with
         exactly the last one. Markets of one event see one forecast: brackets sum to one, thresholds nest.
Categories  Financials: an index whose uncertainty resolves evenly over ``life_s``, of which the event is a
         part. Economics: a release at a known time, makers withdraw before it. Sports: a game clock with
         scores, a break without any, and an end before the announced one. Politics: news out of the blue.
"""

from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np

from kalshi_platform.domain.compiled import kernel
from kalshi_platform.domain.units import NS_PER_SECOND
from kalshi_platform.simulation.simexchange.contracts import fair_probability
from kalshi_platform.simulation.simexchange.world.config import CATEGORIES, WorldConfig
from kalshi_platform.simulation.simexchange.world.records import (
    ACTIVITY,
    JUMP,
    NEWS,
    PAUSE,
    QUIET,
    REGRID,
    RESUME,
    DaySchedule,
)

FINANCIALS, ECONOMICS, SPORTS, POLITICS = range(len(CATEGORIES))
#: Share of the variance that resolves in small moves where news come in jumps.
_SMALL_SHARE: Final = 0.1
#: Break of a game as parts of its length.
_BREAK: Final = (0.45, 0.55)
_SCORES_A_JUMP: Final = 3.0
_RELEASE_JUMPS: Final = 4.0
_BUSY_S: Final = 300.0


class Moves(NamedTuple):
    """Moves of the forecast in order: (n,) time in s, share of the remaining variance, and is it a jump."""

    at_s: np.ndarray
    share: np.ndarray
    is_jump: np.ndarray


class Plan(NamedTuple):
    """An event's schedule, its true end and what is left to the settlement."""

    schedule: DaySchedule
    end_s: float
    forecast: float
    variance: float
    has_fine_grid: bool
    announced_s: float  # the end as it is announced beforehand; a game ends earlier


@kernel
def fill_fair(
    forecast: np.ndarray, variance: np.ndarray, lower: np.ndarray, upper: np.ndarray, out: np.ndarray
) -> None:
    """Fair probability ``out`` (n, M) of each interval after each move."""
    for i in range(forecast.size):
        for market in range(lower.size):
            out[i, market] = fair_probability(forecast[i], variance[i], lower[market], upper[market])


def _times(rng: np.random.Generator, mean_s: float, begin_s: float, end_s: float) -> np.ndarray:
    """Times of a Poisson stream with mean spacing ``mean_s`` within [begin, end)."""
    n = rng.poisson(max(end_s - begin_s, 0.0) / mean_s)
    return np.sort(rng.uniform(begin_s, max(end_s, begin_s), n))


def _index_moves(config: WorldConfig, rng: np.random.Generator, duration_s: float) -> Moves:
    """Small moves that resolve the same variance a second over the life of the index."""
    start_s = rng.uniform(0.0, max(config.life_s - duration_s, 0.0))
    life_s = max(config.life_s - start_s, duration_s)
    at_s = _times(rng, config.news_s, 0.0, duration_s)
    left = 1.0 - config.resolved * at_s / life_s
    share = 1.0 - left / np.concatenate([[1.0], left[:-1]])
    return Moves(at_s, share, np.zeros(at_s.size, bool))


def _jump_moves(
    config: WorldConfig, rng: np.random.Generator, duration_s: float, jumps_s: np.ndarray, share: float
) -> Moves:
    """Jumps of ``share`` of what is left, and small moves between them."""
    small_s = _times(rng, config.news_s, 0.0, duration_s)
    each = 1.0 - (1.0 - _SMALL_SHARE) ** (config.news_s / duration_s)
    at_s = np.concatenate([small_s, jumps_s])
    order = np.argsort(at_s, kind="stable")
    shares = np.concatenate([np.full(small_s.size, each), np.full(jumps_s.size, share)])
    is_jump = np.concatenate([np.zeros(small_s.size, bool), np.ones(jumps_s.size, bool)])
    return Moves(at_s[order], shares[order], is_jump[order])


class _Items:
    """Scheduled items as they are collected."""

    def __init__(self) -> None:
        self._items: list[tuple[int, int, int]] = []

    def add(self, at_s: float, kind: int, value: float = 0) -> None:
        self._items.append((round(at_s * NS_PER_SECOND), int(kind), round(value)))

    def activity(self, at_s: float, factor: float) -> None:
        self.add(at_s, ACTIVITY, 1_000 * factor)

    def schedule(self, fair: np.ndarray) -> DaySchedule:
        """All items in order of time; of one instant as they were added."""
        order = sorted(range(len(self._items)), key=lambda i: self._items[i][0])
        columns = np.array([self._items[i] for i in order], "i8").reshape(-1, 3)
        at_ns, kind, value = (np.ascontiguousarray(columns[:, i]) for i in range(3))
        return DaySchedule(at_ns, kind, value, fair)


def _moves(
    config: WorldConfig, rng: np.random.Generator, category: int, duration_s: float, items: _Items
) -> Moves:
    """Moves of the forecast, and what the category schedules besides."""
    if category == FINANCIALS:
        for part, factor in enumerate((1.3, 0.8, 0.8, 1.2)):
            items.activity(part * duration_s / 4, factor)
        return _index_moves(config, rng, duration_s)
    jump_s = 3_600.0 / max(config.jumps_per_hour, 1e-9)
    if category == ECONOMICS:
        release_s = rng.uniform(0.3, 0.7) * duration_s
        items.activity(0, 0.6)
        items.add(max(release_s - config.quiet_s, 0.0), QUIET, release_s * NS_PER_SECOND)
        items.activity(release_s, 4.0)
        items.activity(min(release_s + _BUSY_S, duration_s), 1.0)
        share = 1.0 - (1.0 - config.jump_share) ** _RELEASE_JUMPS
        return _jump_moves(config, rng, duration_s, np.array([release_s]), share)
    if category == SPORTS:
        begin_s, end_s = _BREAK[0] * duration_s, _BREAK[1] * duration_s
        for at_s, factor in ((0.0, 1.5), (begin_s, 0.4), (end_s, 1.5), (0.9 * duration_s, 3.0)):
            items.activity(at_s, factor)
        scores_s = _times(rng, jump_s / _SCORES_A_JUMP, 0.0, duration_s)
        scores_s = scores_s[(scores_s < begin_s) | (scores_s >= end_s)]
        return _jump_moves(config, rng, duration_s, scores_s, config.jump_share)
    jumps_s = _times(rng, jump_s, 0.0, duration_s)
    for at_s, next_s in pairwise([*jumps_s.tolist(), np.inf]):
        items.activity(at_s, 3.0)
        if at_s + _BUSY_S < next_s:  # else the next jump keeps takers busy
            items.activity(at_s + _BUSY_S, 1.0)
    return _jump_moves(config, rng, duration_s, jumps_s, config.jump_share)


def plan_event(
    config: WorldConfig, rng: np.random.Generator, category: int, announced_s: float, lower: np.ndarray,
    upper: np.ndarray,
) -> Plan:  # fmt: skip
    """Plan an event of M markets with the intervals ``lower``, ``upper`` (M,)."""
    items = _Items()
    end_s = announced_s * (rng.uniform(0.75, 0.95) if category == SPORTS else 1.0)
    moves = _moves(config, rng, category, end_s, items)
    left = np.concatenate([[1.0], np.cumprod(1.0 - moves.share)])
    steps = np.sqrt(left[:-1] - left[1:]) * rng.standard_normal(moves.share.size)
    forecast = np.concatenate([[0.0], np.cumsum(steps)])
    fair = np.zeros((forecast.size, lower.size))
    fill_fair(forecast, left, lower, upper, fair)
    for i, (at_s, is_jump) in enumerate(zip(moves.at_s.tolist(), moves.is_jump.tolist(), strict=True)):
        items.add(at_s, JUMP if is_jump else NEWS, i + 1)
    if rng.random() < config.pause_share:
        at_s = rng.uniform(0.2, 0.7) * end_s
        items.add(at_s, PAUSE)
        items.add(at_s + config.pause_s, RESUME)
    has_fine_grid = bool(rng.random() < config.regrid_share)
    if has_fine_grid:
        items.add(rng.uniform(0.2, 0.8) * end_s, REGRID)
    return Plan(items.schedule(fair), end_s, float(forecast[-1]), float(left[-1]), has_fine_grid, announced_s)
