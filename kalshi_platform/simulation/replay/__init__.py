"""Replay: feature shards opened as a bank, the model of execution, the account, the observation's layout.

Not here   episodes and stepping (envs/). Begin reading at bank.py.
"""

__all__ = [
    "account",
    "assemble",
    "bank",
    "cache",
    "execution",
    "impact",
    "infos",
    "layout",
    "observation",
    "on_demand",
    "open",
    "pages",
    "planning",
    "queue",
    "sending",
    "state",
    "terms",
    "trading",
]
