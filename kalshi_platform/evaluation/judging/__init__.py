"""A policy judged on held-out events: rollouts, report, checkup."""
