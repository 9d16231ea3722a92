"""Report of a session from its recording alone: the session played again, and what differs order by order.

Begin reading at session_report.py, then session_replay.py and comparison.py.
Not here   the notes that a session writes while it runs (session/session_notes.py).
"""

__all__ = ["session_report"]
