"""Orders of this account: their states, what reports do to them, and all of them together.

Begin reading at states.py, the table; ledger.py holds all orders and positions.
Not here   disk (journal/), sending (executor.py), comparison with the exchange (reconcile/).
"""

__all__ = ["intents", "ledger", "order", "positions", "reports", "states"]
