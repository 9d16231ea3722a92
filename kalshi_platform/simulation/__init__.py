"""Replay of recordings, environments, the simulated exchange."""
