"""A simulated Kalshi for data and tests: seeded markets, agents and a matching engine.

``generate_event`` returns one event in memory; ``simulate`` writes the files a recorder would have
written, so that simulated and recorded data take the same way into a dataset.
"""

from kalshi_platform.simulation.simexchange.config import SimConfig
from kalshi_platform.simulation.simexchange.generate import SimMarket, generate_event
from kalshi_platform.simulation.simexchange.simulate import SimFiles, simulate

__all__ = ["SimConfig", "SimFiles", "SimMarket", "generate_event", "simulate"]
