"""Decides which model a replica serves: checks a candidate, swaps it in, watches it, takes it back.

Not here   how a model decides (serving/inference). Begin reading at guard.py.
"""
