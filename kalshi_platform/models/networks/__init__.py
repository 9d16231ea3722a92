"""Policy networks (torch only), their levels, and the adapter to RLlib.

Not here   training (learning/), the forms that serving runs (inference/). Begin reading at networks.py.
"""

__all__ = [
    "acting", "actions", "device", "history", "levels", "networks", "policy", "rllib_adapter", "spec",
    "transfer",
]  # fmt: skip
