"""Judging a policy on held-out events: its rollouts, baselines beside it, the report, the checkup of a run.

Not here   intervals (statistics/) and the decision on a champion (promotion/). Begin reading at evaluate.py.
"""

__all__ = [
    "checkup", "checkup_facts", "checkup_habits", "checkup_inputs", "checkup_learning", "checkup_profit",
    "compare", "drawdowns", "episode_plot", "evaluate", "evaluation", "event_map", "fee_ladder", "fee_times",
    "fills", "gathering", "held_out", "ledger", "ledger_page", "ledger_tables", "markets_table", "needed",
    "plays", "report", "rivals", "rollout", "sample", "summary", "table_files", "targets", "trade_list",
    "trades_table", "train_sample", "trips", "validation", "what_if", "worth",
]  # fmt: skip
