"""Policies written by hand."""
