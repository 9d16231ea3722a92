"""The registry of models: their records, files and aliases."""
