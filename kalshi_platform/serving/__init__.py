"""Decisions of a registered model, a tier at a time: caches, rules, engines, live books; no Ray."""
