"""Live streams of frames to decisions: markets, groups, sessions."""
