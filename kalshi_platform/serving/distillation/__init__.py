"""Small tiers taught by a registered model: states, students, calibration, exits, the report on them.

Not here   running the tiers (inference/). Begin reading at build.py.
"""

__all__ = ["build", "config", "page", "report"]
