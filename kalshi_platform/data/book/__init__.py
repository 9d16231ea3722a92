"""Order books of a market, rebuilt price level by price level from its rows.

Not here   matching and queue places (simulation/). Begin reading at ladder.py.
"""

__all__ = ["ladder", "order_book"]
