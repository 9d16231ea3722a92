"""One numba call steps every environment: rows, orders, account, reward, observation.

Owns       the clock and cursor of each slot, and the automatic restart of finished environments. The masks
           and the observation are written by simulation/replay/observation.py.
Invariant  a slot's cursor only moves forward and never leaves its segment, so that the kernel never reads
           anything later than the environment's clock. It reads an outcome once, after the market has closed.
Order      at each row: orders that arrived before it meet the book as it was, then the row is applied.
Records    envs (N,): ENV_DTYPE, slots (N, S): SLOT_DTYPE (simulation/replay/state.py), env and slot: one of
           each; bank: simulation/replay/bank.py. Kernels pass an environment as its number ``n``: a slice of
           an array costs a reference count, which kernels refuse (domain/compiled.py).
"""

from typing import Any, Final

import numpy as np

from kalshi_platform.domain.actions import HOLD, N_ACTIONS
from kalshi_platform.domain.compiled import inline_kernel, kernel
from kalshi_platform.domain.prefetch import prefetch
from kalshi_platform.simulation.envs.ends import FAR_NS, end_slots, next_row_ns, write_records
from kalshi_platform.simulation.envs.records import EpisodeRecords
from kalshi_platform.simulation.envs.rewards import step_reward
from kalshi_platform.simulation.envs.state import Episodes, StepParams
from kalshi_platform.simulation.replay.account import (
    clear_position,
    open_account,
    position_value_e6,
    positions_value_e6,
    update_mark,
)
from kalshi_platform.simulation.replay.bank import ROW_CROSSED, BankArrays
from kalshi_platform.simulation.replay.execution import (
    arrive,
    clear_order,
    expire,
    is_at_work,
    on_row,
)
from kalshi_platform.simulation.replay.observation import update_mask, write_observation
from kalshi_platform.simulation.replay.planning import ExecutionParams
from kalshi_platform.simulation.replay.sending import SendParams, submit
from kalshi_platform.simulation.replay.state import EMPTY, LIVE, WAITING
from kalshi_platform.simulation.replay.terms import terms_place

#: Status of a step: fine, or the index of the environment whose action its mask forbids.
OK: Final = -1
#: How many environments ahead rows are requested: their wait was a quarter of a step.
_AHEAD: Final = 3


@inline_kernel
def take_terms(row: Any, slot: Any) -> None:
    """Put the terms that are in force at ``row`` in force for the slot.

    The slot keeps their place: to find it through the row made every mask wait for the row.
    """
    place = slot.terms_at + row.terms
    if place != slot.terms:
        slot.terms = place


@kernel
def begin_episode(
    rows: np.ndarray,
    markets: np.ndarray,
    segments: np.ndarray,
    episodes: Episodes,
    e: int,
    envs: np.ndarray,
    slots: np.ndarray,
    n: int,
    capital_e6: int,
) -> None:
    """Put environment ``n`` at the start of episode ``e``; markets that open later wait."""
    env = envs[n]
    open_account(env, capital_e6)
    env.active = 1
    env.episode = episodes.number[e]
    env.step = 0
    env.max_steps = episodes.max_steps[e]
    env.episode_return = 0.0
    env.now_ns = episodes.begin_ns[e]
    for s in range(slots.shape[1]):
        slot = slots[n, s]
        clear_position(slot)
        slot.equity_e6 = 0
        slot.exposure_e6 = 0
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
        slot.end_ns = segment.end_ns
        slot.news_ns = segment.news_ns
        slot.terms_at = slot.terms = markets[segment.market].terms_at
        slot.shift_ns = episodes.shift_ns[e, s]
        slot.settles = segment.settles
        slot.first_ns = rows[start].recv_ns
        if rows[start].recv_ns - slot.shift_ns <= env.now_ns:
            slot.cursor = start
            slot.state = LIVE
            take_terms(rows[start], slot)
            update_mark(rows[start], slot)


@kernel
def next_decision_ns(rows: np.ndarray, now_ns: int, slots: np.ndarray, n: int, interval_ns: int) -> int:
    """Time of the next row at least ``interval_ns`` ahead that calls for a decision; else of the last row.

    A row with a crossed book calls for none, here as in a live session (``serving/live/group.py``).
    """
    target = now_ns + interval_ns
    soonest, latest = FAR_NS, -FAR_NS
    for s in range(slots.shape[1]):
        slot = slots[n, s]
        at = next_row_ns(rows, slot)
        if at == FAR_NS:
            continue
        row = slot.cursor + 1
        while (at < target or rows[row].state & ROW_CROSSED != 0) and row + 1 < slot.stop:
            row += 1
            at = rows[row].recv_ns - slot.shift_ns
        latest = max(latest, at)
        if at >= target:
            soonest = min(soonest, at)
    return soonest if soonest < FAR_NS else latest


@kernel
def meet_arrival(
    rows: np.ndarray, market: Any, all_terms: np.ndarray, env: Any, slot: Any, params: ExecutionParams
) -> None:
    """Let the slot's order in flight arrive at the book it stands at, under the fees of that time."""
    row = rows[slot.cursor]
    place = terms_place(all_terms, slot, slot.arrival_ns + slot.shift_ns)
    arrive(row, market, all_terms[place], env, slot, params)


@kernel
def move_on(rows: np.ndarray, slot: Any, until_ns: int) -> None:
    """Let a slot without any order stand at its last row up to ``until_ns``; as :func:`advance_slot` does.

    Most slots have none, and the code of orders is large: beside it this loop took four times as long.
    """
    while slot.cursor + 1 < slot.stop and rows[slot.cursor + 1].recv_ns - slot.shift_ns <= until_ns:
        slot.cursor += 1
        slot.state = LIVE
        row = rows[slot.cursor]
        take_terms(row, slot)
        update_mark(row, slot)


@kernel
def advance_slot(
    rows: np.ndarray,
    market: Any,
    all_terms: np.ndarray,
    env: Any,
    slot: Any,
    until_ns: int,
    params: ExecutionParams,
) -> None:
    """Apply the slot's rows up to ``until_ns``; each row meets the slot's order."""
    while slot.cursor + 1 < slot.stop:
        at = rows[slot.cursor + 1].recv_ns - slot.shift_ns
        if at > until_ns:
            break
        if slot.sent_action != HOLD and slot.arrival_ns < at:
            meet_arrival(rows, market, all_terms, env, slot, params)
        slot.cursor += 1
        slot.state = LIVE
        row = rows[slot.cursor]
        take_terms(row, slot)
        if is_at_work(slot):
            on_row(row, market, all_terms[slot.terms], env, slot, at, params)
        update_mark(row, slot)
    if slot.sent_action != HOLD and slot.arrival_ns <= until_ns:
        meet_arrival(rows, market, all_terms, env, slot, params)
    expire(env, slot, until_ns)


@kernel
def request_rows(rows: np.ndarray, features: np.ndarray, slots: np.ndarray, n: int) -> None:
    """Request from memory the rows that environment ``n`` stands at and the next ones."""
    for s in range(slots.shape[1]):
        slot = slots[n, s]
        if slot.state in (WAITING, LIVE):
            prefetch(rows, slot.cursor, 2)
            prefetch(features, slot.cursor, 2)


@kernel
def first_refused(envs: np.ndarray, slots: np.ndarray, actions: np.ndarray) -> int:
    """Index of the first active environment whose action its mask forbids; OK if there is none."""
    for n in range(envs.size):
        if envs[n].active == 0:
            continue
        for s in range(slots.shape[1]):
            action = actions[n, s]
            if action < 0 or action >= N_ACTIONS or slots[n, s].mask[action] == 0:
                return n
    return OK


@kernel
def send_actions(
    rows: np.ndarray,
    all_terms: np.ndarray,
    env: Any,
    slots: np.ndarray,
    n: int,
    actions: np.ndarray,
    params: ExecutionParams,
    sending: SendParams,
) -> None:
    """Send one action a slot for environment ``n``; the masks of its observation allow all of them."""
    for s in range(slots.shape[1]):
        slot = slots[n, s]
        if slot.state != LIVE:
            continue
        action = actions[n, s]
        slot.action_counts[action] += 1
        for a in range(N_ACTIONS):
            slot.masked_counts[a] += 1 - slot.mask[a]
        row = rows[slot.cursor]
        terms = all_terms[terms_place(all_terms, slot, env.now_ns + slot.shift_ns)]
        submit(row, terms, env, slot, action, env.now_ns, params, sending)


@kernel
def _restart(
    bank: BankArrays,
    episodes: Episodes,
    used: int,
    envs: np.ndarray,
    slots: np.ndarray,
    n: int,
    capital_e6: int,
) -> int:
    """Begin the next waiting episode in environment ``n``, or rest; returns the number of episodes used."""
    if used < episodes.number.size:
        begin_episode(bank.rows, bank.markets, bank.segments, episodes, used, envs, slots, n, capital_e6)
        return used + 1
    envs[n].active = 0
    for s in range(slots.shape[1]):
        slots[n, s].state = EMPTY
    return used


@kernel
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
        used = _restart(bank, episodes, used, envs, slots, n, step.capital_e6)
        update_mask(bank.rows, bank.terms, envs[n], slots, n, params)
    observe_kernel(bank, envs, slots, params, step, flat, at_rows)
    return used


@kernel
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
            bank.rows,
            bank.features,
            envs[n],
            slots,
            n,
            params.position_limit_e2,
            step.capital_e6,
            flat,
            at_rows,
        )


@kernel
def reward_slots(slots: np.ndarray, n: int, elapsed_ns: int, step: StepParams) -> float:
    """Reward each slot for the change of its own equity; returns the sum, the reward of the environment.

    Equity is additive over slots and so are their rewards; the trainer credits each decision with its own
    slot's.
    """
    total = 0.0
    for s in range(slots.shape[1]):
        slot = slots[n, s]
        value_e6 = position_value_e6(slot.position_e2, slot.mark2_e4)
        equity = slot.slot_cash_e6 + value_e6
        earned = step_reward(
            equity - slot.equity_e6,
            slot.exposure_e6,
            elapsed_ns,
            step.capital_e6,
            step.holding_cost_per_day,
            step.reward_scale,
        )
        slot.reward = earned
        slot.equity_e6 = equity
        slot.exposure_e6 = value_e6
        total += earned  # before it is rounded to the slot's 32 bits
    return total


@kernel
def step_kernel(
    bank: BankArrays,
    episodes: Episodes,
    used: int,
    envs: np.ndarray,
    slots: np.ndarray,
    params: ExecutionParams,
    sending: SendParams,
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

    ``actions`` (N, S). The kernel writes the outputs in place, and the last observation of finished
    environments into ``final_*``. Returns (episodes used, records written, status). The status is OK, or the
    index of an environment given a masked action; in that case nothing has changed.
    """
    refused = first_refused(envs, slots, actions)
    if refused != OK:
        return used, n_records, refused
    rows, markets = bank.rows, bank.markets  # a call with the whole bank costs as much as all its arrays
    features = bank.features
    limit, capital = params.position_limit_e2, step.capital_e6
    for n in range(envs.size):
        env = envs[n]
        if n + _AHEAD < envs.size:
            request_rows(rows, features, slots, n + _AHEAD)
        reward[n] = 0.0
        terminated[n] = False
        truncated[n] = False
        if env.active == 0:
            continue
        send_actions(rows, bank.terms, env, slots, n, actions, params, sending)
        until = next_decision_ns(rows, env.now_ns, slots, n, step.interval_ns)
        elapsed = until - env.now_ns
        env.now_ns = until
        env.elapsed_ns = elapsed
        for s in range(slots.shape[1]):
            slot = slots[n, s]
            if slot.state not in (WAITING, LIVE):
                continue
            if slot.sent_action == HOLD and not is_at_work(slot):
                move_on(rows, slot, until)
            else:
                advance_slot(rows, markets[slot.market], bank.terms, env, slot, until, params)
        env.step += 1
        ended, cut = end_slots(rows, markets, bank.terms, env, slots, n, params)
        gained = reward_slots(slots, n, elapsed, step)
        env.equity_e6 = env.cash_e6 + positions_value_e6(slots, n)
        reward[n] = gained
        env.episode_return += gained
        terminated[n] = ended
        truncated[n] = cut
        update_mask(rows, bank.terms, env, slots, n, params)
        if ended or cut:
            write_observation(rows, features, env, slots, n, limit, capital, final_flat, final_rows)
            n_records = write_records(rows, markets, bank.terms, env, slots, n, params, records, n_records)
            used = _restart(bank, episodes, used, envs, slots, n, capital)
            update_mask(rows, bank.terms, env, slots, n, params)
        write_observation(rows, features, env, slots, n, limit, capital, flat, at_rows)
    return used, n_records, OK
