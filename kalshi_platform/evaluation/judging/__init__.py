"""Judging a policy on held-out events: its rollouts, baselines beside it, the report, the checkup of a run.

Not here   intervals (statistics/) and the decision on a champion (promotion/). Begin reading at evaluate.py.
"""

__all__ = [
    "checkup", "compare", "evaluate", "evaluation", "fee_ladder", "fee_times", "held_out", "report",
    "rollout", "sample", "summary", "targets", "validation",
]  # fmt: skip
