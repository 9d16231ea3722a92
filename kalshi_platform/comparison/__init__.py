"""Runs beside each other: what a sweep found, corrected for having looked at many, as one page."""
