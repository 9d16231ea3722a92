"""From logits to a decision: masking, calibrated probabilities, confidence, forced slots.

Shapes     N groups, S slots, A actions.
Formula    p_a = exp(l_a / T) / sum over allowed b of exp(l_b / T); the action is the allowed one with
           the highest logit, the first of equals, as models/actions.py: best_actions chooses.
           Confidence of a group: the lowest of the slots' highest probabilities; 1 where no slot is free.
"""

import numpy as np
from numba import njit

from kalshi_platform.replay.account import HOLD
from kalshi_platform.serving.batch import FREE


@njit(cache=True)
def answer(
    logits: np.ndarray,
    action_mask: np.ndarray,
    slot_mask: np.ndarray,
    forced: np.ndarray,
    temperature: float,
    actions: np.ndarray,
    probabilities: np.ndarray,
    confidence: np.ndarray,
) -> bool:
    """Decide every slot of N groups; False, and nothing to be used, where a logit is not finite.

    logits, action_mask (N, S, A) f4; slot_mask (N, S) f4; forced (N, S) i1, FREE where the network decides;
    actions (N, S) i1, probabilities (N, S, A) f4, confidence (N,) f4 out.
    """
    n_groups, n_slots, n_actions = logits.shape
    for n in range(n_groups):
        lowest = 1.0
        for s in range(n_slots):
            for a in range(n_actions):
                probabilities[n, s, a] = 0.0
            if slot_mask[n, s] < 0.5 or forced[n, s] != FREE:
                action = HOLD if slot_mask[n, s] < 0.5 else forced[n, s]
                actions[n, s] = action
                probabilities[n, s, action] = 1.0
                continue
            chosen, top = HOLD, -np.inf
            for a in range(n_actions):
                if not np.isfinite(logits[n, s, a]):
                    return False
                if (a == HOLD or action_mask[n, s, a] > 0.5) and logits[n, s, a] > top:
                    chosen, top = a, np.float64(logits[n, s, a])
            total = 0.0
            for a in range(n_actions):
                if a == HOLD or action_mask[n, s, a] > 0.5:
                    total += np.exp((logits[n, s, a] - top) / temperature)
            for a in range(n_actions):
                if a == HOLD or action_mask[n, s, a] > 0.5:
                    probabilities[n, s, a] = np.exp((logits[n, s, a] - top) / temperature) / total
            actions[n, s] = chosen
            lowest = min(lowest, 1.0 / total)
        confidence[n] = lowest
    return True


@njit(cache=True)
def nothing_to_decide(
    action_mask: np.ndarray, slot_mask: np.ndarray, forced: np.ndarray, out: np.ndarray
) -> None:
    """Mark in ``out`` (N,) u1 groups without a choice: slots empty, forced, or with HOLD alone allowed."""
    n_groups, n_slots, n_actions = action_mask.shape
    for n in range(n_groups):
        out[n] = 1
        for s in range(n_slots):
            if slot_mask[n, s] < 0.5 or forced[n, s] != FREE:
                continue
            for a in range(n_actions):
                if a != HOLD and action_mask[n, s, a] > 0.5:
                    out[n] = 0
