"""Planted faults: how they are asked for, those of frames and requests, those of connections and the world.

Begin reading at forms.py.
Not here   the port that plants them (admin.py), DNS (a test's own resolver).
"""

__all__ = ["acts", "forms", "frames"]
