"""The observation of one environment: its content, and the kernels that write it to the flat vector.

Replay and live serving write observations with these kernels only, so both show a policy the same bits.

flat   (width,) float32, its parts where layout.py says
rows   (S,) int64, the bank row each slot stands at (-1 = empty); history windows are gathered from it
Not    any ticker, event or market number: a row number only addresses the window and is never an input.
"""

from typing import Any, Final

import numpy as np

from kalshi_platform.data.features.spec import features_of
from kalshi_platform.domain.actions import HOLD, N_ACTIONS
from kalshi_platform.domain.compiled import inline_kernel, kernel
from kalshi_platform.domain.units import NS_PER_SECOND
from kalshi_platform.simulation.replay.account import position_value_e6
from kalshi_platform.simulation.replay.bank import ROW_CROSSED
from kalshi_platform.simulation.replay.draws import draw_below
from kalshi_platform.simulation.replay.execution import RESTING, SEEKING
from kalshi_platform.simulation.replay.layout import Layout, layout_in_kernel
from kalshi_platform.simulation.replay.planning import (
    NO_FEE,
    ExecutionParams,
    FullFee,
    full_fee,
    is_paused,
    plan_order,
    raises_position,
)
from kalshi_platform.simulation.replay.sending import keeps_order
from kalshi_platform.simulation.replay.state import CLOSED, LIVE
from kalshi_platform.simulation.replay.terms import terms_place

#: The agent's own state a slot; formulas in the feature table, written by :func:`write_portfolio`.
PORTFOLIO: Final = tuple(f.name for f in features_of(["portfolio"]))
N_PORTFOLIO: Final = len(PORTFOLIO)
_LOG_DAY: Final = float(np.log1p(86_400.0))


def portfolio_column(name: str, layout: Layout, flat: np.ndarray) -> np.ndarray:
    """(N, S) view of one portfolio feature in ``flat`` (N, width)."""
    return layout.split(flat).portfolio[:, :, PORTFOLIO.index(name)]


@kernel
def squash_seconds(duration_ns: int) -> float:
    """Squashed time log(1 + seconds) / log(1 + one day), at most 1."""
    if duration_ns <= 0:
        return 0.0  # the logarithm is a tenth of a step
    return min(np.log1p(duration_ns / NS_PER_SECOND) / _LOG_DAY, 1.0)


@kernel
def _clip(x: float) -> float:
    return min(max(x, -1.0), 1.0)


@kernel
def write_portfolio(
    out: np.ndarray,
    n: int,
    at: int,
    stale_ns: int,
    env: Any,
    slot: Any,
    now_ns: int,
    position_limit_e2: int,
    capital_e6: int,
) -> None:
    """Write the portfolio features of one slot to ``out[n, at : at + P]``; formulas in the feature table."""
    position, mark2, cost = slot.position_e2, slot.mark2_e4, slot.cost_e6
    mid = mark2 / 20_000
    out[n, at] = _clip(position / position_limit_e2)
    out[n, at + 1] = out[n, at + 2] = out[n, at + 3] = 0.0
    if position != 0:
        entry = cost / (abs(position) * 10_000)
        out[n, at + 1] = _clip((position_value_e6(position, mark2) - cost) / capital_e6)
        out[n, at + 2] = _clip(mid - (entry if position > 0 else 1.0 - entry))
        out[n, at + 3] = squash_seconds(now_ns - slot.opened_ns)
    out[n, at + 4] = out[n, at + 5] = 0.0
    if slot.order_state == RESTING:
        out[n, at + 4] = 1.0 if raises_position(slot.order_action) else -1.0
        out[n, at + 5] = _clip(mid - slot.order_price_e4 / 10_000)
    out[n, at + 6] = 1.0 if slot.sent_action != HOLD or slot.order_state == SEEKING else 0.0
    out[n, at + 7] = _clip(max(env.cash_e6 - env.reserved_e6, 0) / capital_e6)
    out[n, at + 8] = squash_seconds(stale_ns)


@kernel
def _forbid_all(slot: Any) -> None:
    """Forbid every action of a slot but HOLD."""
    for action in range(1, N_ACTIONS):
        slot.mask[action] = 0
    slot.most_e6 = 0


@inline_kernel
def _allow(row: Any, terms: Any, fee: FullFee, slot: Any, budget_e6: int, params: ExecutionParams) -> None:
    """Write which actions a slot may take with ``budget_e6``, and the most cash that one of them takes."""
    highest_e6 = 0
    for action in range(1, N_ACTIONS):
        _, qty, reserve_e6 = plan_order(row, terms, fee, slot, action, budget_e6, params)
        slot.mask[action] = 1 if qty > 0 else 0
        highest_e6 = max(highest_e6, reserve_e6)
    if slot.order_state == RESTING and slot.mask[slot.order_action] == 0:
        # to keep an order costs nothing
        slot.mask[slot.order_action] = keeps_order(row, terms, slot, slot.order_action, params)
    slot.most_e6 = highest_e6


@kernel
def update_mask(
    rows: np.ndarray,
    all_terms: np.ndarray,
    env: Any,
    slots: np.ndarray,
    n: int,
    params: ExecutionParams,
) -> None:
    """Write which actions each slot may take now; HOLD is always allowed.

    A market that, as far as is known, is closed or paused now allows nothing else.

    Cash is shared: the account can pay for any choice of allowed actions together. Where it could not pay
    for the dearest choice, the slots take their turns in an order drawn anew.
    """
    budget_e6 = env.cash_e6 - env.reserved_e6
    fee, most_e6 = NO_FEE, 0
    for s in range(slots.shape[1]):
        slot = slots[n, s]
        slot.mask[HOLD] = 1
        if slot.state != LIVE or slot.sent_action != HOLD or slot.order_state == SEEKING:
            _forbid_all(slot)
            continue
        row = rows[slot.cursor]
        at_ns = env.now_ns + slot.shift_ns
        terms = all_terms[terms_place(all_terms, slot, at_ns)]
        if row.state & ROW_CROSSED != 0 or at_ns >= terms.close_ns or is_paused(slot, at_ns):
            _forbid_all(slot)
            continue
        fee = full_fee(terms, fee, params)
        _allow(row, terms, fee, slot, budget_e6, params)
        most_e6 += slot.most_e6
    if most_e6 > budget_e6:
        share_cash(rows, all_terms, env, slots, n, params)


@kernel
def draw_turns(slots: np.ndarray, n: int, now_ns: int) -> None:
    """Write the slots of environment ``n`` into ``turn``, in an order drawn from the time."""
    key = int(now_ns)
    for s in range(slots.shape[1]):
        slots[n, s].turn = s
    for last in range(slots.shape[1] - 1, 0, -1):
        other = draw_below(key, last, last + 1)
        turn = slots[n, last].turn
        slots[n, last].turn = slots[n, other].turn
        slots[n, other].turn = turn


@kernel
def share_cash(
    rows: np.ndarray,
    all_terms: np.ndarray,
    env: Any,
    slots: np.ndarray,
    n: int,
    params: ExecutionParams,
) -> None:
    """Write the masks again where cash is scarce; in them are the actions that each slot alone could pay.

    One slot after the other, in an order drawn from the time, may count on the cash that is left if those
    before it spend the most they may.
    """
    budget_e6 = env.cash_e6 - env.reserved_e6
    draw_turns(slots, n, env.now_ns)
    for k in range(slots.shape[1]):
        slot = slots[n, slots[n, k].turn]
        if slot.most_e6 <= budget_e6:
            budget_e6 -= slot.most_e6
            continue
        terms = all_terms[terms_place(all_terms, slot, env.now_ns + slot.shift_ns)]
        fee = full_fee(terms, NO_FEE, params)
        _allow(rows[slot.cursor], terms, fee, slot, budget_e6, params)
        budget_e6 -= slot.most_e6


@kernel
def write_observation(
    rows: np.ndarray,
    features: np.ndarray,
    env: Any,
    slots: np.ndarray,
    n: int,
    position_limit_e2: int,
    capital_e6: int,
    flat: np.ndarray,
    at_rows: np.ndarray,
) -> None:
    """Write the observation of environment ``n`` into ``flat`` (N, width) and ``at_rows`` (N, S)."""
    n_slots, n_market = slots.shape[1], features.shape[1]
    layout = layout_in_kernel(n_slots, n_market, N_PORTFOLIO)
    for s in range(n_slots):
        slot = slots[n, s]
        for a in range(N_ACTIONS):
            flat[n, layout.action_mask_at + s * N_ACTIONS + a] = slot.mask[a]
        first, own = s * n_market, layout.portfolio_at + s * N_PORTFOLIO
        if slot.state not in (LIVE, CLOSED):
            for f in range(n_market):
                flat[n, first + f] = 0.0
            for f in range(N_PORTFOLIO):
                flat[n, own + f] = 0.0
            flat[n, layout.slot_mask_at + s] = 0.0
            at_rows[n, s] = -1
            continue
        cursor = slot.cursor  # read once: the compiler cannot know that writing flat leaves it alone
        for f in range(n_market):
            flat[n, first + f] = features[cursor, f]
        stale_ns = env.now_ns - (rows[cursor].recv_ns - slot.shift_ns)
        write_portfolio(flat, n, own, stale_ns, env, slot, env.now_ns, position_limit_e2, capital_e6)
        flat[n, layout.slot_mask_at + s] = 1.0
        at_rows[n, s] = cursor
