"""Files in a folder or a bucket: whole-file writes, patience with a store."""
