"""Training on RLlib, sweeps on Ray Tune."""
