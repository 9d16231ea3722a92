"""Sweeps: Ray Tune over training runs, the record of every trial, and the page that compares them.

Not here   one run (training/) and the questions asked (tune_experiments/). Begin reading at sweep.py.
"""

__all__ = [
    "claim", "conclude", "experiment", "load_runs", "page", "sweep",
    "sweep_store", "tracking", "tracking_place",
]  # fmt: skip
