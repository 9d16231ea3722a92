"""Intervals, metrics, corrections for luck."""
