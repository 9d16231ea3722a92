"""A network that acts in environments: it satisfies ``simulation.rollout.policy.ActorCritic``.

Owns     the codes of the history windows the environments stand at, kept from step to step, and drawing.
Shapes   N environments, S slots, A = 5 actions; ``flat`` (N, width) f4, ``rows`` (N, S) i8.
Not      the weights: a trainer may change them between two steps (then :meth:`NetworkPolicy.forget`).
"""

import numpy as np
import torch

from kalshi_platform.domain.actions import N_ACTIONS
from kalshi_platform.models.networks.actions import best_actions, mask_logits, sample_actions
from kalshi_platform.models.networks.history import HistoryCodes
from kalshi_platform.models.networks.networks import PolicyNetwork
from kalshi_platform.simulation.replay.bank import BankArrays


class NetworkPolicy:
    """A network as a policy over one bank, whose rows hold its history.

    ``logits``, ``value`` and ``log_prob`` belong to the last call of :meth:`act`; drawing alone writes
    ``log_prob``.
    """

    def __init__(
        self,
        network: PolicyNetwork,
        arrays: BankArrays,
        rng: np.random.Generator | None = None,
        n_drawing: int | None = None,
    ) -> None:
        """Prepare a policy.

        ``rng`` draws the actions of the first ``n_drawing`` environments (None = of all).

        The other environments, and all without an ``rng``, take the most probable action.
        """
        self.network = network
        self._arrays, self._rng, self._n_drawing = arrays, rng, n_drawing
        self._codes: HistoryCodes | None = None
        self._resize(0)

    def _resize(self, n: int) -> None:
        """Allocate the outputs for ``n`` environments and forget the kept codes of their histories.

        Sets actions (n, S) i1, log_prob and value (n, S) f4, logits (n, S, A) f4.
        """
        spec = self.network.spec
        self._actions = np.zeros((n, spec.n_slots), np.int8)
        self.log_prob = np.zeros((n, spec.n_slots), np.float32)
        self.value = np.zeros((n, spec.n_slots), np.float32)
        self.logits = np.zeros((n, spec.n_slots, N_ACTIONS), np.float32)
        self._codes = HistoryCodes(self.network, self._arrays, n) if spec.reads_history else None

    def act(self, flat: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Actions (N, S) int8; the next call overwrites them."""
        self.logits, self.value, mask = self._present(flat, rows)
        n, k = len(flat), self._n_drawn(len(flat))
        if self._rng is not None and k == n:  # as training does: without a view of each array
            uniform = self._rng.random(self._actions.shape)
            sample_actions(self.logits, mask, uniform, self._actions, self.log_prob)
        elif self._rng is not None and k:
            uniform = self._rng.random(self._actions.shape)
            sample_actions(self.logits[:k], mask[:k], uniform[:k], self._actions[:k], self.log_prob[:k])
        if k < n:
            best_actions(self.logits[k:], mask[k:], self._actions[k:])
        return self._actions

    def _n_drawn(self, n: int) -> int:
        if self._rng is None:
            return 0
        return n if self._n_drawing is None else min(n, self._n_drawing)

    def probabilities(self, flat: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """(N, S, A) f4 probabilities of the available actions, 0 where masked."""
        logits, _, mask = self._present(flat, rows)
        masked = mask_logits(torch.from_numpy(logits), torch.from_numpy(mask))
        probabilities: np.ndarray = masked.softmax(-1).numpy()
        return probabilities

    def present_values(self, flat: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return the values (N, S) f4, in units of reward, of the N environments' present observations."""
        return self._present(flat, rows)[1]

    def final_values(self, flat: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """(M, S) f4: values of any M observations; the kept codes stay as they are."""
        return self._answer(flat, None if self._codes is None else self._codes.fresh(rows))[1]

    def forget(self) -> None:
        """Encode every window again at the next call: the weights have changed."""
        if self._codes is not None:
            self._codes.forget()

    def _present(self, flat: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        if len(flat) != len(self._actions):
            self.network.spec.require_shape(flat.shape)
            self._resize(len(flat))
        return self._answer(flat, None if self._codes is None else self._codes.at(rows))

    def _answer(
        self, flat: np.ndarray, codes: torch.Tensor | None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        with torch.inference_mode():
            logits, value, mask = self.network.answer(torch.from_numpy(flat), codes)
        return logits.numpy(), value.numpy(), mask.numpy()
