"""Candidates checked, swapped in, watched, taken back."""
