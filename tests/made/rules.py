"""Inputs of the trading filter written by hand."""

import numpy as np

from kalshi_platform.domain.fees import DIRECT_UNIT_E6, TAKER_RATE_E6
from kalshi_platform.domain.units import NS_PER_MS
from kalshi_platform.models.rules.trading_filter import REASONS, FilterInputs, allocate_inputs

NOTHING = -1


def group_of(*slots: dict[str, int]) -> FilterInputs:
    """One group. A slot: ``bid`` and, if they matter, ``ask``, ``size``, ``age_ms``, ``of`` (its set),
    ``rate``, ``limit``, ``qty``, ``unit``, ``open``; else 10 contracts, fresh, of set 0, a cent
    of slippage."""
    inputs = allocate_inputs(1, len(slots))
    for s, slot in enumerate(slots):
        bid = slot["bid"]
        inputs.bid_e4[0, s] = bid
        inputs.ask_e4[0, s] = slot.get("ask", NOTHING if bid >= 10_000 else bid + 1)
        inputs.bid_size_e2[0, s] = slot.get("size", 1_000)
        inputs.age_ns[0, s] = slot.get("age_ms", 10) * NS_PER_MS
        inputs.exclusive_set[0, s] = slot.get("of", 0)
        inputs.taker_rate_e6[0, s] = slot.get("rate", TAKER_RATE_E6)
        inputs.unit_e6[0, s] = slot.get("unit", DIRECT_UNIT_E6)
        inputs.limit_e4[0, s] = slot.get("limit", min(bid, max(bid - 100, 1)))
        inputs.qty_e2[0, s] = slot.get("qty", 1_000)
        inputs.may_buy_no[0, s] = slot.get("open", 1)
    return inputs


def words(reasons: np.ndarray) -> list[str]:
    """First words of the reasons' sentences."""
    return [REASONS[code].split(":")[0] for code in reasons.tolist()]
