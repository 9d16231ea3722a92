"""Policy networks (torch only), their levels, and the RLlib adapter."""
