"""Ends of markets and episodes: a market closes, settles or is cut off; the episode's record is written.

Records    env: ENV_DTYPE, slots (N, S) and slot: SLOT_DTYPE (simulation/replay/state.py); rows, terms:
           simulation/replay/bank.py.
Units      money 1e-6 dollar, time ns.
"""

from typing import Any, Final

import numpy as np

from kalshi_platform.data.features.rows import LEVELS
from kalshi_platform.domain.actions import N_ACTIONS
from kalshi_platform.domain.compiled import inline_kernel, kernel
from kalshi_platform.domain.fees import DIRECT_UNIT_E6, apply_fill, model_fee_e6
from kalshi_platform.simulation.envs.records import EpisodeRecords
from kalshi_platform.simulation.replay.account import position_value_e6, settle
from kalshi_platform.simulation.replay.bank import PRINTS_ONLY, ROW_CROSSED
from kalshi_platform.simulation.replay.execution import withdraw_all
from kalshi_platform.simulation.replay.impact import ASK, BID, taken_e2
from kalshi_platform.simulation.replay.planning import ExecutionParams, rounding_of, scaled_rate_e6
from kalshi_platform.simulation.replay.state import CLOSED, EMPTY, ENDED, LIVE, WAITING
from kalshi_platform.simulation.replay.terms import terms_place

#: Time of a row that does not exist.
FAR_NS: Final = 1 << 62


@kernel
def next_row_ns(rows: np.ndarray, slot: Any) -> int:
    """Environment time of the slot's next row; FAR_NS when the slot has none."""
    if slot.state not in (WAITING, LIVE) or slot.cursor + 1 >= slot.stop:
        return FAR_NS
    return rows[slot.cursor + 1].recv_ns - slot.shift_ns


@kernel
def end_slots(
    rows: np.ndarray,
    markets: np.ndarray,
    all_terms: np.ndarray,
    env: Any,
    slots: np.ndarray,
    n: int,
    params: ExecutionParams,
) -> tuple[bool, bool]:
    """End the slots of environment ``n`` whose market has no further row. Returns (terminated, truncated).

    Where others go on a slot ends when a trader can know of it, not at its last row: that row is the last
    only in hindsight. Its orders are refused from then on (``SEGMENT_DTYPE.end_ns``).
    A market that settles inside the episode is paid at its closing time, or when nothing else can be traded;
    paid earlier, the outcome would tell the other slots something nobody knew yet. Terminated: no slot is
    open any more. Truncated: the data of the last market ran out, or the episode's steps are used up; open
    positions then stay and are worth their mark.
    """
    more = False
    for s in range(slots.shape[1]):
        more |= next_row_ns(rows, slots[n, s]) < FAR_NS
    any_open = False
    for s in range(slots.shape[1]):
        slot = slots[n, s]
        is_quiet = more and env.now_ns + slot.shift_ns < slot.news_ns  # as far as anyone can know
        if slot.state == LIVE and next_row_ns(rows, slot) == FAR_NS and not is_quiet:
            if slot.settles:
                withdraw_all(env, slot)
                slot.state = CLOSED
            elif more:
                withdraw_all(env, slot)
                row, market = rows[slot.cursor], markets[slot.market]
                place = terms_place(all_terms, slot, env.now_ns + slot.shift_ns)
                close_at_liquidation(row, market, all_terms[place], env, slot, params)
                slot.state = ENDED
        if slot.state == CLOSED and (not more or env.now_ns + slot.shift_ns >= markets[slot.market].close_ns):
            settle(env, slot, markets[slot.market].settlement_e4)
            slot.settled = 1
            slot.state = ENDED
        any_open |= slot.state in (WAITING, LIVE)
    if not any_open:
        return True, False
    return False, (not more) or env.step >= env.max_steps


@inline_kernel
def _most_fee_e6(value_e6: int) -> int:
    """Highest fee of a fill of ``value_e6``: more would cost cash that the account may not have.

    No rounding rule rounds a whole 1e-4 dollar up.
    """
    return value_e6 // DIRECT_UNIT_E6 * DIRECT_UNIT_E6


@kernel
def liquidation_e6(row: Any, market: Any, terms: Any, slot: Any, params: ExecutionParams) -> tuple[int, int]:
    """(cash after fees, fees) of closing the slot's position as a taker who walks the levels of ``row``.

    Size that the slot took before is gone; what the five levels cannot take is worth nothing. A level of
    unknown size takes all. On a crossed row nobody pays more than the other side asks. Where only
    prints are known, a side without a print is not known to be empty: the position is worth its mark.
    """
    left = abs(slot.position_e2)
    if left == 0:
        return 0, 0
    long = slot.position_e2 > 0
    rounding = rounding_of(terms, params)
    side, rate_e6 = BID if long else ASK, scaled_rate_e6(terms, False, params)
    if market.source == PRINTS_ONLY and (row.bid_px_e4[0] if long else row.ask_px_e4[0]) < 0:
        value_e6 = position_value_e6(slot.position_e2, slot.mark2_e4)
        model_e6 = model_fee_e6(rate_e6, slot.mark2_e4 // 2, left)
        change_e6, fee_e6, _ = apply_fill(
            value_e6, min(model_e6, _most_fee_e6(value_e6)), 0, params.unit_e6, rounding
        )
        return change_e6, fee_e6
    cash_e6, fees_e6, accumulator_e6 = 0, 0, 0
    for level in range(LEVELS):
        price = int(row.bid_px_e4[level] if long else row.ask_px_e4[level])
        shown = int(row.bid_qty_e2[level] if long else row.ask_qty_e2[level])
        qty = min(left, shown - taken_e2(slot, side, price)) if shown >= 0 else left
        if price < 0 or left == 0:
            break
        if qty <= 0:
            continue
        if row.state & ROW_CROSSED != 0:
            price = min(price, int(row.ask_px_e4[0])) if long else max(price, int(row.bid_px_e4[0]))
        value_e6 = (price if long else 10_000 - price) * qty
        model_e6 = min(model_fee_e6(rate_e6, price, qty), _most_fee_e6(value_e6))
        change_e6, fee_e6, accumulator_e6 = apply_fill(
            value_e6, model_e6, accumulator_e6, params.unit_e6, rounding
        )
        cash_e6 += change_e6
        fees_e6 += fee_e6
        left -= qty
    return cash_e6, fees_e6


@kernel
def close_at_liquidation(
    row: Any, market: Any, terms: Any, env: Any, slot: Any, params: ExecutionParams
) -> None:
    """Close the slot's position at the end of its market's data, for what a taker would get on ``row``."""
    change_e6, fee_e6 = liquidation_e6(row, market, terms, slot, params)
    env.cash_e6 += change_e6
    slot.slot_cash_e6 += change_e6
    slot.fees_e6 += fee_e6
    slot.position_e2 = 0
    slot.cost_e6 = 0


@kernel
def write_records(
    rows: np.ndarray,
    markets: np.ndarray,
    all_terms: np.ndarray,
    env: Any,
    slots: np.ndarray,
    n: int,
    params: ExecutionParams,
    out: EpisodeRecords,
    at: int,
) -> int:
    """Append a record for every used slot of the finished environment ``n``; returns the next free place."""
    for s in range(slots.shape[1]):
        slot = slots[n, s]
        if slot.state in (EMPTY, WAITING):
            continue
        row, market = rows[slot.cursor], markets[slot.market]
        terms = all_terms[terms_place(all_terms, slot, env.now_ns + slot.shift_ns)]
        closing_e6, closing_fee_e6 = liquidation_e6(row, market, terms, slot, params)
        out.episode[at] = env.episode
        out.slot[at] = s
        out.market[at] = slot.market
        out.start_ns[at] = slot.first_ns
        out.end_ns[at] = row.recv_ns
        out.n_steps[at] = env.step
        out.pnl_e6[at] = slot.slot_cash_e6 + closing_e6
        out.fees_e6[at] = slot.fees_e6 + closing_fee_e6
        out.traded_e2[at] = slot.traded_e2
        out.turnover_e6[at] = slot.turnover_e6
        out.n_orders[at] = slot.n_orders
        out.n_fills[at] = slot.n_fills
        out.n_reached_fills[at] = slot.n_reached_fills
        out.n_queued[at] = slot.n_queued
        out.ahead_e2[at] = slot.ahead_e2
        out.passed_ahead_e2[at] = slot.passed_ahead_e2
        out.max_position_e2[at] = slot.max_position_e2
        for a in range(N_ACTIONS):
            out.action_counts[at, a] = slot.action_counts[a]
            out.masked_counts[at, a] = slot.masked_counts[a]
        out.settled[at] = slot.settled
        out.episode_return[at] = env.episode_return
        at += 1
    return at
