"""Small tiers from a champion: replayed states, distillation, calibration, exit thresholds, their report."""
