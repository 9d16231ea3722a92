"""Presets: the named sets of settings that a run starts from; every command and every page uses these.

standard        a decision every 30 s of market time and episodes of 100 to 300 decisions: what can be earned
                lasts minutes, and PPO learns from short episodes in minutes on two cores
every-message   a decision at every message, as the exchange sends them, and longer episodes: the policy may
                react to each, and needs many more steps to learn when to wait
Owns            every default of a run that is not the library's: ``RunSettings()`` is ``standard``.
Not             EnvConfig and EpisodeConfig, whose own defaults decide at every message.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.near import did_you_mean
from kalshi_platform.simulation.envs.config import EnvConfig, EpisodeConfig

#: The environment and the episodes of ``standard``; PPO's settings are TrainConfig's own defaults.
STANDARD_ENV: Final = EnvConfig(decision_interval_ms=30_000)
STANDARD_EPISODES: Final = EpisodeConfig(min_steps=100, max_steps=300)


class Preset(NamedTuple):
    """A named set of settings: ``standard`` with ``changes``, by dotted name."""

    name: str
    meaning: str
    changes: Mapping[str, Any]


STANDARD: Final = "standard"
PRESETS: Final[dict[str, Preset]] = {
    preset.name: preset
    for preset in (
        Preset(STANDARD, "a decision every 30 s of market time, short episodes: learns in minutes", {}),
        Preset(
            "every-message",
            "a decision at every message of the exchange, longer episodes: needs many more steps",
            {"env.decision_interval_ms": 0, "episodes.min_steps": 500, "episodes.max_steps": 2_000},
        ),
    )
}


def preset_named(name: str) -> Preset:
    """The preset called ``name``; a ContractError lists all with their meaning."""
    if name not in PRESETS:
        meanings = {preset.name: preset.meaning for preset in PRESETS.values()}
        raise ContractError(f"there is no preset {name!r}; {did_you_mean(name, meanings)}")
    return PRESETS[name]
