"""The simulated exchange: seeded markets and agents, written to files as a recorder would have written them.

Checked    by closed forms that a correct exchange must reproduce (oracles/).
Not here   the matching engine (matching/). Begin reading at simulate.py (files) or generate.py (memory).
"""

from kalshi_platform.simulation.simexchange.config import Preset, SimConfig
from kalshi_platform.simulation.simexchange.generate import SimMarket, generate_event
from kalshi_platform.simulation.simexchange.simulate import FileFormat, SimFiles, simulate

__all__ = [
    "FileFormat",
    "Preset",
    "SimConfig",
    "SimFiles",
    "SimMarket",
    "generate",
    "generate_event",
    "simulate",
]
