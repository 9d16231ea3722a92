"""Registered models, their aliases and tiers: an append-only store.

Not here   the gates of a promotion (evaluation/promotion). Begin reading at store.py.
"""

__all__ = [
    "aliases", "evidence", "examples", "export", "flaws", "load", "marks", "provenance", "record", "store",
    "tiers", "verdicts",
]  # fmt: skip
