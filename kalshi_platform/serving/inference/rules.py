"""Actions that rules demand before any network is asked: no trade on a crossed book, and riskless arbitrage.

Crossed     best bid at or above best ask: the local book is broken, or caught inside one match -> HOLD.
Arbitrage   of mutually exclusive markets at most one pays its YES. One NO contract in each of n legs costs
            sum(1 - bid) and the fees, and brings at least n - 1 dollars; it pays for certain where
                sum(bid - fee(bid)) > 1 dollar.
            A leg counts where its action mask allows BUY_NO and its bid is worth more than its fee: one that
            cannot be traded protects nobody.
Units       prices 1e-4 dollar on the YES scale, fees and sums 1e-6 dollar, rates 1e-6; integers throughout.
Not         any identity: sets are numbers within one group, which no policy is shown.
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
    """What a leg adds to the sum, per contract; 0 where it is none."""
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
    """Write the demanded action of every slot into ``forced`` (N, S) i1; see :func:`forced_actions`."""
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
    """(N, S) i1: the action the rules demand of each slot, or FREE.

    ``bid_e4``, ``ask_e4`` (N, S) i4: best prices, NO_PRICE where a side or the whole slot is empty;
    ``exclusive_set`` (N, S) i4: slots with one number >= 0 are mutually exclusive, -1 none;
    ``taker_rate_e6`` (N, S) i8; ``action_mask`` (N, S, A), above one half = allowed.
    ContractError where the shapes differ.
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
