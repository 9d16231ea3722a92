"""Ray Tune experiments: one file per question asked of the data."""
