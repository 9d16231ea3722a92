"""Networks (torch only) and the RLlib adapter."""
