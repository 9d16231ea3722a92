"""The price-time matching engine of the simulated exchange."""
