"""The interface that evaluation needs of a policy: anything with ``act``, a frozen network as well as a rule.

Shapes   N environments, S slots, A = 5 actions; ``flat`` (N, width) f4, ``rows`` (N, S) i4.
"""

from typing import Protocol, runtime_checkable

import numpy as np

from kalshi_platform.models.networks.policy import FrozenPolicy
from kalshi_platform.simulation.replay.bank import Bank


class Policy(Protocol):
    """A policy that chooses one action a slot, deterministically or from its own seeded generator."""

    def act(self, flat: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Actions (N, S) int8."""
        ...


@runtime_checkable
class HasProbabilities(Protocol):
    """A policy that knows the probabilities of its actions; the checkup of a run recomputes their entropy."""

    def probabilities(self, flat: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Probabilities (N, S, A) of the actions; zero where masked."""
        ...


class NetworkPolicy:
    """A trained network as a deterministic policy over one bank, whose rows hold its history."""

    def __init__(self, network: FrozenPolicy, bank: Bank) -> None:
        self.network, self.history = network, bank.arrays

    def act(self, flat: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Actions (N, S) int8: the most probable available action of each slot."""
        return self.network.act(flat, rows=rows, history=self.history)

    def probabilities(self, flat: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Probabilities (N, S, A) of the available actions."""
        return self.network.action_probabilities(flat, rows=rows, history=self.history)
