"""A simulated Kalshi for data and tests."""
