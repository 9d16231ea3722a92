"""The discount of a step: the same for every step, or by the market time that passed in it.

A decision may come after a millisecond or after an hour. Discounted by the step, a reward an hour ahead
weighs less the more messages the exchange sends until then; discounted by the second it does not.
"""

from typing import NamedTuple

import numpy as np

from kalshi_platform.domain.units import NS_PER_SECOND


class Discount(NamedTuple):
    """Discount ``per_step``, in whose place ``per_second`` stands where it is above 0; both at most 1."""

    per_step: float
    per_second: float = 0.0

    def of_steps(self, elapsed_ns: np.ndarray) -> np.ndarray:
        """Discount f8 of each step, in the shape of ``elapsed_ns`` i8: the market time that it took."""
        if self.per_second > 0:
            return np.asarray(self.per_second ** (elapsed_ns / NS_PER_SECOND), np.float64)
        return np.full(elapsed_ns.shape, self.per_step)
