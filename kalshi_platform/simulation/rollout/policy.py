"""The policy as the loop needs it: a network and a rule written by hand are both one.

Shapes   N environments, S slots, A = 5 actions; ``flat`` (N, width) f4, ``rows`` (N, S) i8: the bank row each
         slot stands at, -1 = empty.
"""

from typing import Protocol

import numpy as np


class Policy(Protocol):
    """A policy that chooses one action a slot, deterministically or from a seeded generator of its own."""

    def act(self, flat: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Actions (N, S) int8, each allowed by the action mask in ``flat``; valid until the next call."""
        ...


class ActorCritic(Policy, Protocol):
    """A policy that values its observations; a learner keeps its answers.

    ``logits`` (N, S, A) f4, unmasked, ``value`` (N, S) f4 and ``log_prob`` (N, S) f4 (of the drawn actions)
    belong to the last call of ``act`` and are valid until the next one.
    """

    logits: np.ndarray
    value: np.ndarray
    log_prob: np.ndarray

    def present_values(self, flat: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Values (N, S) f4 of the observations that the N environments stand at."""
        ...

    def final_values(self, flat: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Values (M, S) f4 of any M observations, such as the last ones of episodes."""
        ...
