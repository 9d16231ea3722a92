"""Books and observations from the exchange's frames."""
