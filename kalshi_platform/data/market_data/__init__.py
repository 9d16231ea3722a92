"""Market data: capture files, frames, the row format, the one door, metadata.

Not here   books and features; files of other formats (importers/). Begin reading at door.py.
"""

__all__ = [
    "capture", "decode", "door", "facts", "faults", "gaps", "history", "market_meta", "price_levels",
    "schema",
]  # fmt: skip
