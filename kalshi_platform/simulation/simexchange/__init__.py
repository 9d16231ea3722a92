"""The simulated exchange: seeded markets and agents, written to files as a recorder would have written them.

Checked    by closed forms that a correct exchange must reproduce (oracles/).
Worlds     presets.py names them: planted_imbalance and martingale (config.py, agents.py, kernel.py,
           generate.py), calibrated (world/, whose agents trade on the matching core).
Not here   the matching engine (matching/). Begin reading at simulate.py (files) or generate.py (memory).
"""

from kalshi_platform.simulation.simexchange.config import SimConfig
from kalshi_platform.simulation.simexchange.generate import SimMarket, generate_event
from kalshi_platform.simulation.simexchange.presets import ExchangeConfig, Preset, event_of, preset_of
from kalshi_platform.simulation.simexchange.simulate import FileFormat, SimFiles, simulate

__all__ = [
    "ExchangeConfig",
    "FileFormat",
    "Preset",
    "SimConfig",
    "SimFiles",
    "SimMarket",
    "contracts",
    "event_of",
    "generate",
    "generate_event",
    "preset_of",
    "presets",
    "simulate",
    "spans",
]
