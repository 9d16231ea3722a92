"""Market data: capture files, frames, the row format, the one door, metadata, importers."""
