"""Workflows that string the wings together: quickstart, progressive, publish."""
