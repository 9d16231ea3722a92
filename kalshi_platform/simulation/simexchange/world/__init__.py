"""A world of agents on the matching core: makers, noise, informed traders, whales and an arbitrageur.

Begin reading at generate.py (one event), then kernel.py (the loop) and makers.py. plan.py decides beforehand
what happens in the world outside: news, releases, a game's clock, pauses. live.py runs an event in slices.
Not here   the matching core (matching/), files and frames (simexchange/), the fit to recordings (presets.py).
"""

from kalshi_platform.simulation.simexchange.world.config import MakerConfig, WorldConfig
from kalshi_platform.simulation.simexchange.world.generate import simulate_world_event

__all__ = ["MakerConfig", "WorldConfig", "fitted", "generate", "live", "simulate_world_event"]
