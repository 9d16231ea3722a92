"""The HTTP service; no Ray."""
