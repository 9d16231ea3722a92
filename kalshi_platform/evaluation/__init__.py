"""Evaluation: statistics, judging on held-out events, promotion, the kit of all pages."""
