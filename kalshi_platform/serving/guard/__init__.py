"""The guard of the served model: a candidate is checked, swapped in, watched, taken back.

Not here   decisions (inference/) and HTTP (server/). Begin reading at guard.py.
"""

__all__ = ["alias_verdicts", "candidate", "guard", "guard_events", "served", "watch"]
