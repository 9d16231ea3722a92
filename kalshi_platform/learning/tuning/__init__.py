"""Sweeps: Ray Tune over training runs, stopped on held-out events, with one record of every trial's fate."""
