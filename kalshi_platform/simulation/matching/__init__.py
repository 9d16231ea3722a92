"""The price-time matching engine of the simulated exchange.

Not here   agents and prices in money (simexchange/). Begin reading at engine.py.
"""

__all__ = ["engine"]
