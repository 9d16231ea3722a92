"""Slots forced by the rules, with the figures worked by hand, and that a forced set never loses."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made.rules import NOTHING, group_of, words

from kalshi_platform.domain.actions import BUY_NO, HOLD
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.fees import model_fee_e6
from kalshi_platform.models.rules import trading_filter
from kalshi_platform.models.rules.trading_filter import FREE, REASONS, forced_slots, plan_client_orders, said
from kalshi_platform.simulation.replay.trading import TradingConfig


@pytest.fixture(params=[True, False], ids=["numba", "python"])
def ask(request, monkeypatch):
    """Demands and first words of the reasons for one group of slots."""
    if not request.param:
        for name in ("force_slots", "_force_set", "_role", "_doubt", "_adds_e6"):
            monkeypatch.setattr(trading_filter, name, getattr(trading_filter, name).py_func)

    def of(*slots, is_taker=True):
        forced, reasons = forced_slots(group_of(*slots), is_taker=is_taker)
        return forced[0].tolist(), words(reasons[0])

    return of


def held(*reasons):
    return [HOLD] * len(reasons), list(reasons)


def test_a_crossed_or_locked_book_is_held(ask):
    books = [(5_000, 4_900), (5_000, 5_000), (5_000, 5_100), (NOTHING, 100), (5_000, NOTHING)]
    slots = [{"bid": bid, "ask": ask_e4, "of": NOTHING} for bid, ask_e4 in books]
    assert ask(*slots) == ([HOLD, HOLD, FREE, FREE, FREE], ["crossed", "crossed", "", "", ""])


def test_no_is_bought_where_the_limits_pay_after_the_highest_fees_and_rounding(ask):
    # 10 contracts, limits .59 and .54: 5.9000 + 5.4000 = 11.3000
    # highest fees at .59 and .54: .7 x .59 x .41 = .169330, .7 x .54 x .46 = .173880; two units of .0001
    # 11.3000 - .169330 - .173880 - .000200 = 10.956590 > 10
    assert ask({"bid": 6_000}, {"bid": 5_500}) == ([BUY_NO, BUY_NO], ["riskless", "riskless"])


def test_a_gain_at_the_bids_that_the_slippage_eats_is_held(ask):
    # at the bids: 5.3 + 5.2 - .174370 - .174720 = 10.150910 > 10
    # at the limits .52 and .51: 5.2 + 5.1 - .174720 - .174930 - .000200 = 9.950150 < 10
    assert ask({"bid": 5_300}, {"bid": 5_200}) == held("costs", "costs")
    slots = [{"bid": 5_300, "limit": 5_300}, {"bid": 5_200, "limit": 5_200}]
    assert ask(*slots) == ([BUY_NO, BUY_NO], ["riskless", "riskless"])


def test_the_fee_is_the_highest_that_any_price_down_to_the_limit_pays(ask):
    leg = {"bid": 6_000, "limit": 4_000, "qty": 100, "unit": 0}
    # one contract from .60 down to .40, whose fee is highest at one half: .2664 x .25 = .066600, so each of
    # three legs adds .333400. At .2669 it is .066725 and they add .999825; at the ends it were .064056
    assert ask(*[leg | {"rate": 266_400}] * 3)[0] == [BUY_NO] * 3
    assert ask(*[leg | {"rate": 266_900}] * 3) == held("costs", "costs", "costs")


def test_each_leg_may_round_by_one_balance_unit(ask):
    # limits .5 + .5001, 1 contract, no fee: 1.000100 - 2 units of .00005 is a dollar, and pays nothing
    legs = [{"bid": 5_000, "limit": 5_000}, {"bid": 5_001, "limit": 5_001}]
    free_of_fees = {"rate": 0, "qty": 100}
    assert ask(*[leg | free_of_fees | {"unit": 50} for leg in legs]) == held("costs", "costs")
    assert ask(*[leg | free_of_fees | {"unit": 49} for leg in legs])[0] == [BUY_NO, BUY_NO]


def test_bids_of_exactly_a_dollar_are_no_apparent_gain(ask):
    assert ask({"bid": 5_000}, {"bid": 5_000}) == ([FREE, FREE], ["", ""])
    assert ask({"bid": 5_000}, {"bid": 5_001}) == held("costs", "costs")


def test_a_leg_with_less_on_display_than_the_order_is_none(ask):
    # ten contracts would fill in the first and a hundredth of one in the second
    assert ask({"bid": 6_000}, {"bid": 5_000, "size": 1}) == held("too small", "too small")
    assert ask({"bid": 6_000, "size": 999}, {"bid": 6_000})[0] == [HOLD, HOLD]
    assert ask({"bid": 6_000, "size": 1_000}, {"bid": 6_000})[0] == [BUY_NO, BUY_NO]
    assert ask({"bid": 6_000}, {"bid": 6_000, "size": -1}) == held("size unknown", "size unknown")


def test_a_leg_that_takes_no_order_protects_nobody(ask):
    assert ask({"bid": 6_000, "open": 0}, {"bid": 5_500}) == held("closed", "closed")
    assert ask({"bid": 6_000, "qty": 0}, {"bid": 5_500}) == held("closed", "closed")


def test_a_leg_that_is_silent_protects_nobody(ask):
    assert ask({"bid": 6_000}, {"bid": 5_500, "age_ms": 3 * 86_400_000}) == held("stale", "stale")
    assert ask({"bid": 6_000}, {"bid": 5_500, "age_ms": 2_000}) == held("stale", "stale")
    assert ask({"bid": 6_000}, {"bid": 5_500, "age_ms": 1_999})[0] == [BUY_NO, BUY_NO]
    assert ask({"bid": 6_000}, {"bid": 5_500, "age_ms": -1}) == held("age unknown", "age unknown")


def test_a_maker_sells_nothing_to_the_bids(ask):
    assert ask({"bid": 6_000}, {"bid": 5_500}, is_taker=False) == held("maker", "maker")


def test_orders_of_different_sizes_leave_a_part_unprotected(ask):
    assert ask({"bid": 6_000}, {"bid": 5_500, "qty": 300}) == held("sizes differ", "sizes differ")


def test_the_legs_that_pay_by_themselves_are_bought_and_the_rest_of_the_set_is_held(ask):
    slots = [{"bid": 6_000}, {"bid": 3_000, "open": 0}, {"bid": 5_500}, {"bid": NOTHING, "ask": 300}]
    slots += [{"bid": 4_000, "age_ms": 60_000}, {"bid": 7_000, "ask": 6_900}, {"bid": 9_000, "of": 3}]
    assert ask(*slots) == (
        [BUY_NO, HOLD, BUY_NO, HOLD, HOLD, HOLD, FREE],
        ["riskless", "closed", "riskless", "apart", "stale", "crossed", ""],
    )


def test_a_crossed_leg_is_none_and_holds_its_set(ask):
    assert ask({"bid": 6_000, "ask": 5_900}, {"bid": 5_500}) == held("crossed", "crossed")


def test_a_slot_that_nobody_bids_for_is_held_with_its_set(ask):
    assert ask({"bid": 6_000}, {"bid": NOTHING, "ask": 200}, {"bid": 5_500, "open": 0}) == held(
        "closed", "closed", "closed"
    )


def test_a_leg_that_adds_nothing_is_none(ask):
    # at 1 cent the limit is .0001: 10 x .0001 = .001, less a fee of .7 x .01 x .99 = .006930
    assert ask({"bid": 6_000}, {"bid": 5_500}, {"bid": 100}) == (
        [BUY_NO, BUY_NO, HOLD],
        ["riskless", "riskless", "costs"],
    )


def test_only_markets_of_one_set_count_together(ask):
    assert ask({"bid": 6_000, "of": 0}, {"bid": 6_000, "of": 1})[0] == [FREE, FREE]
    assert ask({"bid": 6_000, "of": NOTHING}, {"bid": 6_000, "of": NOTHING})[0] == [FREE, FREE]
    one, other = {"bid": 6_000, "of": 7}, {"bid": 6_000, "of": 2, "open": 0}
    assert ask(one, other, other, one)[0] == [BUY_NO, HOLD, HOLD, BUY_NO]


@st.composite
def sets(draw):
    """Slots of up to two sets with prices near the point where a set begins to pay."""
    number = draw(st.integers(2, 6))
    near = 10_000 // number
    qty = draw(st.sampled_from([1, 100, 1_000, 12_345]))
    return [
        {
            "bid": (bid := max(1, min(9_998, near + draw(st.integers(-200, 1_500))))),
            "limit": max(1, bid - draw(st.sampled_from([0, 1, 100, 300]))),
            "size": draw(st.sampled_from([qty, qty, qty, qty - 1, -1])),
            "age_ms": draw(st.sampled_from([0, 1_999, 1_999, 2_000])),
            "rate": draw(st.sampled_from([0, 35_000, 70_000, 140_000])),
            "unit": draw(st.sampled_from([100, 10_000])),
            "of": draw(st.sampled_from([0, 0, 0, 1])),
            "qty": draw(st.sampled_from([qty, qty, qty, qty, qty + 1])),
            "open": draw(st.sampled_from([1, 1, 1, 0])),
        }
        for _ in range(number)
    ]


@given(slots=sets(), data=st.data())
def test_a_forced_set_loses_under_no_outcome_when_filled_anywhere_down_to_its_limits(slots, data):
    forced, reasons = forced_slots(group_of(*slots), is_taker=True)
    assert ((forced == FREE) == (reasons == 0)).all()
    assert set(forced[0].tolist()) <= {FREE, HOLD, BUY_NO}
    for number in (0, 1):
        legs = [slot for s, slot in enumerate(slots) if forced[0, s] == BUY_NO and slot["of"] == number]
        prices = [data.draw(st.integers(leg["limit"], leg["bid"])) for leg in legs]
        paid_e6 = 0
        for leg, price_e4 in zip(legs, prices, strict=True):
            exact_e6 = (10_000 - price_e4) * leg["qty"] + model_fee_e6(leg["rate"], price_e4, leg["qty"])
            paid_e6 += -(-exact_e6 // leg["unit"]) * leg["unit"]  # the balance falls by whole units
        for loser in (None, *range(len(legs))):  # at most one market ends YES, and its NO pays nothing
            paid_out_e6 = sum(10_000 * leg["qty"] for k, leg in enumerate(legs) if k != loser)
            assert paid_out_e6 >= paid_e6
        if legs:
            assert len(legs) > 1
            assert all(leg["open"] and leg["size"] >= leg["qty"] and leg["age_ms"] < 2_000 for leg in legs)
            assert len({leg["qty"] for leg in legs}) == 1


def test_sets_that_pay_are_drawn_and_forced():
    slots = [{"bid": 3_900, "of": 1}, {"bid": 3_900, "of": 1}, {"bid": 3_900, "of": 1}]
    assert forced_slots(group_of(*slots), is_taker=True)[0].tolist() == [[BUY_NO] * 3]


@pytest.mark.parametrize("is_compiled", [True, False], ids=["numba", "python"])
def test_orders_of_a_client_are_planned_from_its_bids_and_positions(is_compiled):
    inputs = group_of({"bid": 6_000}, {"bid": 50}, {"bid": -1}, {"bid": 3_000})
    plan = plan_client_orders if is_compiled else plan_client_orders.py_func
    params = TradingConfig(order_qty_e2=300, position_limit_e2=500).execution
    inputs.limit_e4[:], inputs.qty_e2[:] = -1, 0
    plan(np.array([[0, -400, 0, 100]]), params, inputs)
    assert inputs.limit_e4[0].tolist() == [5_900, 1, -1, 2_900]
    assert inputs.qty_e2[0].tolist() == [300, 100, 0, 0]


def test_inputs_of_another_shape_or_type_are_refused():
    inputs = group_of({"bid": 1}, {"bid": 2})
    with pytest.raises(ContractError, match=r"ask_e4 is int32 \(1, 3\)"):
        forced_slots(inputs._replace(ask_e4=np.zeros((1, 3), np.int32)), is_taker=True)
    with pytest.raises(ContractError, match="age_ns is float64"):
        forced_slots(inputs._replace(age_ns=np.zeros((1, 2))), is_taker=True)


def test_only_reasons_that_were_given_are_said():
    assert said(["A", "B"], [0, 1, 0]) == {"B": REASONS[1]}
    assert len({sentence.split(":")[0] for sentence in REASONS}) == 12
