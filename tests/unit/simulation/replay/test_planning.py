"""What an action would send: its limit, its size and its reserve, worked by hand."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made.replay_bank import bank_of, book, market, rows_of

from kalshi_platform.domain.actions import BUY_NO, BUY_YES, SELL_NO, SELL_YES
from kalshi_platform.domain.fees import CENT_PER_ORDER, MICRO
from kalshi_platform.domain.market import MarketSpec, PriceBand
from kalshi_platform.domain.market_history import constant_history
from kalshi_platform.simulation.replay.planning import (
    NO_FEE,
    ExecutionParams,
    full_fee,
    limit_price_e4,
    neighbour_price,
    plan_order,
    raises_position,
    rounding_of,
    scaled_rate_e6,
    wanted_qty_e2,
)
from kalshi_platform.simulation.replay.state import allocate
from kalshi_platform.simulation.replay.terms import TERMS_DTYPE, bands_of


@st.composite
def bands_and_price(draw):
    edges = sorted(draw(st.sets(st.integers(1, 99), min_size=0, max_size=3)))
    cuts = [0, *(100 * e for e in edges), 10_000]
    bands = tuple(
        PriceBand(start_e4=a, end_e4=b, step_e4=draw(st.sampled_from([10, 20, 50, 100])))
        for a, b in itertools.pairwise(cuts)
    )
    return bands, draw(st.integers(1, 9_999))


@given(bands_and_price())
def test_the_neighbour_price_is_the_nearest_valid_one_strictly_inside(drawn):
    bands, price = drawn
    spec = MarketSpec(ticker="M", event="E", price_ranges=bands)
    valid = [p for p in range(1, 10_000) if spec.on_grid(p)]
    table = np.zeros(1, TERMS_DTYPE)
    table["bands_e4"][0] = bands_of("M", constant_history(spec).known[0])
    above, below = [p for p in valid if p > price], [p for p in valid if p < price]
    for kernel in (neighbour_price, neighbour_price.py_func):
        assert kernel(table["bands_e4"][0], price, True) == (min(above) if above else price)
        assert kernel(table["bands_e4"][0], price, False) == (max(below) if below else price)


PARAMS = ExecutionParams(
    maker=False,
    latency_ns=0,
    order_ttl_ns=0,
    order_qty_e2=1_000,
    position_limit_e2=1_500,
    max_slippage_e4=200,
    improve_ticks=0,
    unknown_fill_e2=100,
    fee_scale_e6=1_000_000,
    unit_e6=100,
    fees_today=False,
    maker_queue=True,
)
KERNELS = pytest.mark.parametrize("of", [lambda k: k, lambda k: k.py_func], ids=["numba", "python"])


@KERNELS
@pytest.mark.parametrize(
    ("position_e2", "action", "qty_e2"),
    [
        (0, BUY_YES, 1_000), (1_000, BUY_YES, 500), (1_500, BUY_YES, 0), (-1, BUY_YES, 0),
        (0, BUY_NO, 1_000), (-1_000, BUY_NO, 500), (1, BUY_NO, 0),
        (0, SELL_YES, 0), (250, SELL_YES, 250), (1_500, SELL_YES, 1_000), (-250, SELL_YES, 0),
        (0, SELL_NO, 0), (-250, SELL_NO, 250), (250, SELL_NO, 0),
    ],
)  # fmt: skip
def test_buys_go_up_to_the_limit_and_sales_down_to_zero(of, position_e2, action, qty_e2):
    assert of(wanted_qty_e2)(position_e2, action, PARAMS) == qty_e2


@given(st.integers(-1_500, 1_500), st.sampled_from([BUY_YES, SELL_YES, BUY_NO, SELL_NO]))
def test_no_order_passes_the_limit_or_turns_a_position_over(position_e2, action):
    qty = wanted_qty_e2(position_e2, action, PARAMS)
    after = position_e2 + (qty if raises_position(action) else -qty)
    assert 0 <= qty <= 1_000
    assert abs(after) <= 1_500
    assert position_e2 * after >= 0


def places(bids, asks, **spec):
    """A row of the book and its terms as kernels see them."""
    arrays = bank_of(market(rows_of(book(0, bids, asks), book(1, bids, asks)), **spec)).arrays
    return arrays.rows[0], arrays.terms[0]


@pytest.mark.parametrize(
    ("bids", "asks", "action", "limit_e4"),
    [
        (((4_000, 1),), ((5_000, 1),), BUY_YES, 5_200),  # the ask and two cents
        (((4_000, 1),), ((5_000, 1),), BUY_NO, 3_800),
        (((4_000, 1),), ((9_900, 1),), SELL_NO, 9_999),  # never a dollar
        (((100, 1),), ((5_000, 1),), SELL_YES, 1),  # never nothing
        (((4_000, 1),), (), BUY_YES, -1),
        ((), ((5_000, 1),), BUY_NO, -1),
    ],
)
def test_a_taker_s_limit_is_the_other_side_and_its_slippage_worked_by_hand(bids, asks, action, limit_e4):
    assert limit_price_e4(*places(bids, asks), action, PARAMS) == limit_e4


def test_a_maker_rests_at_its_own_best_and_improves_by_ticks_short_of_crossing():
    maker = PARAMS._replace(maker=True)
    row, spec = places(((4_000, 1),), ((4_300, 1),))
    assert limit_price_e4(row, spec, BUY_YES, maker) == 4_000
    assert limit_price_e4(row, spec, BUY_NO, maker) == 4_300
    assert limit_price_e4(row, spec, BUY_YES, maker._replace(improve_ticks=2)) == 4_200
    assert limit_price_e4(row, spec, BUY_YES, maker._replace(improve_ticks=9)) == 4_200
    assert limit_price_e4(row, spec, BUY_NO, maker._replace(improve_ticks=9)) == 4_100
    assert limit_price_e4(*places((), ((4_300, 1),)), BUY_YES, maker) == -1


def test_an_order_reserves_its_cost_and_the_highest_fee_and_is_not_sent_beyond_the_budget():
    row, spec = places(((4_000, 1),), ((5_000, 1),))
    _, slots = allocate(1, 1)
    # 10 at 0.52: 5.20; fee 0.07 x 10 x 0.25 = 0.175; a balance unit of 0.0001
    fee, cost_e6 = full_fee(spec, NO_FEE, PARAMS), 5_200_000 + 175_000 + 100
    assert plan_order(row, spec, fee, slots[0, 0], BUY_YES, cost_e6, PARAMS) == (
        5_200,
        1_000,
        cost_e6,
    )
    assert plan_order(row, spec, fee, slots[0, 0], BUY_YES, cost_e6 - 1, PARAMS) == (0, 0, 0)
    # a NO bought against the bid of 0.40 at 0.38 costs 0.62
    no_e6 = 6_200_000 + 175_000 + 100
    assert plan_order(row, spec, fee, slots[0, 0], BUY_NO, no_e6, PARAMS) == (
        3_800,
        1_000,
        no_e6,
    )
    slots[0, 0].position_e2 = 300
    assert plan_order(row, spec, fee, slots[0, 0], SELL_YES, 0, PARAMS) == (
        3_800,
        300,
        0,
    )  # sales need no cash


def test_the_fee_ladder_scales_the_rate_of_takers_and_makers():
    _, spec = places((), (), fee_type="quadratic_with_maker_fees")
    for scale, taker, maker in ((1_000_000, 70_000, 17_500), (500_000, 35_000, 8_750), (0, 0, 0)):
        params = PARAMS._replace(fee_scale_e6=scale)
        assert (scaled_rate_e6(spec, False, params), scaled_rate_e6(spec, True, params)) == (taker, maker)


def test_the_setting_chooses_the_fees_of_the_time_or_those_of_today():
    terms = np.zeros(1, TERMS_DTYPE).view(np.recarray)[0]
    terms.taker_rate_e6, terms.maker_rate_e6, terms.rounding = 35_000, 0, CENT_PER_ORDER
    terms.today_taker_rate_e6, terms.today_maker_rate_e6 = 70_000, 17_500
    half = PARAMS._replace(fee_scale_e6=500_000)
    for today, taker, maker, rounding in ((False, 17_500, 0, CENT_PER_ORDER), (True, 35_000, 8_750, MICRO)):
        params = half._replace(fees_today=today)
        for rate in (scaled_rate_e6, scaled_rate_e6.py_func):
            assert (rate(terms, False, params), rate(terms, True, params)) == (taker, maker)
        assert rounding_of(terms, params) == rounding_of.py_func(terms, params) == rounding
