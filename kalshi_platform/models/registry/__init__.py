"""Model manifests and promotion gates."""
