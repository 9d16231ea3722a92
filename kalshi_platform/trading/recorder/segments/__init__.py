"""Segments: every line durable within a second, sealed, uploaded, and taken over by the next run.

Begin reading at journal.py, what a line goes through; lines.py shows the lines themselves.
Not here   what the frames mean (follow/), what REST says (facts/).
"""

__all__ = ["blocks", "damage", "journal", "lines", "restart", "seals", "segment", "upload", "written_clock"]
