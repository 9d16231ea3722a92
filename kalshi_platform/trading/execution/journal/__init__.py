"""The journal: every order is written to disk before it is sent, every report as it is taken in.

Begin reading at journal.py (the file and its one writer), then keeper.py, the only way into it.
Not here   what an event makes of an order (orders/), what goes out (risk/).
"""

__all__ = ["account_lock", "account_name", "journal", "journal_disk", "keeper", "newest", "recover"]
