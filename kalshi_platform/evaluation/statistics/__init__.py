"""Statistics: intervals over events, performance metrics, corrections for luck.

Not here   anything that steps an environment (judging/). Begin reading at bootstrap.py.
"""

__all__ = ["bootstrap", "metrics", "overfitting", "seeds", "superiority"]
