"""One market-agnostic reinforcement-learning policy for every Kalshi prediction market."""

__version__ = "0.1.0"
