"""Policies written by hand, with which a trained one is compared.

Not here   trained networks (networks/), rules of a tier (serving/inference). Begin reading at baselines.py.
"""

__all__ = ["baselines"]
