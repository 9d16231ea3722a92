"""Halves the blocks: one half tunes the tiers, the other judges them; and makes the episodes played on them.

Invariant  the halves share no block, whatever else the dataset holds: a block's place follows from the hash
           of its name, so nobody chooses it.
"""

from collections.abc import Collection

import numpy as np

from kalshi_platform.domain.errors import DataError
from kalshi_platform.evaluation.statistics.blocks import hashed_halves
from kalshi_platform.serving.distillation.config import JudgeConfig
from kalshi_platform.simulation.envs.config import EnvConfig
from kalshi_platform.simulation.envs.episodes import FixedEpisodes, event_episodes, market_episodes
from kalshi_platform.simulation.envs.state import Episodes
from kalshi_platform.simulation.envs.vector import ReplayVectorEnv
from kalshi_platform.simulation.replay.bank import Bank
from kalshi_platform.simulation.replay.infos import numbered, origins


def halves(bank: Bank) -> tuple[frozenset[str], frozenset[str]]:
    """(calibrating, judging): the events of ``bank``, by halves of their blocks.

    An odd block calibrates. DataError for fewer than two blocks.
    """
    block_of = {event: block for _, event, block in origins(bank.markets)}
    first, second = hashed_halves(set(block_of.values()))
    if not second:
        raise DataError(
            f"{len(first)} independent blocks of validation events cannot be halved: thresholds are chosen "
            "on one half and judged on the other; use a dataset with at least two"
        )
    return (
        frozenset(event for event, block in block_of.items() if block in first),
        frozenset(event for event, block in block_of.items() if block in second),
    )


def episodes_of(bank: Bank, events: Collection[str], n_slots: int, config: JudgeConfig) -> Episodes:
    """The episodes of ``events`` alone, longest first, cut after ``config.max_steps`` decisions."""
    if config.schedule == "events":
        table = event_episodes(bank, n_slots)
    else:
        steps = config.max_steps if config.schedule == "windows" else None
        table = market_episodes(bank, n_slots, steps)
    segments = bank.arrays.segments
    # Slot 0 of every episode holds a market, and all markets of an episode here belong to one event.
    names, place = numbered(bank.markets, "event")
    own = np.array([name in events for name in names])[place[segments["market"][table.segment[:, 0]]]]
    if not own.any():
        raise DataError(f"none of {len(events)} events has an episode to play: they hold no unbroken rows")
    table = Episodes(*(column[own] for column in table))
    table.max_steps[:] = np.minimum(table.max_steps, config.max_steps)
    used = table.segment >= 0
    length = np.where(used, segments["stop"][table.segment] - table.start, 0).sum(axis=1)
    order = np.argsort(-length, kind="stable")
    return Episodes(*(column[order] for column in table))


def stage(bank: Bank, events: Collection[str], env: EnvConfig, config: JudgeConfig) -> ReplayVectorEnv:
    """Environments that play the episodes of ``events`` once."""
    table = episodes_of(bank, events, env.n_slots, config)
    return ReplayVectorEnv(bank, FixedEpisodes(table), env, min(config.n_envs, table.number.size))
