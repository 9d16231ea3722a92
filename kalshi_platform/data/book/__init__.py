"""Level-2 order book reconstruction."""
