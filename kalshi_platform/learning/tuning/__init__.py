"""Sweeps: Ray Tune over training runs, stopped on held-out events, with one record of what became of each."""
