"""Comparison with the exchange's own lists, in which the exchange wins and every difference has a name.

Begin reading at reconciler.py, one comparison; lists.py reads what it compares with.
Not here   when it is done (upkeep.py), the requests themselves (trading/exchange).
"""

__all__ = ["differences", "ended", "foreign", "holdings", "lists", "money", "reconciler", "shards", "unknown"]
