"""Datasets: manifest, splits, shards, and a resumable build in parallel with Ray."""
