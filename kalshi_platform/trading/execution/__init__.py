"""Orders that reach an exchange: state machine, journal, reconciliation, limits, and the executor over them.

Begin reading at executor.py, then orders/states.py (what an order can become) and risk/gate.py (what may go
out). The room knows no policy and no feed: an intent and what the market showed go in, reports come back.
Not here   REST and signatures (trading/exchange), features and decisions (the session).
"""

__all__ = ["executor", "opening", "settings"]
