"""Judging a policy on held-out events: rollouts, baselines, the report, the checkup of a run."""
