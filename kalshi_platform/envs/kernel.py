"""One numba call steps every environment: events, orders, account, reward, observation.

Owns       the clock and cursor of each slot, the end of episodes, automatic restart.
Invariant  a slot's cursor only moves forward and never leaves its segment, so nothing later than the
           environment's clock is ever read; the outcome is read once, when the market has closed.
Order      at each row: orders that arrived before it meet the book as it was, then the row is applied.
Records    env: ENV_DTYPE, slot and slots (S,): SLOT_DTYPE (envs/state.py); bank: replay/bank.py.
"""

from typing import Any, Final

import numpy as np
from numba import njit

from kalshi_platform.domain.fees import apply_fill, model_fee_e6
from kalshi_platform.envs.observation import N_PORTFOLIO, write_portfolio
from kalshi_platform.envs.records import EpisodeRecords
from kalshi_platform.envs.rewards import step_reward
from kalshi_platform.envs.state import CLOSED, EMPTY, ENDED, LIVE, WAITING, Episodes, StepParams
from kalshi_platform.replay.account import (
    HOLD,
    N_ACTIONS,
    clear_position,
    liquidation_mark2_e4,
    open_account,
    position_value_e6,
    positions_value_e6,
    settle,
)
from kalshi_platform.replay.bank import BankArrays
from kalshi_platform.replay.execution import (
    SEEKING,
    ExecutionParams,
    arrive,
    clear_order,
    expire,
    on_row,
    plan_order,
    scaled_rate_e6,
    submit,
    withdraw_all,
)

#: Status of a step: fine, or the index of the environment whose action its mask forbids.
OK: Final = -1
_FAR: Final = 1 << 62


@njit(cache=True)
def begin_episode(
    rows: np.ndarray,
    segments: np.ndarray,
    episodes: Episodes,
    e: int,
    env: Any,
    slots: np.ndarray,
    capital_e6: int,
) -> None:
    """Put an environment at the start of episode ``e``; markets that open later wait."""
    open_account(env, capital_e6)
    env.active = 1
    env.episode = episodes.number[e]
    env.step = 0
    env.max_steps = episodes.max_steps[e]
    env.episode_return = 0.0
    env.now_ns = episodes.begin_ns[e]
    for s in range(slots.size):
        slot = slots[s]
        clear_position(slot)
        clear_order(slot)
        slot.settled = 0
        for a in range(N_ACTIONS):
            slot.action_counts[a] = 0
            slot.masked_counts[a] = 0
        number = episodes.segment[e, s]
        if number < 0:
            slot.state = EMPTY
            slot.market = -1
            continue
        segment = segments[number]
        start = episodes.start[e, s]
        slot.state = WAITING
        slot.market = segment.market
        slot.cursor = start - 1
        slot.stop = segment.stop
        slot.shift_ns = episodes.shift_ns[e, s]
        slot.settles = segment.settles
        slot.first_ns = rows[start].recv_ns
        if rows[start].recv_ns - slot.shift_ns <= env.now_ns:
            slot.cursor = start
            slot.state = LIVE
            update_mark(rows[start], slot)


@njit(cache=True)
def update_mark(row: Any, slot: Any) -> None:
    """Value the slot at the mid; else at the print; else at the last mark kept inside what is quoted."""
    bid, ask = row.bid_px_e4[0], row.ask_px_e4[0]
    if bid >= 0 and ask >= 0:
        slot.mark2_e4 = bid + ask
        return
    mark = slot.mark2_e4
    if row.print_px_e4 >= 0:
        mark = 2 * row.print_px_e4
    elif mark == 0:
        mark = 2 * bid if bid >= 0 else (2 * ask if ask >= 0 else 10_000)
    if bid >= 0:
        mark = max(mark, 2 * bid)
    if ask >= 0:
        mark = min(mark, 2 * ask)
    slot.mark2_e4 = mark


@njit(cache=True)
def _next_ns(rows: np.ndarray, slot: Any) -> int:
    """Environment time of the slot's next row; _FAR when it has none."""
    if slot.state not in (WAITING, LIVE) or slot.cursor + 1 >= slot.stop:
        return _FAR
    return rows[slot.cursor + 1].recv_ns - slot.shift_ns


@njit(cache=True)
def next_decision_ns(rows: np.ndarray, env: Any, slots: np.ndarray, interval_ns: int) -> int:
    """Time of the next event at least ``interval_ns`` ahead; the last event where none is that late."""
    target = env.now_ns + interval_ns
    soonest, latest = _FAR, -_FAR
    for s in range(slots.size):
        slot = slots[s]
        at = _next_ns(rows, slot)
        if at == _FAR:
            continue
        row = slot.cursor + 1
        while at < target and row + 1 < slot.stop:
            row += 1
            at = rows[row].recv_ns - slot.shift_ns
        latest = max(latest, at)
        if at >= target:
            soonest = min(soonest, at)
    return soonest if soonest < _FAR else latest


@njit(cache=True)
def advance_slot(
    rows: np.ndarray, market: Any, env: Any, slot: Any, until_ns: int, params: ExecutionParams
) -> None:
    """Apply the slot's rows up to ``until_ns`` and let its order meet them."""
    while slot.cursor + 1 < slot.stop:
        at = rows[slot.cursor + 1].recv_ns - slot.shift_ns
        if at > until_ns:
            break
        if slot.sent_action != HOLD and slot.arrival_ns < at:
            arrive(rows[slot.cursor], market, env, slot, params)
        slot.cursor += 1
        slot.state = LIVE
        on_row(rows[slot.cursor], market, env, slot, at, params)
        update_mark(rows[slot.cursor], slot)
    if slot.sent_action != HOLD and slot.arrival_ns <= until_ns:
        arrive(rows[slot.cursor], market, env, slot, params)
    expire(env, slot, until_ns)


@njit(cache=True)
def end_slots(
    rows: np.ndarray, markets: np.ndarray, env: Any, slots: np.ndarray, params: ExecutionParams
) -> tuple[bool, bool]:
    """Close, settle or end what has no further row. Returns (terminated, truncated).

    An outcome is paid at the market's closing time, or when nothing else can be traded: earlier it would
    tell the other slots what nobody knew yet.
    Terminated: nothing is left and the last to go settled. Truncated: the data of the last market ran out
    or the step budget is spent; its position stays open and is worth its mark.
    """
    more = False
    for s in range(slots.size):
        more |= _next_ns(rows, slots[s]) < _FAR
    any_open = False
    for s in range(slots.size):
        slot = slots[s]
        if slot.state == LIVE and _next_ns(rows, slot) == _FAR:
            if slot.settles:
                withdraw_all(env, slot)
                slot.state = CLOSED
            elif more:
                withdraw_all(env, slot)
                close_at_liquidation(rows[slot.cursor], markets[slot.market], env, slot, params)
                slot.state = ENDED
        if slot.state == CLOSED and (not more or env.now_ns + slot.shift_ns >= markets[slot.market].close_ns):
            settle(env, slot, markets[slot.market].settlement_e4)
            slot.settled = 1
            slot.state = ENDED
        any_open |= slot.state in (WAITING, LIVE)
    if not any_open:
        return True, False
    return False, (not more) or env.step >= env.max_steps


@njit(cache=True)
def liquidation_e6(row: Any, market: Any, slot: Any, params: ExecutionParams) -> tuple[int, int]:
    """(cash after fees, fees) of closing the slot's position at the best price of ``row`` as a taker."""
    if slot.position_e2 == 0:
        return 0, 0
    mark2 = liquidation_mark2_e4(slot.position_e2, slot.mark2_e4, row.bid_px_e4[0], row.ask_px_e4[0])
    value_e6 = position_value_e6(slot.position_e2, mark2)
    model_e6 = model_fee_e6(scaled_rate_e6(market, False, params), mark2 // 2, abs(slot.position_e2))
    change_e6, fee_e6, _ = apply_fill(value_e6, min(model_e6, value_e6), 0, params.unit_e6)
    return change_e6, fee_e6


@njit(cache=True)
def close_at_liquidation(row: Any, market: Any, env: Any, slot: Any, params: ExecutionParams) -> None:
    """End a position where its market's data end: at what closing it would bring."""
    change_e6, fee_e6 = liquidation_e6(row, market, slot, params)
    env.cash_e6 += change_e6
    slot.slot_cash_e6 += change_e6
    slot.fees_e6 += fee_e6
    slot.position_e2 = 0
    slot.cost_e6 = 0


@njit(cache=True)
def write_records(
    rows: np.ndarray,
    markets: np.ndarray,
    env: Any,
    slots: np.ndarray,
    params: ExecutionParams,
    out: EpisodeRecords,
    at: int,
) -> int:
    """Append one entry a used slot of the finished environment; returns the next free place."""
    for s in range(slots.size):
        slot = slots[s]
        if slot.state in (EMPTY, WAITING):
            continue
        row = rows[slot.cursor]
        closing_e6, closing_fee_e6 = liquidation_e6(row, markets[slot.market], slot, params)
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
        out.max_position_e2[at] = slot.max_position_e2
        for a in range(N_ACTIONS):
            out.action_counts[at, a] = slot.action_counts[a]
            out.masked_counts[at, a] = slot.masked_counts[a]
        out.settled[at] = slot.settled
        out.episode_return[at] = env.episode_return
        at += 1
    return at


@njit(cache=True)
def update_mask(
    rows: np.ndarray, markets: np.ndarray, env: Any, slots: np.ndarray, params: ExecutionParams
) -> None:
    """Which actions each slot may take now; HOLD always.

    Cash is shared: a slot may count on what is left if the slots before it spend the most they may, so that
    any choice of available actions can be paid for together.
    """
    budget_e6 = env.cash_e6 - env.reserved_e6
    for s in range(slots.size):
        slot = slots[s]
        highest_e6 = 0
        may_act = slot.state == LIVE and slot.sent_action == HOLD and slot.order_state != SEEKING
        slot.mask[HOLD] = 1
        for action in range(1, N_ACTIONS):
            slot.mask[action] = 0
            if may_act:
                row, market = rows[slot.cursor], markets[slot.market]
                _, qty, reserve_e6 = plan_order(row, market, slot, action, budget_e6, params)
                slot.mask[action] = 1 if qty > 0 else 0
                highest_e6 = max(highest_e6, reserve_e6)
        budget_e6 -= highest_e6


@njit(cache=True)
def write_observation(
    bank: BankArrays,
    env: Any,
    slots: np.ndarray,
    position_limit_e2: int,
    capital_e6: int,
    flat: np.ndarray,
    at_rows: np.ndarray,
) -> None:
    """Write the observation of one environment: ``flat`` (width,), ``at_rows`` (S,)."""
    n_slots = slots.size
    n_market = bank.features.shape[1]
    portfolio_at = n_slots * n_market
    mask_at = portfolio_at + n_slots * N_PORTFOLIO
    action_at = mask_at + n_slots
    for s in range(n_slots):
        slot = slots[s]
        for a in range(N_ACTIONS):
            flat[action_at + s * N_ACTIONS + a] = slot.mask[a]
        first, own = s * n_market, portfolio_at + s * N_PORTFOLIO
        if slot.state not in (LIVE, CLOSED):
            flat[first : first + n_market] = 0.0
            flat[own : own + N_PORTFOLIO] = 0.0
            flat[mask_at + s] = 0.0
            at_rows[s] = -1
            continue
        for f in range(n_market):
            flat[first + f] = bank.features[slot.cursor, f]
        stale_ns = env.now_ns - (bank.rows[slot.cursor].recv_ns - slot.shift_ns)
        write_portfolio(
            flat[own : own + N_PORTFOLIO], stale_ns, env, slot, env.now_ns, position_limit_e2, capital_e6
        )
        flat[mask_at + s] = 1.0
        at_rows[s] = slot.cursor


@njit(cache=True)
def first_refused(envs: np.ndarray, slots: np.ndarray, actions: np.ndarray) -> int:
    """Index of the first active environment given an action its mask forbids; OK if there is none."""
    for n in range(envs.size):
        if envs[n].active == 0:
            continue
        for s in range(slots.shape[1]):
            action = actions[n, s]
            if action < 0 or action >= N_ACTIONS or slots[n, s].mask[action] == 0:
                return n
    return OK


@njit(cache=True)
def send_actions(
    rows: np.ndarray,
    markets: np.ndarray,
    env: Any,
    slots: np.ndarray,
    actions: np.ndarray,
    params: ExecutionParams,
) -> None:
    """Send one action a slot, each available under the masks of the observation."""
    for s in range(slots.size):
        slot = slots[s]
        if slot.state != LIVE:
            continue
        slot.action_counts[actions[s]] += 1
        for a in range(N_ACTIONS):
            slot.masked_counts[a] += 1 - slot.mask[a]
        submit(rows[slot.cursor], markets[slot.market], env, slot, actions[s], env.now_ns, params)


@njit(cache=True)
def _restart(
    bank: BankArrays, episodes: Episodes, used: int, env: Any, slots: np.ndarray, capital_e6: int
) -> int:
    """The next waiting episode, or rest; returns the number of episodes used."""
    if used < episodes.number.size:
        begin_episode(bank.rows, bank.segments, episodes, used, env, slots, capital_e6)
        return used + 1
    env.active = 0
    for s in range(slots.size):
        slots[s].state = EMPTY
    return used


@njit(cache=True)
def reset_kernel(
    bank: BankArrays,
    episodes: Episodes,
    used: int,
    envs: np.ndarray,
    slots: np.ndarray,
    params: ExecutionParams,
    step: StepParams,
    flat: np.ndarray,
    at_rows: np.ndarray,
) -> int:
    """Start every environment on the next waiting episode; returns the number of episodes used."""
    for n in range(envs.size):
        used = _restart(bank, episodes, used, envs[n], slots[n], step.capital_e6)
        update_mask(bank.rows, bank.markets, envs[n], slots[n], params)
        write_observation(
            bank, envs[n], slots[n], params.position_limit_e2, step.capital_e6, flat[n], at_rows[n]
        )
    return used


@njit(cache=True)
def observe_kernel(
    bank: BankArrays,
    envs: np.ndarray,
    slots: np.ndarray,
    params: ExecutionParams,
    step: StepParams,
    flat: np.ndarray,
    at_rows: np.ndarray,
) -> None:
    """Write the present observation of every environment."""
    for n in range(envs.size):
        write_observation(
            bank, envs[n], slots[n], params.position_limit_e2, step.capital_e6, flat[n], at_rows[n]
        )


@njit(cache=True)
def step_kernel(
    bank: BankArrays,
    episodes: Episodes,
    used: int,
    envs: np.ndarray,
    slots: np.ndarray,
    params: ExecutionParams,
    step: StepParams,
    actions: np.ndarray,
    flat: np.ndarray,
    at_rows: np.ndarray,
    reward: np.ndarray,
    terminated: np.ndarray,
    truncated: np.ndarray,
    final_flat: np.ndarray,
    final_rows: np.ndarray,
    records: EpisodeRecords,
    n_records: int,
) -> tuple[int, int, int]:
    """Step all environments once; finished ones restart on the next waiting episode.

    ``actions`` (N, S); the outputs are written in place, the final observation of finished
    environments into ``final_*``. Returns (episodes used, records written, OK or the index of an
    environment given a masked action; then nothing has changed).
    """
    refused = first_refused(envs, slots, actions)
    if refused != OK:
        return used, n_records, refused
    rows, markets = bank.rows, bank.markets
    limit, capital = params.position_limit_e2, step.capital_e6
    for n in range(envs.size):
        env, its = envs[n], slots[n]
        reward[n] = 0.0
        terminated[n] = False
        truncated[n] = False
        if env.active == 0:
            continue
        send_actions(rows, markets, env, its, actions[n], params)
        exposure = positions_value_e6(its)
        until = next_decision_ns(rows, env, its, step.interval_ns)
        elapsed = until - env.now_ns
        env.now_ns = until
        for s in range(its.size):
            if its[s].state == WAITING or its[s].state == LIVE:
                advance_slot(rows, markets[its[s].market], env, its[s], until, params)
        env.step += 1
        ended, cut = end_slots(rows, markets, env, its, params)
        equity = env.cash_e6 + positions_value_e6(its)
        gained = step_reward(
            equity - env.equity_e6, exposure, elapsed, capital, step.holding_cost_per_day, step.reward_scale
        )
        env.equity_e6 = equity
        reward[n] = gained
        env.episode_return += gained
        terminated[n] = ended
        truncated[n] = cut
        update_mask(rows, markets, env, its, params)
        if ended or cut:
            write_observation(bank, env, its, limit, capital, final_flat[n], final_rows[n])
            n_records = write_records(rows, markets, env, its, params, records, n_records)
            used = _restart(bank, episodes, used, env, its, capital)
            update_mask(rows, markets, env, its, params)
        write_observation(bank, env, its, limit, capital, flat[n], at_rows[n])
    return used, n_records, OK
