"""Views of a running session besides its terminal: log, page, metrics, alarms.

Begin reading at event_log.py, the lines of everything that happened.
Not here   the state that all of them show (session/snapshot.py), what they may change (session/controls.py).
"""

__all__ = [
    "event_log",
    "plain_lines",
    "session_metrics",
    "session_page",
    "session_watch",
    "showing",
    "standstill",
    "viewing",
]
