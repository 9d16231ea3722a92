"""Ray Serve applications and their configs; no decisions live here."""
