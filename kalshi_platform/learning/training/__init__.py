"""Training: PPO's settings, the columnar sampler, the learner, and the loop of a run.

Not here   many runs (tuning/) and the stepping of environments (simulation/rollout). Begin reading at run.py.
"""

__all__ = [
    "annealing", "checkpoint", "collapse", "config", "curves", "finite", "folder", "machine", "metrics",
    "mirror", "pace", "page", "presets", "progress", "run", "session", "setting_list", "source", "stopping",
]  # fmt: skip
