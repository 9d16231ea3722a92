"""A trading session: live frames to books, features, decisions, and to fills of paper or of the exchange.

Begin reading at core.py (frames in, decisions out), then modes.py (what each mode may do). Rooms: paper/
(fills of the environment's own matcher), at_exchange/ (orders that go out), screen/ and watching/ (a running
session seen), report/ (an ended one). Nothing here knows which exchange answers.
Not here   orders, limits and journal (trading/execution), books and features (serving/live).
"""

__all__ = [
    "asked_session",
    "controls",
    "core",
    "ledger",
    "live_session",
    "modes",
    "opening_positions",
    "refusals",
    "restraint",
    "result",
    "running",
    "session_config",
    "session_notes",
    "snapshot",
]
