"""Follow: books, their proof, coverage and figures, from the recorded lines alone.

Begin reading at follower.py.
Not here   files (segments/), the page that shows it (page/).
"""

__all__ = ["book_checks", "coverage", "follower", "live_book", "meters"]
