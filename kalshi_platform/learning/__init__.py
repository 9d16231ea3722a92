"""Learning: training with PPO on RLlib, sweeps on Ray Tune."""
