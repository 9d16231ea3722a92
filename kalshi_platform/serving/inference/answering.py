"""Decides every slot: by rules that come before any network, else by a network's logits.

Crossed    best bid at or above best ask: the local book is broken, or caught inside one match -> HOLD.
Arbitrage  of mutually exclusive markets at most one pays its YES. One NO contract in each of n legs costs
           sum(1 - bid) and the fees, and brings at least n - 1 dollars; it pays for certain where
               sum(bid - fee(bid)) > 1 dollar.
           A leg counts where its action mask allows BUY_NO and its bid is worth more than its fee: a leg that
           nobody can trade protects nobody. Sets are numbers within one group; no policy sees them.
Logits     p_a = exp(l_a / T) / sum over allowed b of exp(l_b / T); the action is the allowed one with
           the highest logit, the first of equals, as models/networks/actions.py: best_actions chooses.
           Confidence of a group: the lowest of the slots' highest probabilities; 1 where no slot is free.
Shapes     N groups, S slots, A actions; K groups a tier was asked about, ``which`` (K,) i8 their indices.
           ``slot_mask_at`` and ``action_mask_at`` of ``flat`` (N, width) are simulation/replay/layout.py's.
Units      prices 1e-4 dollar on the YES scale, fees and sums 1e-6 dollar, rates 1e-6; integers throughout.
"""

import numpy as np

from kalshi_platform.domain.actions import BUY_NO, HOLD, N_ACTIONS
from kalshi_platform.domain.compiled import kernel
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.fees import model_fee_e6
from kalshi_platform.domain.units import CONTRACT_E2, DOLLAR_E6
from kalshi_platform.serving.inference.batch import FREE


@kernel
def _leg_e6(bid_e4: int, taker_rate_e6: int, allowed: float) -> int:
    """Return the 1e-6 dollar that a contract of this leg adds to the sum; 0 where the market is no leg."""
    if bid_e4 <= 0 or allowed <= 0.5:
        return 0
    return max(CONTRACT_E2 * bid_e4 - model_fee_e6(taker_rate_e6, bid_e4, CONTRACT_E2), 0)


@kernel
def force_actions(
    bid_e4: np.ndarray,
    ask_e4: np.ndarray,
    exclusive_set: np.ndarray,
    taker_rate_e6: np.ndarray,
    action_mask: np.ndarray,
    forced: np.ndarray,
) -> None:
    """Write the action that the rules demand of every slot, or FREE, into ``forced`` (N, S) i1.

    Arguments as in :func:`forced_actions`.
    """
    for n in range(bid_e4.shape[0]):
        for s in range(bid_e4.shape[1]):
            crossed = bid_e4[n, s] >= 0 and ask_e4[n, s] >= 0 and bid_e4[n, s] >= ask_e4[n, s]
            forced[n, s] = HOLD if crossed else FREE
        for s in range(bid_e4.shape[1]):
            if exclusive_set[n, s] < 0 or forced[n, s] != FREE:
                continue
            own_e6 = _leg_e6(bid_e4[n, s], taker_rate_e6[n, s], action_mask[n, s, BUY_NO])
            total_e6 = 0
            for k in range(bid_e4.shape[1]):
                if exclusive_set[n, k] == exclusive_set[n, s] and forced[n, k] != HOLD:
                    total_e6 += _leg_e6(bid_e4[n, k], taker_rate_e6[n, k], action_mask[n, k, BUY_NO])
            if own_e6 > 0 and total_e6 > DOLLAR_E6:
                forced[n, s] = BUY_NO


def forced_actions(
    bid_e4: np.ndarray,
    ask_e4: np.ndarray,
    exclusive_set: np.ndarray,
    taker_rate_e6: np.ndarray,
    action_mask: np.ndarray,
) -> np.ndarray:
    """Actions (N, S) i1 that the rules demand of each slot, or FREE.

    ``bid_e4``, ``ask_e4`` (N, S) i4: best prices, NO_PRICE where a side or the whole slot is empty;
    ``exclusive_set`` (N, S) i4: slots with one number >= 0 are mutually exclusive, -1 none; ``taker_rate_e6``
    (N, S) i8; ``action_mask`` (N, S, A), above one half = allowed. ContractError where the shapes differ.
    """
    shape = bid_e4.shape
    others = (ask_e4.shape, exclusive_set.shape, taker_rate_e6.shape, action_mask.shape[:-1])
    if len(shape) != 2 or any(other != shape for other in others) or action_mask.shape[-1] != N_ACTIONS:
        raise ContractError(f"bids have shape {shape}, the others {others}: all take one value a slot (N, S)")
    forced = np.empty(shape, np.int8)
    force_actions(
        np.ascontiguousarray(bid_e4, np.int32),
        np.ascontiguousarray(ask_e4, np.int32),
        np.ascontiguousarray(exclusive_set, np.int32),
        np.ascontiguousarray(taker_rate_e6, np.int64),
        np.ascontiguousarray(action_mask, np.float32),
        forced,
    )
    return forced


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
