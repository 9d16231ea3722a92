"""Curricula: which markets an episode may draw, as training goes on.

phases      1 or 2 calm active markets, from 10,000 episodes on 3 to 5 of the 100 most active, from 30,000 all
            active is counted in contracts traded, then in messages
difficulty  2 calm markets, from 10,000 episodes on 3 calm or moderate ones, from 25,000 five of all
none        every market from the start
``scale`` shortens the schedule: with 0.01 the phases end after 100 and 300 episodes.
"""

from typing import Final, Literal

import numpy as np
from pydantic import Field

from kalshi_platform.domain.config import Config
from kalshi_platform.simulation.replay.bank import Bank

CurriculumName = Literal["phases", "difficulty", "none"]

#: Volatility below which a market is stable, and from which it is volatile, dollars.
STABLE_BELOW: Final = 0.1
VOLATILE_FROM: Final = 0.3
_TOP_MARKETS: Final = 100


class CurriculumConfig(Config):
    """Name of the curriculum and how fast it runs."""

    name: CurriculumName = Field(
        "none", description="order in which markets are met: phases, by difficulty, or all from the start"
    )
    scale: float = Field(1.0, gt=0, description="multiplies the episode counts of the stages")


class Stage(Config):
    """One stage of a curriculum: how many markets an episode holds and from which ``pool`` it draws them."""

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
    """Stage that holds after ``episodes_done`` finished episodes."""
    reached = [x for x in _STAGES[config.name] if episodes_done >= x.from_episode * config.scale]
    return reached[-1]


def pool_segments(bank: Bank, stage: Stage) -> np.ndarray:
    """Segments of ``bank`` that an episode of ``stage`` may draw, ascending.

    If the pool is empty, because no market of the bank is that calm, the next wider pool is used: a
    curriculum can order the markets of a bank but not add to them.
    """
    volatility = np.array([m.volatility for m in bank.markets])
    segments = bank.arrays.segments
    market = segments["market"]
    active = most_active(bank)
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


def traded_e2(bank: Bank) -> np.ndarray:
    """Contracts (M,) i8 in hundredths that traded in the rows of each market; 0 where none is recorded."""
    segments = bank.arrays.segments
    found = np.zeros(len(bank.markets), np.int64)
    np.add.at(found, segments["market"], segments["traded_e2"])
    return found


def most_active(bank: Bank) -> np.ndarray:
    """True (M,) for the markets among the 100 with the most contracts; equal ones rank by their messages.

    A market without a recorded trade ranks after every other, because its volume is unknown or zero
    (``volume_note``). Markets equal to the hundredth in both are all among them.
    """
    segments, contracts = bank.arrays.segments, traded_e2(bank)
    messages = np.bincount(
        segments["market"], segments["stop"] - segments["start"], minlength=contracts.size
    ).astype(np.int64)
    last = np.lexsort((messages, contracts))[::-1][min(_TOP_MARKETS, contracts.size) - 1]
    more = contracts > contracts[last]
    return np.asarray(more | ((contracts == contracts[last]) & (messages >= messages[last])))


def volume_note(bank: Bank, config: CurriculumConfig) -> str:
    """Words on markets whose volume the curriculum asks for and cannot see; empty where there are none."""
    if not any("active" in stage.pool for stage in _STAGES[config.name]):
        return ""
    playable = np.unique(bank.arrays.segments["market"])
    unknown = int((traded_e2(bank)[playable] == 0).sum())
    if not unknown:
        return ""
    if unknown == playable.size:
        return (
            f"curriculum: no trade is recorded in any of {unknown:,} markets; active is counted in messages"
        )
    return (
        f"curriculum: {unknown:,} of {playable.size:,} markets hold no trade: their volume in contracts is "
        "unknown or 0, they count as the least active"
    )
