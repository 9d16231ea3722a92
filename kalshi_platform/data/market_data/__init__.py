"""Event schema, capture files, Parquet shards, object store, validation, importers."""
