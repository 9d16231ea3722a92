"""Account of a session on paper: the environment's own matcher decides the fills.

Begin reading at paper_account.py (one group; paper_rows.py and paper_log.py are its memory), then
paper_book.py (all groups of a session).
Not here   orders that go to an exchange (session/at_exchange), the replay that must agree (session/report).
"""

__all__ = ["paper_account", "paper_book", "paper_kernel", "paper_records", "paper_switch"]
