"""Market data from files or the wire, books, features, datasets."""
