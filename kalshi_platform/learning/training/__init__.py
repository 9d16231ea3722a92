"""Training: PPO's settings, the columnar sampler, the learner, and the loop of a run."""
