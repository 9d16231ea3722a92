"""Shared cash: enough for all is enough for each; where it is scarce the turns favour no slot."""

import numpy as np
import pytest
from made.replay_bank import Script, bank_of, market, quiet, random_actions, random_bank, training_env

from kalshi_platform.domain.actions import BUY_NO, BUY_YES
from kalshi_platform.simulation.replay.observation import draw_turns, share_cash, update_mask
from kalshi_platform.simulation.replay.planning import NO_FEE, full_fee, plan_order
from kalshi_platform.simulation.replay.state import LIVE, allocate


def five_equal_markets(capital_e6, n=400, **config):
    markets = [market(quiet(n), f"M{k}", f"E{k}") for k in range(5)]
    config = {"order_qty_e2": 1_000, "fee_scale_e6": 0, "max_slippage_e4": 0, **config}
    return Script(bank_of(*markets), range(5), capital_e6=capital_e6, **config)


def may_buy(s):
    return np.array([s.mask(k)[BUY_YES] for k in range(5)])


def test_where_the_cash_pays_all_every_slot_may_use_it():
    # BUY_NO at 60 cents is the dearest action: 5 x 10 contracts x 60 cents = 30 dollars, and 5 millionths
    for capital_e6, due in ((30_000_005, [1] * 5), (30_000_004, None)):
        s = five_equal_markets(capital_e6, n=3)
        buys_no = [s.mask(k)[BUY_NO] for k in range(5)]
        assert (buys_no == due) if due else (sum(buys_no) == 4)


def test_no_slot_is_favoured_where_the_cash_pays_one_order():
    s, may = five_equal_markets(5_100_000), np.zeros(5, int)  # an order of YES costs 5 dollars, of NO 6
    for _ in range(398):
        assert may_buy(s).sum() == 1
        may += may_buy(s)
        s.step(0, 0, 0, 0, 0)
    assert (np.abs(may - 398 / 5) < 4 * np.sqrt(398 * 0.2 * 0.8)).all(), may


@pytest.mark.parametrize("held", [(0, 1), (0, 1, 2), (1, 4)])
def test_no_slot_is_favoured_beside_empty_slots(held):
    slots, n = allocate(1, 5)[1], 20_000
    first = np.zeros(5, int)
    for k in range(n):
        draw_turns(slots, 0, 1_700_000_000_000_000_000 + k * 30_000_000_000)
        turns = slots["turn"][0].tolist()
        assert sorted(turns) == [0, 1, 2, 3, 4]
        first[next(t for t in turns if t in held)] += 1
    share = 1 / len(held)
    assert (np.abs(first[list(held)] - n * share) < 4 * np.sqrt(n * share * (1 - share))).all(), first


def test_the_turns_are_drawn_from_the_time_and_the_same_in_plain_python():
    one, other = allocate(1, 5)[1], allocate(1, 5)[1]
    seen = set()
    for now_ns in range(0, 10**12, 10**9):
        draw_turns(one, 0, now_ns)
        draw_turns.py_func(other, 0, now_ns)
        assert one.tobytes() == other.tobytes()
        seen.add(tuple(one["turn"][0].tolist()))
    assert len(seen) == 120


def due_mask(env, n, params):
    """Masks (S, 5) of environment n by the rule in words, in the order of its turns."""
    arrays, account, slots = env.bank.arrays, env.envs[n], env.slots
    budget = int(account.cash_e6 - account.reserved_e6)
    plans = []
    for s in range(env.n_slots):
        slot = slots[n, s]
        row, terms = arrays.rows[slot.cursor], arrays.terms[slot.terms]
        fee = full_fee.py_func(terms, NO_FEE, params)
        plans.append([plan_order.py_func(row, terms, fee, slot, a, 1 << 60, params)[1:] for a in range(1, 5)])
    is_open = slots["mask"][n, :, 1:].any(1)
    most = [
        max((r for q, r in plans[s] if q and r <= budget), default=0) * bool(is_open[s])
        for s in range(env.n_slots)
    ]
    turns = range(env.n_slots) if sum(most) <= budget else slots["turn"][n].tolist()
    due = np.zeros((env.n_slots, 5), int)
    due[:, 0] = 1
    left = budget
    for s in turns:
        paid = [r for q, r in plans[s] if q and r <= left]
        due[s, 1:] = [q > 0 and r <= left for q, r in plans[s]]
        left -= max(paid, default=0) if is_open[s] else 0
    return due, is_open, sum(most) > budget


@pytest.mark.parametrize("style", ["taker", "maker"])
def test_masks_are_those_of_the_rule_in_words(style):
    rng, bank, scarce = np.random.default_rng(3), random_bank(7, n_events=4, per_event=3), 0
    env = training_env(bank, 6, order_style=style, capital_e6=14_000_000, order_ttl_ms=2_000)
    flat, rows = env.buffers()
    out = np.zeros(6, np.float32), np.zeros(6, bool), np.zeros(6, bool)
    env.reset(flat, rows)
    for _ in range(150):
        env.step(random_actions(rng, env.layout.action_mask(flat)), flat, rows, *out)
        for n in range(6):
            due, is_open, is_scarce = due_mask(env, n, env.config.execution)
            live = is_open & (env.slots["order_state"][n] == 0) & (env.slots["state"][n] == LIVE)
            np.testing.assert_array_equal(env.slots["mask"][n][live], due[live])
            scarce += is_scarce
    assert scarce > 50


def test_plain_python_shares_the_cash_as_the_kernel_does():
    s = five_equal_markets(11_100_000)
    arrays, env, params = s.vector.bank.arrays, s.vector.envs[0], s.vector.config.execution
    other = s.vector.slots.copy().view(np.recarray)
    for k in range(20):
        env.now_ns += k
        update_mask(arrays.rows, arrays.terms, env, s.vector.slots, 0, params)
        for kernel in (update_mask, share_cash):
            kernel.py_func(arrays.rows, arrays.terms, env, other, 0, params)
            np.testing.assert_array_equal(s.vector.slots["mask"], other["mask"])
