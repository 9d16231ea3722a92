"""Registered models, their aliases and tiers: an append-only store.

Not here   what a model must show to be promoted (evaluation/promotion). Begin reading at store.py.
"""
