"""What the rules demand, with the sums worked by hand in 1e-6 dollar."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshi_platform.domain.actions import BUY_NO, HOLD, N_ACTIONS
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.fees import TAKER_RATE_E6
from kalshi_platform.serving.inference import rules
from kalshi_platform.serving.inference.batch import FREE

NONE = -1


@pytest.fixture(params=[rules.force_actions, rules.force_actions.py_func], ids=["numba", "python"])
def forced(request, monkeypatch):
    """One group's demanded actions; masked: slots whose BUY_NO is not available."""
    monkeypatch.setattr(rules, "force_actions", request.param)

    def of(bids, asks, sets, rate_e6=TAKER_RATE_E6, masked=()):
        mask = np.ones((1, len(bids), N_ACTIONS), np.float32)
        mask[0, list(masked), BUY_NO] = 0
        rates = np.full((1, len(bids)), rate_e6)
        return rules.forced_actions(np.array([bids]), np.array([asks]), np.array([sets]), rates, mask)[
            0
        ].tolist()

    return of


def test_a_crossed_or_locked_book_is_held(forced):
    bids, asks = [5_000, 5_000, 5_000, NONE, 5_000], [4_900, 5_000, 5_100, 100, NONE]
    assert forced(bids, asks, [NONE] * 5) == [HOLD, HOLD, FREE, FREE, FREE]


def test_no_is_bought_in_every_leg_where_the_bids_pay_for_certain(forced):
    # fees a contract: 0.07 x .40 x .60 = .016800, 0.07 x .35 x .65 = .015925, 0.07 x .30 x .70 = .014700
    # .400000 + .350000 + .300000 - .016800 - .015925 - .014700 = 1.002575 > 1
    asks = [4_100, 3_600, 3_100]
    assert forced([4_000, 3_500, 3_000], asks, [0, 0, 0]) == [BUY_NO, BUY_NO, BUY_NO]
    # one cent less in the last leg: 0.07 x .29 x .71 = .014413; the sum is 0.992862
    assert forced([4_000, 3_500, 2_900], asks, [0, 0, 0]) == [FREE, FREE, FREE]


def test_a_sum_of_exactly_one_dollar_pays_nothing(forced):
    assert forced([5_000, 5_000], [5_100, 5_100], [0, 0], rate_e6=0) == [FREE, FREE]
    assert forced([5_000, 5_001], [5_100, 5_100], [0, 0], rate_e6=0) == [BUY_NO, BUY_NO]


def test_fees_are_rounded_up_before_they_are_taken_off(forced):
    # at a rate of 1e-6 the fee of .50 is .00000025, rounded up to .000001
    # .500000 - .000001 + .500100 - .000001 = 1.000098 > 1
    assert forced([5_000, 5_001], [5_100, 5_100], [0, 0], rate_e6=1) == [BUY_NO, BUY_NO]
    # two legs of .5000: 1.000000 - .000002 < 1
    assert forced([5_000, 5_000], [5_100, 5_100], [0, 0], rate_e6=1) == [FREE, FREE]


def test_only_markets_of_one_set_count_together(forced):
    assert forced([6_000, 6_000], [6_100, 6_100], [0, 1]) == [FREE, FREE]
    assert forced([6_000, 6_000], [6_100, 6_100], [NONE, NONE]) == [FREE, FREE]
    assert forced([6_000, 6_000, 9_000], [6_100, 6_100, 9_100], [2, 2, NONE]) == [BUY_NO, BUY_NO, FREE]


def test_a_leg_that_cannot_be_traded_protects_nobody(forced):
    # without the masked leg .40 + .35 less fees are far below a dollar
    assert forced([4_000, 3_500, 3_000], [4_100, 3_600, 3_100], [0, 0, 0], masked=[2]) == [FREE, FREE, FREE]
    # the other two pay without it
    assert forced([6_000, 5_500, 3_000], [6_100, 5_600, 3_100], [0, 0, 0], masked=[2]) == [
        BUY_NO,
        BUY_NO,
        FREE,
    ]


def test_a_crossed_leg_is_held_and_counts_for_nothing(forced):
    assert forced([6_000, 6_000], [5_900, 6_100], [0, 0]) == [HOLD, FREE]


def test_a_leg_whose_fee_eats_its_bid_is_left_alone(forced):
    # at 1 cent and a rate of 1.5 the fee is 1.5 x .01 x .99 = .014850 > .010000
    assert forced([9_999, 9_999, 100], [NONE] * 3, [0, 0, 0], rate_e6=1_500_000) == [BUY_NO, BUY_NO, FREE]


@given(data=st.data(), n=st.integers(1, 3), s=st.integers(1, 6))
def test_a_forced_purchase_never_loses(data, n, s):
    draw = lambda low, high: np.array(  # noqa: E731
        data.draw(st.lists(st.lists(st.integers(low, high), min_size=s, max_size=s), min_size=n, max_size=n))
    )
    bids, asks, sets = draw(-1, 10_000), draw(-1, 10_000), draw(-1, 2)
    rates, mask = draw(0, 140_000), draw(0, 31)[..., None] >> np.arange(N_ACTIONS) & 1
    got = rules.forced_actions(bids, asks, sets, rates, mask)
    assert ((got == FREE) | (mask[np.arange(n)[:, None], np.arange(s), got] > 0) | (got == HOLD)).all()
    for g in range(n):
        for number in {int(k) for k in sets[g] if k >= 0}:
            legs = np.flatnonzero((got[g] == BUY_NO) & (sets[g] == number))
            cost_e6 = sum(
                1_000_000 - 100 * int(bids[g, k]) + rules.model_fee_e6(int(rates[g, k]), int(bids[g, k]), 100)
                for k in legs
            )
            assert not legs.size or cost_e6 < (legs.size - 1) * 1_000_000


def test_arrays_of_different_shapes_are_refused():
    two, three = np.zeros((1, 2), int), np.zeros((1, 3), int)
    with pytest.raises(ContractError, match="one value a slot"):
        rules.forced_actions(two, three, two, two, np.zeros((1, 2, N_ACTIONS)))
