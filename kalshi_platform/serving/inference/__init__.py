"""Decisions of a model, a tier at a time: batch, caches, engines, rules."""
