"""Named worlds: their settings, and on which date each was fitted to which data.

planted_imbalance  displayed size tells a mispricing that few trade away. Fitted to nothing.
calibrated         the world that ``make run`` learns in: agents on the matching core, fitted to one recorded
                   day and judged on another one (docs/calibration.md); ``calibrated_apr10`` swaps the days.
"""

from collections.abc import Callable
from typing import Final, Literal, NamedTuple

from kalshi_platform.domain.worlds import OWN_SETTINGS
from kalshi_platform.simulation.simexchange.config import SimConfig
from kalshi_platform.simulation.simexchange.generate import SimEvent, simulate_event
from kalshi_platform.simulation.simexchange.world import WorldConfig, simulate_world_event
from kalshi_platform.simulation.simexchange.world.fitted import FITTED_APR10, FITTED_APR13

#: ``default`` is the old name of planted_imbalance.
Preset = Literal["planted_imbalance", "martingale", "calibrated", "calibrated_apr10", "default"]
ExchangeConfig = SimConfig | WorldConfig


class PresetFacts(NamedTuple):
    """One preset: its settings at seed 0, and the data that it was fitted to."""

    make: Callable[[], ExchangeConfig]
    fitted: str


_NOT_FITTED: Final = "written on 2026-11-27 and fitted to no data"
_PLANTED: Final = PresetFacts(SimConfig, _NOT_FITTED)
PRESETS: Final[dict[Preset, PresetFacts]] = {
    "planted_imbalance": _PLANTED,
    "martingale": PresetFacts(SimConfig.martingale, _NOT_FITTED),
    "calibrated": PresetFacts(
        lambda: FITTED_APR13,
        "fitted on 2026-11-29 to the S&P 500 market INXD-23APR13-B4125, judged on INXD-23APR10-B4075",
    ),
    "calibrated_apr10": PresetFacts(
        lambda: FITTED_APR10,
        "fitted on 2026-11-29 to the S&P 500 market INXD-23APR10-B4075, judged on INXD-23APR13-B4125",
    ),
    "default": _PLANTED,
}
#: Settings that may differ from a preset's within the same world: how much of it there is, and for how long.
_EXTENT: Final = ("seed", "n_events", "min_duration_s", "max_duration_s", "stagger_s")


def preset_of(name: Preset, seed: int = 0) -> ExchangeConfig:
    """Settings of the preset called ``name``."""
    return PRESETS[name].make().replace(seed=seed)


def world_of(config: ExchangeConfig) -> str:
    """World that ``config`` makes: its preset's name; OWN_SETTINGS where more than the extent differs."""
    extent = {name: getattr(config, name) for name in _EXTENT if name in type(config).model_fields}
    for name, facts in PRESETS.items():
        preset = facts.make()
        if type(preset) is type(config) and preset.replace(**extent) == config:
            return name
    return OWN_SETTINGS


def event_of(config: ExchangeConfig, index: int) -> SimEvent:
    """Event ``index`` of the exchange that ``config`` describes; it depends on nothing else."""
    if isinstance(config, WorldConfig):
        return simulate_world_event(config, index)
    return simulate_event(config, index)
