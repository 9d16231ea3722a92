"""Decisions of one model: caches and rules first, then its tiers until one is sure enough.

Not here   requests (serving/server), live books (serving/live). Begin reading at tiered.py.
"""
