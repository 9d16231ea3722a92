"""Builders of what tests need: markets, banks, models, runs, recordings."""
