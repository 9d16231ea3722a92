"""The account in exact integers: fills, values, settlement."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshi_platform.domain.actions import BUY_NO, BUY_YES, SELL_NO, SELL_YES
from kalshi_platform.simulation.replay import account
from kalshi_platform.simulation.replay.state import allocate


def fresh(capital_e6=1_000_000):
    envs, slots = allocate(1, 1)
    env, slot = envs[0], slots[0, 0]
    account.open_account(env, capital_e6)
    account.clear_position(slot)
    return env, slot


def fill(env, slot, action, price_e4, qty_e2, change_e6, fee_e6=0, now_ns=0, python=False):
    kernel = account.book_fill.py_func if python else account.book_fill
    kernel(env, slot, action, price_e4, qty_e2, change_e6, fee_e6, now_ns)


@pytest.mark.parametrize("python", [False, True])
def test_a_round_trip_leaves_cash_and_no_position(python):
    env, slot = fresh()
    fill(env, slot, BUY_NO, 6_000, 100, -400_000 - 16_800, 16_800, 5, python)  # 1 NO at 0.40, fee 0.0168
    assert (slot.position_e2, slot.cost_e6, slot.opened_ns) == (-100, 400_000, 5)
    fill(env, slot, SELL_NO, 5_500, 100, 450_000 - 17_400, 17_400, 9, python)
    assert (slot.position_e2, slot.cost_e6) == (0, 0)
    assert env.cash_e6 == 1_000_000 - 416_800 + 432_600
    assert slot.slot_cash_e6 == 432_600 - 416_800
    assert slot.fees_e6 == 34_200
    assert (slot.traded_e2, slot.turnover_e6) == (200, 850_000)
    assert (slot.n_fills, slot.max_position_e2) == (2, 100)


def test_the_holding_time_starts_when_the_position_leaves_zero():
    env, slot = fresh()
    fill(env, slot, BUY_YES, 5_000, 50, -250_000, now_ns=3)
    fill(env, slot, BUY_YES, 5_000, 50, -250_000, now_ns=7)
    assert slot.opened_ns == 3
    fill(env, slot, SELL_YES, 5_000, 100, 500_000, now_ns=8)
    fill(env, slot, BUY_NO, 5_000, 50, -250_000, now_ns=11)
    assert slot.opened_ns == 11


@pytest.mark.parametrize(
    ("position_e2", "mark2_e4", "value_e6"),
    [
        (300, 2 * 4_150, 1_245_000),  # 3 YES at 0.415
        (-300, 2 * 4_150, 1_755_000),  # 3 NO at 0.585
        (1, 8_301, 4_150),  # half of 8_301 is 4_150.5: floored
        (-1, 8_301, 5_849),
        (0, 8_301, 0),
    ],
)
def test_a_position_is_worth_its_own_side_of_the_mark(position_e2, mark2_e4, value_e6):
    for kernel in (account.position_value_e6, account.position_value_e6.py_func):
        assert kernel(position_e2, mark2_e4) == value_e6


@given(st.integers(-10_000, 10_000), st.integers(0, 10_000))
def test_yes_and_no_of_one_market_are_together_worth_a_dollar_a_contract(qty_e2, price_e4):
    together = account.position_value_e6(qty_e2, 2 * price_e4) + account.position_value_e6(
        -qty_e2, 2 * price_e4
    )
    assert together == abs(qty_e2) * 10_000


@pytest.mark.parametrize(
    ("position_e2", "settlement_e4", "paid_e6"),
    [(250, 10_000, 2_500_000), (250, 0, 0), (-250, 10_000, 0), (-250, 0, 2_500_000), (250, 3_300, 825_000)],
)
def test_settlement_pays_winners_a_dollar_and_scalars_their_value(position_e2, settlement_e4, paid_e6):
    env, slot = fresh()
    slot.position_e2, slot.cost_e6 = position_e2, 1
    account.settle(env, slot, settlement_e4)
    assert env.cash_e6 == 1_000_000 + paid_e6
    assert (slot.slot_cash_e6, slot.position_e2, slot.cost_e6, slot.fees_e6) == (paid_e6, 0, 0, 0)


def test_values_of_several_slots_add_up():
    _, slots = allocate(1, 3)
    slots[0]["position_e2"] = 100, -100, 0
    slots[0]["mark2_e4"] = 8_000, 8_000, 5_000
    assert account.positions_value_e6(slots, 0) == 400_000 + 600_000
    assert account.positions_value_e6.py_func(slots.view(np.recarray), 0) == 1_000_000
