"""Vectorised replay environment, Gymnasium view, episodes, curriculum, rewards."""
