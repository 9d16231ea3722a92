"""Which markets an episode may draw, as training goes on.

phases      the brief's three phases: few liquid stable markets, then 3-5 of the 100 most active, then all
difficulty  the brief's schedule: difficulty = episodes / 50,000; stable, then stable + moderate, then all
none        every market from the start
``scale`` shortens the schedule: with 0.01 the phases end after 100 and 300 episodes.
"""

from typing import Final, Literal

import numpy as np
from pydantic import Field

from kalshi_platform.domain.config import Config
from kalshi_platform.simulation.replay.bank import Bank

CurriculumName = Literal["phases", "difficulty", "none"]

#: Volatility below which a market is stable, and from which it is volatile (brief; dollars).
STABLE_BELOW: Final = 0.1
VOLATILE_FROM: Final = 0.3
_TOP_MARKETS: Final = 100


class CurriculumConfig(Config):
    """A preset and how fast it runs."""

    name: CurriculumName = "none"
    scale: float = Field(1.0, gt=0, description="multiplies the brief's episode counts")


class Stage(Config):
    """What episodes of one stage hold; ``pool`` names the markets they draw from."""

    from_episode: int = Field(ge=0)
    min_markets: int = Field(ge=1)
    max_markets: int = Field(ge=1)
    pool: Literal["stable", "stable_active", "stable_moderate", "top_active", "all"]


_STAGES: Final[dict[str, tuple[Stage, ...]]] = {
    "none": (Stage(from_episode=0, min_markets=1, max_markets=64, pool="all"),),
    "phases": (
        Stage(from_episode=0, min_markets=1, max_markets=2, pool="stable_active"),
        Stage(from_episode=10_000, min_markets=3, max_markets=5, pool="top_active"),
        Stage(from_episode=30_000, min_markets=5, max_markets=5, pool="all"),
    ),
    "difficulty": (
        Stage(from_episode=0, min_markets=2, max_markets=2, pool="stable"),
        Stage(from_episode=10_000, min_markets=3, max_markets=3, pool="stable_moderate"),
        Stage(from_episode=25_000, min_markets=5, max_markets=5, pool="all"),
    ),
}


def stage_at(config: CurriculumConfig, episodes_done: int) -> Stage:
    """The stage that holds after ``episodes_done`` finished episodes."""
    reached = [x for x in _STAGES[config.name] if episodes_done >= x.from_episode * config.scale]
    return reached[-1]


def pool_segments(bank: Bank, stage: Stage) -> np.ndarray:
    """Segments of ``bank`` the stage may draw, ascending.

    Where a pool is empty (no market of the bank is that calm) the next wider one is used: a
    curriculum orders what there is, it cannot add to it.
    """
    volatility = np.array([m.volatility for m in bank.markets])
    segments = bank.arrays.segments
    market = segments["market"]
    n_rows = np.bincount(market, segments["stop"] - segments["start"], minlength=len(bank.markets))
    active = n_rows >= np.sort(n_rows)[::-1][min(_TOP_MARKETS, n_rows.size) - 1]
    stable, not_volatile = volatility < STABLE_BELOW, volatility < VOLATILE_FROM
    everything = np.ones_like(stable)
    widening = {
        "stable_active": (stable & active, stable, not_volatile, everything),
        "stable": (stable, not_volatile, everything),
        "stable_moderate": (not_volatile, everything),
        "top_active": (active, everything),
        "all": (everything,),
    }[stage.pool]
    chosen = next(pool for pool in widening if pool[market].any())
    return np.flatnonzero(chosen[market])
