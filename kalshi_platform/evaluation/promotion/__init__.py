"""Promotion: the measurements and gates between a finished run and a champion.

Not here   the store of models (models/registry). Begin reading at promote.py.
"""

__all__ = ["challenge", "evidence", "gates", "latency", "promote", "registration"]
