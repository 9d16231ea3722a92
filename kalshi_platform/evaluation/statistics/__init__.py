"""Statistics: intervals over blocks, performance metrics, corrections for luck.

Not here   anything that steps an environment (judging/). Begin reading at bootstrap.py.
"""

__all__ = ["blocks", "bootstrap", "exact", "metrics", "overfitting", "power", "seeds", "superiority"]
