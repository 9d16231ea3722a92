"""Realism of a simulated market: its distributions beside recorded ones, a distance each, its sampling noise.

Not here   the simulator (simulation/simexchange/) and intervals of a policy's result (statistics/). The
           calibration of a tier's confidence is another thing (serving/distillation/).
           Begin reading at measures.py.
"""

__all__ = ["compare", "distances", "measures", "page", "record", "side", "units", "view"]
