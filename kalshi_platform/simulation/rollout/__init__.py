"""The one loop that steps environments with a policy, and the records of its steps.

Not here   policies (models/) and judging a result (evaluation/). Begin reading at stepper.py.
"""

__all__ = ["discount", "fragment", "policy", "reservoir", "stepper"]
