"""Market data: capture files, frames, the row format, the one door, metadata.

Not here   books and features; files of other formats (importers/). Begin reading at door.py.
"""

__all__ = [
    "book_checks",
    "capture",
    "clock",
    "decode",
    "door",
    "facts",
    "fates",
    "faults",
    "gaps",
    "history",
    "judging",
    "market_meta",
    "price_levels",
    "schema",
]
