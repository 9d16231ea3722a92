"""Decides every slot: by the rules' demands where there are any, else by a network's logits.

Rules      models/rules/trading_filter.py says what they demand; here ``forced`` holds it.
Logits     p_a = exp(l_a / T) / sum over allowed b of exp(l_b / T); the action is the allowed one with
           the highest logit, the first of equals, as models/networks/actions.py: best_actions chooses.
           Confidence of a group: the lowest of the slots' highest probabilities; 1 where no slot is free.
Shapes     N groups, S slots, A actions; K groups a tier was asked about, ``which`` (K,) i8 their indices.
           ``slot_mask_at`` and ``action_mask_at`` of ``flat`` (N, width) are simulation/replay/layout.py's.
"""

import numpy as np

from kalshi_platform.domain.actions import HOLD
from kalshi_platform.domain.compiled import kernel
from kalshi_platform.models.rules.trading_filter import FREE


@kernel
def all_finite(logits: np.ndarray) -> bool:
    """Return True if every logit of (K, S, A) is finite."""
    for k in range(logits.shape[0]):
        for s in range(logits.shape[1]):
            for a in range(logits.shape[2]):
                if not np.isfinite(logits[k, s, a]):
                    return False
    return True


@kernel
def answer(
    logits: np.ndarray,
    flat: np.ndarray,
    which: np.ndarray,
    slot_mask_at: int,
    action_mask_at: int,
    forced: np.ndarray,
    temperature: float,
    tier: int,
    actions: np.ndarray,
    probabilities: np.ndarray,
    confidence: np.ndarray,
    tiers: np.ndarray,
    notes: np.ndarray,
) -> None:
    """Decide the groups ``which`` by ``logits`` (K, S, A) f4, all finite; write the decisions in place.

    flat (N, width) f4; forced (N, S) i1, FREE where the network decides; ``temperature`` divides the logits.
    Written: actions (N, S) i1, probabilities (N, S, A) f4, confidence (N,) f4, tiers (N,) i1 (= ``tier``),
    notes (N,) u1 (= 0).
    """
    n_slots, n_actions = logits.shape[1], logits.shape[2]
    for k in range(which.size):
        n = which[k]
        lowest = 1.0
        for s in range(n_slots):
            legal_at = action_mask_at + s * n_actions
            for a in range(n_actions):
                probabilities[n, s, a] = 0.0
            present = flat[n, slot_mask_at + s] > 0.5
            if not present or forced[n, s] != FREE:
                action = forced[n, s] if present else HOLD
                actions[n, s] = action
                probabilities[n, s, action] = 1.0
                continue
            chosen, top = HOLD, np.float64(logits[k, s, HOLD])
            for a in range(n_actions):
                if flat[n, legal_at + a] > 0.5 and logits[k, s, a] > top:
                    chosen, top = a, np.float64(logits[k, s, a])
            total = 0.0
            for a in range(n_actions):
                if a == HOLD or flat[n, legal_at + a] > 0.5:
                    share = np.exp((logits[k, s, a] - top) / temperature)
                    probabilities[n, s, a] = share
                    total += share
            for a in range(n_actions):
                probabilities[n, s, a] = probabilities[n, s, a] / total
            actions[n, s] = chosen
            lowest = min(lowest, 1.0 / total)
        confidence[n] = lowest
        tiers[n] = tier
        notes[n] = 0


@kernel
def has_choice(
    flat: np.ndarray, n: int, slot_mask_at: int, action_mask_at: int, forced: np.ndarray, n_actions: int
) -> bool:
    """Return True if a slot of group ``n`` holds a market, is FREE and may do more than HOLD."""
    for s in range(forced.shape[1]):
        if flat[n, slot_mask_at + s] < 0.5 or forced[n, s] != FREE:
            continue
        for a in range(n_actions):
            if a != HOLD and flat[n, action_mask_at + s * n_actions + a] > 0.5:
                return True
    return False


@kernel
def answer_by_rules(
    flat: np.ndarray,
    which: np.ndarray,
    slot_mask_at: int,
    action_mask_at: int,
    forced: np.ndarray,
    tier: int,
    actions: np.ndarray,
    probabilities: np.ndarray,
    confidence: np.ndarray,
    tiers: np.ndarray,
    still_open: np.ndarray,
) -> int:
    """Decide the groups of ``which`` without a choice; list the others in ``still_open``, return how many.

    Arrays as in :func:`answer`; still_open (K,) i8.
    """
    n_actions = probabilities.shape[2]
    n_open = 0
    for k in range(which.size):
        n = which[k]
        if has_choice(flat, n, slot_mask_at, action_mask_at, forced, n_actions):
            still_open[n_open] = n
            n_open += 1
            continue
        for s in range(forced.shape[1]):
            action = HOLD
            if flat[n, slot_mask_at + s] > 0.5 and forced[n, s] != FREE:
                action = forced[n, s]
            actions[n, s] = action
            for a in range(n_actions):
                probabilities[n, s, a] = 1.0 if a == action else 0.0
        confidence[n] = 1.0
        tiers[n] = tier
    return n_open


@kernel
def still_unsure(which: np.ndarray, confidence: np.ndarray, threshold: float, still_open: np.ndarray) -> int:
    """Write the groups of ``which`` with confidence (N,) f4 below ``threshold``; returns their number."""
    n_open = 0
    for k in range(which.size):
        if confidence[which[k]] < threshold:
            still_open[n_open] = which[k]
            n_open += 1
    return n_open
