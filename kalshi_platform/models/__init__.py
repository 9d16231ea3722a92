"""Models: networks and the RLlib adapter, rules written by hand, the registry."""
