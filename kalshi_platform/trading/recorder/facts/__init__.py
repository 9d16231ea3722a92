"""Facts: what REST says of the recorded markets, each answer with the time it was heard.

Begin reading at directory.py, the markets of a recording and their lives.
Not here   frames and notes (segments/).
"""

__all__ = ["backfill", "directory", "facts_file", "reads", "unsettled"]
