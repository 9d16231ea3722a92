"""Slots of an environment, replayed or live, as the trading filter reads them: one kernel for both.

Orders     limit and size come from ``plan_order``, which also writes the mask and plans the order sent.
Fees       the higher of the rate known for the market and the one that the settings charge (fee ladder, fees
           of today); a rounding rule of the past may take another cent.
Sizes      what the slot took of the best bid is gone while a replay still displays it (own impact): an order
           would not get it again, and its leg would stay open.
Slots      a slot that trades (LIVE) has inputs, every other looks empty.
"""

import numpy as np

from kalshi_platform.domain.actions import BUY_NO
from kalshi_platform.domain.compiled import kernel
from kalshi_platform.domain.fees import DIRECT_UNIT_E6, NON_DIRECT_UNIT_E6
from kalshi_platform.domain.units import NO_PRICE
from kalshi_platform.models.rules.trading_filter import FilterInputs, force_slots
from kalshi_platform.simulation.replay.bank import Bank, BankArrays
from kalshi_platform.simulation.replay.impact import BID, free_e2
from kalshi_platform.simulation.replay.infos import exclusive_of, numbered
from kalshi_platform.simulation.replay.planning import NO_FEE, ExecutionParams, plan_order, scaled_rate_e6
from kalshi_platform.simulation.replay.state import LIVE
from kalshi_platform.simulation.replay.terms import terms_place

_ANY_BUDGET_E6 = 1 << 62  # the mask knows whether the account can pay


def exclusive_sets(bank: Bank) -> np.ndarray:
    """Set (M,) i4 of each market: markets of one mutually exclusive event share a number, -1 none."""
    event, is_exclusive = numbered(bank.markets, "event").place, exclusive_of(bank.markets)
    used = np.unique(event[is_exclusive])  # numbered by first appearance, so ascending is in that order
    return np.where(is_exclusive, np.searchsorted(used, event), -1).astype(np.int32)


@kernel
def read_inputs(
    bank: BankArrays,
    envs: np.ndarray,
    slots: np.ndarray,
    params: ExecutionParams,
    sets: np.ndarray,
    inputs: FilterInputs,
) -> None:
    """Write ``inputs`` (N, S) of the environments; ``sets`` (M,) i4 as :func:`exclusive_sets` gives them.

    envs (N,) ENV_DTYPE and slots (N, S) SLOT_DTYPE, whose masks are those of the present observation.
    """
    for n in range(slots.shape[0]):
        for s in range(slots.shape[1]):
            slot = slots[n, s]
            if slot.state != LIVE:
                inputs.bid_e4[n, s] = inputs.ask_e4[n, s] = NO_PRICE
                inputs.exclusive_set[n, s] = -1
                continue
            row = bank.rows[slot.cursor]
            now_ns = envs[n].now_ns + slot.shift_ns
            terms = bank.terms[terms_place(bank.terms, slot, now_ns)]
            inputs.bid_e4[n, s] = row.bid_px_e4[0]
            inputs.ask_e4[n, s] = row.ask_px_e4[0]
            shown_e2 = row.bid_qty_e2[0]
            inputs.bid_size_e2[n, s] = shown_e2 if shown_e2 < 0 else free_e2(row, slot, BID, 0, params)
            inputs.age_ns[n, s] = now_ns - row.recv_ns
            inputs.exclusive_set[n, s] = sets[slot.market]
            inputs.taker_rate_e6[n, s] = max(terms.taker_rate_e6, scaled_rate_e6(terms, False, params))
            past_e6 = NON_DIRECT_UNIT_E6 if terms.rounding != 0 else 0
            inputs.unit_e6[n, s] = max(params.unit_e6, DIRECT_UNIT_E6) + past_e6
            limit_e4, qty_e2, _ = plan_order(row, terms, NO_FEE, slot, BUY_NO, _ANY_BUDGET_E6, params)
            inputs.limit_e4[n, s] = limit_e4
            inputs.qty_e2[n, s] = qty_e2
            inputs.may_buy_no[n, s] = slot.mask[BUY_NO]


@kernel
def filter_slots(
    bank: BankArrays,
    envs: np.ndarray,
    slots: np.ndarray,
    params: ExecutionParams,
    sets: np.ndarray,
    inputs: FilterInputs,
    forced: np.ndarray,
    reasons: np.ndarray,
) -> None:
    """Write the rules' demands ``forced`` (N, S) i1 and ``reasons`` (N, S) u1 on the present observations."""
    read_inputs(bank, envs, slots, params, sets, inputs)
    force_slots(inputs, not params.maker, forced, reasons)
