"""Decisions of one model, a tier at a time: batch, caches, engines, rules.

Not here   requests and HTTP (server/), frames (live/). Begin reading at tiered.py.
"""

__all__ = ["answering", "batch", "caches", "engine", "export", "hop", "ready", "saving", "tiered"]
