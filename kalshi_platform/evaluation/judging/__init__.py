"""Judging a policy on held-out events: its rollouts, baselines beside it, the report, the checkup of a run.

Not here   intervals (statistics/) and the decision on a champion (promotion/). Begin reading at evaluate.py.
"""

__all__ = [
    "checkup", "checkup_facts", "checkup_habits", "checkup_inputs", "checkup_learning", "checkup_profit",
    "compare", "drawdowns", "evaluate", "evaluation", "event_map", "fee_ladder", "fee_times", "gathering",
    "held_out", "ledger", "needed", "report", "rivals", "rollout", "sample", "summary", "targets",
    "train_sample", "trips", "validation", "what_if", "worth",
]  # fmt: skip
