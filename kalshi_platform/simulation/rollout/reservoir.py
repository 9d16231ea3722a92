"""An even sample of the states a policy meets, bounded in memory.

Shapes   K states of S slots, A actions; the flat observation (width,) as in replay/layout.py.
"""

from typing import NamedTuple

import numpy as np


class States(NamedTuple):
    """K states and a policy's answers to them; where a slot is empty its entries mean nothing."""

    flat: np.ndarray  # (K, width) f4
    rows: np.ndarray  # (K, S) i8: bank rows the slots stand at, -1 = empty
    logits: np.ndarray  # (K, S, A) f4, unmasked
    value: np.ndarray  # (K, S) f4
    advantage: np.ndarray  # (K, S) f4, of the action taken
    env: np.ndarray  # (K,) i4: the environment that met the state

    @property
    def n(self) -> int:
        """Number of states, K."""
        return len(self.flat)

    def take(self, which: np.ndarray) -> "States":
        """States at ``which`` (indices or a mask)."""
        return States(*(column[which] for column in self))


class Reservoir:
    """An even sample of at most ``capacity`` states of a stream (Vitter 1985, algorithm R)."""

    def __init__(self, capacity: int, rng: np.random.Generator) -> None:
        self._capacity, self._rng = capacity, rng
        self._columns: States | None = None
        self._seen = 0

    def add(self, states: States) -> None:
        """Take in further states; each seen so far is kept with the same probability."""
        if states.n == 0:
            return
        if self._columns is None:
            self._columns = States(
                *(np.empty((self._capacity, *column.shape[1:]), column.dtype) for column in states)
            )
        number = self._seen + np.arange(states.n)
        place = np.where(number < self._capacity, number, self._rng.integers(0, number + 1))
        kept = np.flatnonzero(place < self._capacity)
        for column, fresh in zip(self._columns, states, strict=True):
            column[place[kept]] = fresh[kept]
        self._seen += states.n

    def states(self) -> States | None:
        """The sample; None before the first state."""
        if self._columns is None:
            return None
        return self._columns.take(np.arange(min(self._seen, self._capacity)))
