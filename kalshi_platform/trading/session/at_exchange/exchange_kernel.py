"""Kernel that says what actions mean to an exchange: the environment's own planning and sending of orders.

The same action keeps the resting order, HOLD leaves or cancels it, sizes and limits are those of training:
``simulation/replay/sending.py: submit`` decides all of it. Nothing here fills anything.
"""

from typing import Final

import numpy as np

from kalshi_platform.domain.actions import HOLD, N_ACTIONS
from kalshi_platform.domain.compiled import kernel
from kalshi_platform.simulation.replay.bank import BankArrays
from kalshi_platform.simulation.replay.execution import CANCEL, IDLE
from kalshi_platform.simulation.replay.observation import update_mask
from kalshi_platform.simulation.replay.planning import ExecutionParams
from kalshi_platform.simulation.replay.sending import SendParams, submit
from kalshi_platform.simulation.replay.state import LIVE
from kalshi_platform.simulation.replay.terms import terms_place
from kalshi_platform.trading.session.restraint import LEAVE

#: What a slot's action asks for: nothing, keep the order, cancel it, or a new order in its place.
NOTHING, KEEP, END, NEW = range(4)
PLAN_DTYPE: Final = np.dtype([("what", "u1"), ("action", "u1"), ("price_e4", "i8"), ("qty_e2", "i8")])


@kernel
def plan_actions(
    bank: BankArrays,
    envs: np.ndarray,
    slots: np.ndarray,
    now_ns: int,
    actions: np.ndarray,
    params: ExecutionParams,
    sending: SendParams,
    plans: np.ndarray,
) -> int:
    """Write into ``plans`` (S,) PLAN_DTYPE what ``actions`` (S,) i1 ask for; returns how many are forbidden.

    ``envs`` (1,), ``slots`` (1, S): the account as it is shown. Forbidden actions become HOLD in place, and
    the codes of restraint.py are taken as ``paper_kernel.py: send_allowed`` takes them. The new orders are
    taken back from the records: these show what the exchange knows, and it knows nothing yet.
    """
    env = envs[0]
    env.now_ns = now_ns
    update_mask(bank.rows, bank.terms, env, slots, 0, params)
    cash, forbidden = env.reserved_e6, 0
    for s in range(slots.shape[1]):
        slot, plan = slots[0, s], plans[s]
        plan.what = NOTHING
        if actions[s] == LEAVE:
            continue
        if slot.state != LIVE:
            actions[s] = HOLD
            continue
        if actions[s] == CANCEL:
            if slot.order_state == IDLE or slot.sent_action != HOLD:
                actions[s] = LEAVE
            else:
                plan.what = END
            continue
        if actions[s] < 0 or actions[s] >= N_ACTIONS or slot.mask[actions[s]] == 0:
            actions[s] = HOLD
            forbidden += 1
        before = slot.sent_action
        if before != HOLD:
            continue  # something is on its way: the mask allows HOLD only
        place = terms_place(bank.terms, slot, now_ns)
        slot.expiry_ns = 0
        submit(bank.rows[slot.cursor], bank.terms[place], env, slot, actions[s], now_ns, params, sending)
        if slot.sent_action == CANCEL:
            plan.what = END
        elif slot.sent_action != HOLD:
            plan.what = NEW
            plan.action = slot.sent_action
            plan.price_e4 = slot.sent_price_e4
            plan.qty_e2 = slot.sent_qty_e2
        elif slot.expiry_ns != 0:
            plan.what = KEEP
        slot.sent_action = HOLD
    env.reserved_e6 = cash
    return forbidden
