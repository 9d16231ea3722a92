"""Market data: capture files, frames, the row format, the one door, metadata.

Not here   books and features; files of other formats (importers/). Begin reading at door.py.
"""

__all__ = [
    "book_checks", "capture", "clock", "decode", "door", "facts", "fates", "faults", "fee_meta",
    "frame_files", "frames", "gaps", "history", "judging", "lifecycle", "market_meta", "moments",
    "price_levels", "schema", "sequence",
]  # fmt: skip
