"""Promotion: the measurements and decisions between a finished run and a champion."""
