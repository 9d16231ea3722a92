"""Replay environments: one vectorised, its Gymnasium view, episodes, curriculum, rewards."""
