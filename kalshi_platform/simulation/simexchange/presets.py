"""Named worlds: each says what it contains, and on which date it was fitted to which data.

planted_imbalance  the world that ``make run`` learns in: displayed size tells a mispricing that nobody trades
                   away. Fitted to nothing.
calibrated         agents on the matching core, fitted to one recorded day and judged on another one
                   (docs/calibration.md); ``calibrated_apr10`` is the same with the days swapped.
"""

from collections.abc import Callable
from typing import Final, Literal, NamedTuple

from kalshi_platform.simulation.simexchange.config import SimConfig
from kalshi_platform.simulation.simexchange.generate import SimEvent, simulate_event
from kalshi_platform.simulation.simexchange.world import WorldConfig, simulate_world_event
from kalshi_platform.simulation.simexchange.world.fitted import FITTED_APR10, FITTED_APR13

#: ``default`` is the old name of planted_imbalance.
Preset = Literal["planted_imbalance", "martingale", "calibrated", "calibrated_apr10", "default"]
ExchangeConfig = SimConfig | WorldConfig


class PresetFacts(NamedTuple):
    """One preset: its settings at seed 0, its content in a sentence, and the data that it was fitted to."""

    make: Callable[[], ExchangeConfig]
    content: str
    fitted: str


_NOT_FITTED: Final = "written on 2026-11-27 and fitted to no data"
_PLANTED: Final = PresetFacts(
    SimConfig, "a planted signal: displayed size tells a mispricing of some cents", _NOT_FITTED
)
PRESETS: Final[dict[Preset, PresetFacts]] = {
    "planted_imbalance": _PLANTED,
    "martingale": PresetFacts(SimConfig.martingale, "nothing to learn: sizes say nothing", _NOT_FITTED),
    "calibrated": PresetFacts(
        lambda: FITTED_APR13,
        "makers, noise, informed traders, whales and an arbitrageur; no pattern is planted",
        "fitted on 2026-11-29 to the S&P 500 market INXD-23APR13-B4125, judged on INXD-23APR10-B4075",
    ),
    "calibrated_apr10": PresetFacts(
        lambda: FITTED_APR10,
        "the world calibrated, with the two recorded days swapped",
        "fitted on 2026-11-29 to the S&P 500 market INXD-23APR10-B4075, judged on INXD-23APR13-B4125",
    ),
    "default": _PLANTED,
}


def preset_of(name: Preset, seed: int = 0) -> ExchangeConfig:
    """Settings of the preset called ``name``."""
    return PRESETS[name].make().replace(seed=seed)


def event_of(config: ExchangeConfig, index: int) -> SimEvent:
    """Event ``index`` of the exchange that ``config`` describes; it depends on nothing else."""
    if isinstance(config, WorldConfig):
        return simulate_world_event(config, index)
    return simulate_event(config, index)
