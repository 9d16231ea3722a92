"""Metrics, held-out evaluator, baselines, report, run doctor."""
