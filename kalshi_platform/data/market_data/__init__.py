"""Market data: capture files, frames, the row format, the one door, metadata.

Not here   books and features; files of other formats (importers/). Begin reading at door.py.
"""

__all__ = [
    "capture", "clock", "decode", "door", "facts", "faults", "frames",
    "frame_files", "gaps", "market_meta", "moments", "price_levels", "schema",
]  # fmt: skip
