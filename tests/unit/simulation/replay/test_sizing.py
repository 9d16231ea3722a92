"""Sizing: a tapered buy shrinks with the room below the position limit, a sale never does."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made.replay_bank import DEEP, Script, bank_of, book, market, rows_of

from kalshi_platform.data.market_data.schema import NO
from kalshi_platform.domain.actions import BUY_NO, BUY_YES, SELL_NO, SELL_YES
from kalshi_platform.simulation.replay.sending import tapered_qty_e2
from kalshi_platform.simulation.replay.trading import TradingConfig

ASK = ((5_000, DEEP),)
KERNELS = pytest.mark.parametrize("kernel", [tapered_qty_e2, tapered_qty_e2.py_func], ids=["numba", "python"])


def params(order_qty_e2=1_000, position_limit_e2=5_000):
    return TradingConfig(order_qty_e2=order_qty_e2, position_limit_e2=position_limit_e2).execution


@KERNELS
@pytest.mark.parametrize(
    ("position_e2", "action", "qty_e2", "sized_e2"),
    [
        (0, BUY_YES, 1_000, 1_000),  # all of the limit is free
        (2_000, BUY_YES, 1_000, 600),  # 3,000 of 5,000 free: three fifths of ten contracts
        (-2_000, BUY_NO, 1_000, 600),
        (1_001, BUY_YES, 1_000, 799),  # 1,000 x 3,999 / 5,000 = 799.8
        (4_800, BUY_YES, 200, 100),  # a fifth of a contract: one at least
        (4_950, BUY_YES, 50, 50),  # but never through the limit
        (4_800, SELL_YES, 1_000, 1_000),  # a way out keeps its size
        (-4_800, SELL_NO, 1_000, 1_000),
    ],
)
def test_sizes_worked_by_hand(kernel, position_e2, action, qty_e2, sized_e2):
    assert kernel(position_e2, qty_e2, action, params()) == sized_e2


@given(st.integers(100, 5_000), st.integers(0, 5_000), st.integers(0, 5_000))
def test_a_fill_takes_no_more_from_the_size_than_it_filled(order_qty_e2, held_e2, filled_e2):
    of = tapered_qty_e2.py_func
    settings = params(order_qty_e2)
    placed = of(held_e2, min(order_qty_e2, 5_000 - held_e2), BUY_YES, settings)
    filled = min(filled_e2, placed)
    now_e2 = held_e2 + filled
    again = of(now_e2, min(order_qty_e2, 5_000 - now_e2), BUY_YES, settings)
    assert placed - filled <= again <= placed


def script(*books, **config):
    config = {"order_qty_e2": 1_000, "position_limit_e2": 2_000, "sizing": "taper", **config}
    return Script(bank_of(market(rows_of(*books))), **config)


def test_a_taker_buys_less_each_time_and_reserves_for_what_it_sends():
    s = script(*(book(10 * k, ((4_000, DEEP),), ASK) for k in range(8)), latency_ms=0)
    held = []
    for _ in range(4):
        s.step(BUY_YES)
        held.append(int(s.slot().position_e2))
    # 1,000 of 2,000; then half of it; then a quarter; then 125 of the 250 that are left
    assert held == [1_000, 1_500, 1_750, 1_875]
    assert s.env.reserved_e6 == 0


def test_a_resting_tapered_order_keeps_its_place_while_it_fills():
    books = [
        book(0, ((4_000, 100),), ASK),
        *(book(10 * k, ((4_000, 100),), ASK, (NO, 4_000, 137)) for k in range(1, 9)),
    ]
    s = script(*books, order_style="maker", order_ttl_ms=3_600_000)
    for _ in range(6):
        s.step(BUY_YES)
    assert s.slot().n_orders == 1
    assert 0 < int(s.slot().position_e2) < 1_000


def test_full_is_the_default_and_sends_what_it_sent():
    assert TradingConfig().sizing == "full"
    assert not TradingConfig().sending.tapers
    s = script(*(book(10 * k, ((4_000, DEEP),), ASK) for k in range(6)), latency_ms=0, sizing="full")
    s.step(BUY_YES)
    s.step(BUY_YES)
    assert int(s.slot().position_e2) == 2_000
    assert np.all(s.slot().mask[[BUY_YES, BUY_NO]] == 0)
