"""Replay: feature shards opened as a bank, the model of execution, the account, the observation."""
