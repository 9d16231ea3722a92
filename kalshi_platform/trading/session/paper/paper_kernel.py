"""Kernels of the paper account: the environment's own matcher, fed with rows as they come.

One matcher   every fill is made by ``simulation/envs/kernel.py: advance_slot``, the kernel that fills
              orders in training and evaluation. Nothing here decides whether or at what price an order fills.
Cut           the rows of a slot are handed to that kernel one at a time. An order that arrives before a row
              meets the book before it, so that cutting changes nothing, and each fill gets a line of its own.
Lost books    a row that is not valid ends the slot's orders: nobody can say what happened to them. The
              position stays, at its last mark, and trades on when the book is whole again.
Records       rows (S * K,) ROW_DTYPE, slot s owning s * K to (s + 1) * K - 1; lost (S * K,) u1, 1 = invalid;
              envs (1,), slots (1, S) (simulation/replay/state.py); fills (N,) FILL_DTYPE.
"""

from typing import Any, Final

import numpy as np

from kalshi_platform.data.features.rows import CROSSED, INVALID, Rows
from kalshi_platform.domain.actions import HOLD, N_ACTIONS
from kalshi_platform.domain.compiled import kernel
from kalshi_platform.serving.live.group import copy_row
from kalshi_platform.simulation.envs.kernel import advance_slot
from kalshi_platform.simulation.replay.account import position_value_e6, settle
from kalshi_platform.simulation.replay.bank import ROW_BURST_END, ROW_CROSSED, BankArrays
from kalshi_platform.simulation.replay.execution import (
    CANCEL,
    IDLE,
    RESTING,
    is_at_work,
    withdraw_all,
)
from kalshi_platform.simulation.replay.impact import ASK, BID, forget_impact, price_e4_of
from kalshi_platform.simulation.replay.observation import update_mask
from kalshi_platform.simulation.replay.planning import ExecutionParams, raises_position
from kalshi_platform.simulation.replay.queue import displayed_ahead_e2
from kalshi_platform.simulation.replay.sending import SendParams, delay_ns, submit
from kalshi_platform.simulation.replay.state import EMPTY, LIVE, WAITING
from kalshi_platform.simulation.replay.terms import terms_place
from kalshi_platform.trading.session.restraint import LEAVE

#: One execution of one order at one row: several levels that a taker walks at once are one line.
FILL_DTYPE: Final = np.dtype(
    [
        ("at_ns", "i8"),  # of the row or of the arrival
        ("order", "i8"),  # number of the order in its slot, from 1
        ("qty_e2", "i8"),
        ("turnover_e6", "i8"),  # price of the own outcome times size
        ("cash_e6", "i8"),  # change of cash, fees included
        ("fee_e6", "i8"),
        ("position_e2", "i8"),  # after it
        ("slot", "i4"),
        ("action", "u1"),
        ("maker", "u1"),
        ("settlement", "u1"),  # 1 = no fill: the market paid its outcome
    ],
    align=True,
)
#: Numbers of a slot's orders: the one that works, and the one in flight.
ORDER_NUMBERS: Final = np.dtype([("working", "i8"), ("sent", "i8")])
#: Lines that one row can add, and room that callers keep free for each row.
FILLS_A_ROW: Final = 3


@kernel
def keep_row(
    row: Rows, rows: np.ndarray, lost: np.ndarray, slots: np.ndarray, s: int, at: int, terms: int
) -> None:
    """Write ``row`` (length 1) into place ``at`` of the rows of slot ``s``, its last one from here on."""
    kept = rows[at]
    copy_row(row, kept)
    kept.terms = terms
    kept.state = ROW_BURST_END | (ROW_CROSSED if row.valid[0] == CROSSED else 0)
    lost[at] = 1 if row.valid[0] == INVALID else 0
    slots[0, s].stop = at + 1


@kernel
def _reached(row: Any, slot: Any) -> bool:
    """True where the opposite best has reached the price of the slot's order."""
    up = raises_position(slot.order_action)
    price = price_e4_of(row, ASK if up else BID, 0)
    return price >= 0 and (price <= slot.order_price_e4 if up else price >= slot.order_price_e4)


@kernel
def burst_matters(row: Any, market: Any, slot: Any) -> bool:
    """True where it may make a difference to the slot whether ``row`` is the last of its burst."""
    if slot.burst_filled_e2 != 0:
        return True
    if slot.order_state != RESTING:
        return False
    if row.print_px_e4 >= 0 or _reached(row, slot):
        return True
    up = raises_position(slot.order_action)
    return displayed_ahead_e2(row, market, slot.order_price_e4, up) < slot.queue_e2


@kernel
def _run(
    bank: BankArrays,
    envs: np.ndarray,
    slots: np.ndarray,
    s: int,
    until_ns: int,
    params: ExecutionParams,
    numbers: np.ndarray,
    fills: np.ndarray,
    n_fills: int,
) -> int:
    """Advance slot ``s`` to ``until_ns`` and write a line for what filled; returns the number of lines."""
    env, slot = envs[0], slots[0, s]
    cash, fees, traded = slot.slot_cash_e6, slot.fees_e6, slot.traded_e2
    turnover, count = slot.turnover_e6, slot.n_fills
    sent = slot.sent_action
    working = slot.order_action
    advance_slot(bank.rows, bank.markets[slot.market], bank.terms, env, slot, until_ns, params)
    if sent != HOLD and slot.sent_action == HOLD and sent != CANCEL:
        numbers[s].working = numbers[s].sent
        working = sent
    if slot.n_fills != count:
        line = fills[n_fills]
        line.at_ns = until_ns
        line.slot = s
        line.order = numbers[s].working
        line.action = working
        line.maker = 1 if params.maker else 0
        line.settlement = 0
        line.qty_e2 = slot.traded_e2 - traded
        line.turnover_e6 = slot.turnover_e6 - turnover
        line.cash_e6 = slot.slot_cash_e6 - cash
        line.fee_e6 = slot.fees_e6 - fees
        line.position_e2 = slot.position_e2
        return n_fills + 1
    return n_fills


@kernel
def _meet_arrival_before(
    bank: BankArrays,
    envs: np.ndarray,
    slots: np.ndarray,
    s: int,
    at_ns: int,
    params: ExecutionParams,
    numbers: np.ndarray,
    fills: np.ndarray,
    n_fills: int,
) -> int:
    """Let what slot ``s`` has in flight arrive where that is before ``at_ns``; returns the lines."""
    slot = slots[0, s]
    if slot.state != LIVE or slot.sent_action == HOLD or slot.arrival_ns >= at_ns:
        return n_fills
    stop = slot.stop
    slot.stop = slot.cursor + 1  # no row comes before it
    n_fills = _run(bank, envs, slots, s, slot.arrival_ns, params, numbers, fills, n_fills)
    slot.stop = stop
    return n_fills


@kernel
def lose_book(env: Any, slot: Any) -> None:
    """End the orders of a slot whose book is lost or whose market trades no more; its position stays."""
    withdraw_all(env, slot)
    forget_impact(slot)
    slot.burst_filled_e2 = 0
    slot.state = WAITING


@kernel
def advance_account(
    bank: BankArrays,
    lost: np.ndarray,
    envs: np.ndarray,
    slots: np.ndarray,
    now_ns: int,
    params: ExecutionParams,
    unsure: np.ndarray,
    numbers: np.ndarray,
    fills: np.ndarray,
    n_fills: int,
) -> int:
    """Bring the account to ``now_ns``: every slot meets the rows that it has not met; returns the lines.

    Then the masks are written: which actions each slot may take now.

    ``unsure`` (S,) u1 is written: 1 where the last row of the slot fills otherwise if a later message turns
    out to be of the same burst. The slots go one after the other, as in a step of the environment.
    """
    env = envs[0]
    env.now_ns = now_ns
    for s in range(slots.shape[1]):
        slot = slots[0, s]
        if slot.state == EMPTY:
            continue
        if slot.state == LIVE:
            slot.end_ns = bank.terms[terms_place(bank.terms, slot, now_ns)].close_ns
        while slot.cursor + 1 < slot.stop:
            row = bank.rows[slot.cursor + 1]
            at_ns = row.recv_ns
            n_fills = _meet_arrival_before(bank, envs, slots, s, at_ns, params, numbers, fills, n_fills)
            unsure[s] = 0
            if lost[slot.cursor + 1] != 0:
                slot.cursor += 1
                lose_book(env, slot)
                continue
            if slot.state == WAITING and slot.position_e2 == 0:
                slot.mark2_e4 = 0
            is_last = slot.cursor + 2 == slot.stop
            if is_last and is_at_work(slot) and burst_matters(row, bank.markets[slot.market], slot):
                unsure[s] = 1
            stop = slot.stop
            slot.stop = slot.cursor + 2
            n_fills = _run(bank, envs, slots, s, at_ns, params, numbers, fills, n_fills)
            slot.stop = stop
        if slot.state == LIVE:
            n_fills = _run(bank, envs, slots, s, now_ns, params, numbers, fills, n_fills)
    update_mask(bank.rows, bank.terms, env, slots, 0, params)
    return n_fills


@kernel
def send_allowed(
    bank: BankArrays,
    envs: np.ndarray,
    slots: np.ndarray,
    now_ns: int,
    actions: np.ndarray,
    params: ExecutionParams,
    sending: SendParams,
    numbers: np.ndarray,
    next_numbers: np.ndarray,
) -> int:
    """Send one action a slot where the mask allows it; returns how many were forbidden and became HOLD.

    ``actions`` (S,) i1 is corrected in place; ``next_numbers`` (S,) i8 counts the orders of each slot. The
    codes of restraint.py are taken too: CANCEL becomes LEAVE where no order works or something is under way.
    """
    env = envs[0]
    forbidden = 0
    for s in range(slots.shape[1]):
        slot = slots[0, s]
        if actions[s] == LEAVE:
            continue
        if slot.state != LIVE:
            actions[s] = HOLD
            continue
        if actions[s] == CANCEL:
            if slot.order_state == IDLE or slot.sent_action != HOLD:
                actions[s] = LEAVE
                continue
            slot.sent_action = CANCEL
            slot.arrival_ns = now_ns + delay_ns(env, slot, now_ns, params, sending)
            continue
        if actions[s] < 0 or actions[s] >= N_ACTIONS or slot.mask[actions[s]] == 0:
            actions[s] = HOLD
            forbidden += 1
        before = slot.n_orders
        place = terms_place(bank.terms, slot, now_ns)
        slot.action_counts[actions[s]] += 1
        submit(bank.rows[slot.cursor], bank.terms[place], env, slot, actions[s], now_ns, params, sending)
        if slot.n_orders != before:
            next_numbers[s] += 1
            numbers[s].sent = next_numbers[s]
    return forbidden


@kernel
def pay_outcome(
    envs: np.ndarray,
    slots: np.ndarray,
    s: int,
    settlement_e4: int,
    at_ns: int,
    fills: np.ndarray,
    n_fills: int,
) -> int:
    """Pay the position of slot ``s`` what its market settled at, and end the slot's orders."""
    env, slot = envs[0], slots[0, s]
    withdraw_all(env, slot)
    slot.state = EMPTY
    line = fills[n_fills]
    line.at_ns = at_ns
    line.slot = s
    line.order = 0
    line.action = HOLD
    line.maker = 0
    line.settlement = 1
    line.qty_e2 = slot.position_e2
    line.turnover_e6 = 0
    line.fee_e6 = 0
    line.position_e2 = 0
    cash = slot.slot_cash_e6
    settle(env, slot, settlement_e4)
    slot.settled = 1
    line.cash_e6 = slot.slot_cash_e6 - cash
    return n_fills + 1


@kernel
def equity_e6(envs: np.ndarray, slots: np.ndarray) -> int:
    """Cash and positions at their marks, 1e-6 dollar."""
    total = envs[0].cash_e6
    for s in range(slots.shape[1]):
        total += position_value_e6(slots[0, s].position_e2, slots[0, s].mark2_e4)
    return total
