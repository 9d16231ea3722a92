"""Dataset building: import, validate, featurise, in parallel with Ray."""
