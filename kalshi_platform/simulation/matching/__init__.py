"""The simulated exchange: matching of orders with cash, fees and the exchange's rules. No agents.

Begin reading at exchange.py, the Python side: one method a command. records.py holds every array.
A command  command.py -> execute.py -> entry.py (new orders), changes.py (cancel, amend, decrease), groups.py,
           lifecycle.py (clock, pauses, closes), money.py (cash, settlement) -> reasons.py, tape.py
An order   entry.py -> meeting.py (fills, self-trade) -> book.py (queues), accounts.py (collateral, netting)
Not here   agents: those of simexchange/world trade here, those of the preset planted_imbalance on engine.py,
           the older core of price and time alone.
"""

__all__ = [
    "codes",
    "command",
    "engine",
    "exchange",
    "execute",
    "expiry",
    "meeting",
    "orders",
    "reasons",
    "records",
    "tape",
]
