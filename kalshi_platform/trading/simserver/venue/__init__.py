"""The venue: worlds in slices of time, the life of their events, the account from outside and its orders.

Begin reading at venue.py (time and events), then rows.py (what happened), account.py (cash), desk.py.
Not here   matching and agents (simulation), frames (stream), calls (rest).
"""

__all__ = [
    "account",
    "combos",
    "desk",
    "feed",
    "groups",
    "market",
    "orders",
    "pauses",
    "rows",
    "subaccount",
    "truth",
    "venue",
]
