"""Pages on loopback: a guarded server, and the look and drawing that its pages share.

Begin reading at page_server.py, whom it lets in.
Not here   the pages themselves (recorder/page, session/watching).
"""

__all__ = ["connections", "page_server"]
