"""Closed forms of market microstructure: what a correct simulated exchange and a good policy must reproduce.

Prices     glosten_milgrom.py (zero-profit quotes of a binary contract), zero_profit.py (in our core)
Making     cartea_jaimungal.py (inventory bounds, penalties, binary settlement), avellaneda_stoikov.py
Learning   making_world.py (that market as recordings), making_optimum.py (the best under our actions)
Waiting    queue_race.py (which queue empties first), fill_time.py (when an order's turn comes)
Core       venue.py (a market of the matching core where the oracles' orders go)
Not here   the agents of the simulated exchange, and any recording. Begin reading at glosten_milgrom.py.
"""

__all__ = [
    "avellaneda_stoikov",
    "cartea_jaimungal",
    "fill_time",
    "glosten_milgrom",
    "making_optimum",
    "making_world",
    "queue_race",
    "venue",
    "zero_profit",
]
