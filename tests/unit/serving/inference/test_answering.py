"""Slots decided by rules and by logits, with the figures worked by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshi_platform.domain.actions import BUY_NO, BUY_YES, HOLD, N_ACTIONS
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.fees import TAKER_RATE_E6, model_fee_e6
from kalshi_platform.serving.inference import answering
from kalshi_platform.serving.inference.answering import all_finite, answer, answer_by_rules, still_unsure
from kalshi_platform.serving.inference.batch import FREE, Tier, holding

#: No price, or no set.
NONE = -1


@pytest.fixture(params=[answering.force_actions, answering.force_actions.py_func], ids=["numba", "python"])
def forced(request, monkeypatch):
    """One group's demanded actions; masked: slots whose BUY_NO is not available."""
    monkeypatch.setattr(answering, "force_actions", request.param)

    def of(bids, asks, sets, rate_e6=TAKER_RATE_E6, masked=()):
        mask = np.ones((1, len(bids), N_ACTIONS), np.float32)
        mask[0, list(masked), BUY_NO] = 0
        rates = np.full((1, len(bids)), rate_e6)
        return answering.forced_actions(np.array([bids]), np.array([asks]), np.array([sets]), rates, mask)[
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
    got = answering.forced_actions(bids, asks, sets, rates, mask)
    assert ((got == FREE) | (mask[np.arange(n)[:, None], np.arange(s), got] > 0) | (got == HOLD)).all()
    for g in range(n):
        for number in {int(k) for k in sets[g] if k >= 0}:
            legs = np.flatnonzero((got[g] == BUY_NO) & (sets[g] == number))
            cost_e6 = sum(
                1_000_000 - 100 * int(bids[g, k]) + model_fee_e6(int(rates[g, k]), int(bids[g, k]), 100)
                for k in legs
            )
            assert not legs.size or cost_e6 < (legs.size - 1) * 1_000_000


def test_arrays_of_different_shapes_are_refused():
    two, three = np.zeros((1, 2), int), np.zeros((1, 3), int)
    with pytest.raises(ContractError, match="one value a slot"):
        answering.forced_actions(two, three, two, two, np.zeros((1, 2, N_ACTIONS)))


# by logits


def decide_by(kernel, logits, mask, present=None, forced=None, temperature=1.0):
    logits, mask = np.array(logits, np.float32), np.array(mask, np.float32)
    n, s, _ = logits.shape
    found = holding(n, s)
    present = np.ones((n, s), np.float32) if present is None else np.array(present, np.float32)
    forced = np.full((n, s), FREE, np.int8) if forced is None else np.array(forced, np.int8)
    flat = np.concatenate((np.zeros((n, 3), np.float32), present, mask.reshape(n, -1)), axis=1)
    kernel(
        logits, flat, np.arange(n), 3, 3 + s, forced, temperature, 2,
        found.actions, found.probabilities, found.confidence, found.tier, found.notes,
    )  # fmt: skip
    return found


BOTH = pytest.mark.parametrize("kernel", [answer, answer.py_func], ids=["numba", "python"])


@BOTH
def test_probabilities_and_confidence_match_numbers_worked_by_hand(kernel):
    # slot 0: allowed HOLD, BUY_YES, BUY_NO with logits 0, ln 3, ln 4 at T = 1: 1/8, 3/8, 4/8
    # slot 1: the same logits at the same T, BUY_NO forbidden: 1/4, 3/4. Confidence min(1/2, 3/4) = 1/2
    logits = [[[0, np.log(3), 9, np.log(4), 9]] * 2]
    found = decide_by(kernel, logits, [[[1, 1, 0, 1, 0], [1, 1, 0, 0, 0]]])
    np.testing.assert_allclose(found.probabilities[0, 0], [0.125, 0.375, 0, 0.5, 0], rtol=1e-6)
    np.testing.assert_allclose(found.probabilities[0, 1], [0.25, 0.75, 0, 0, 0], rtol=1e-6)
    assert found.actions.tolist() == [[BUY_NO, BUY_YES]]
    assert found.confidence[0] == pytest.approx(0.5)
    assert found.tier.tolist() == [2]


@BOTH
def test_a_temperature_of_two_takes_the_root_of_every_ratio(kernel):
    # logits 0 and ln 9 at T = 2: ratio 3, so 1/4 and 3/4
    found = decide_by(kernel, [[[0, np.log(9), 0, 0, 0]]], [[[1, 1, 0, 0, 0]]], temperature=2.0)
    assert found.confidence[0] == pytest.approx(0.75)


@BOTH
def test_forced_and_empty_slots_do_not_move_the_confidence(kernel):
    logits = [[[0, 5, 0, 0, 0], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0]]]
    found = decide_by(kernel, logits, np.ones((1, 3, 5)), present=[[1, 0, 1]], forced=[[FREE, FREE, BUY_NO]])
    assert found.actions.tolist() == [[BUY_YES, HOLD, BUY_NO]]
    assert found.confidence[0] == pytest.approx(np.exp(5) / (np.exp(5) + 4), rel=1e-6)


@pytest.mark.parametrize("kernel", [all_finite, all_finite.py_func], ids=["numba", "python"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_one_logit_that_is_not_finite_is_seen(kernel, bad):
    logits = np.zeros((2, 2, N_ACTIONS), np.float32)
    assert kernel(logits)
    logits[1, 0, 4] = bad
    assert not kernel(logits)


@pytest.mark.parametrize("kernel", [answer_by_rules, answer_by_rules.py_func], ids=["numba", "python"])
def test_a_group_without_a_choice_needs_no_network(kernel):
    mask = np.zeros((5, 1, N_ACTIONS), np.float32)
    mask[:, :, HOLD] = 1
    mask[1:, 0, BUY_YES] = 1
    present = np.array([[1], [0], [1], [1], [1]], np.float32)
    forced = np.array([[FREE], [FREE], [HOLD], [FREE], [BUY_YES]], np.int8)
    flat = np.concatenate((present, mask.reshape(5, -1)), axis=1)
    found, still_open = holding(5, 1), np.empty(5, np.int64)
    n = kernel(
        flat, np.arange(5), 0, 1, forced, int(Tier.RULES),
        found.actions, found.probabilities, found.confidence, found.tier, still_open,
    )  # fmt: skip
    assert still_open[:n].tolist() == [3]
    assert found.actions[:, 0].tolist() == [HOLD, HOLD, HOLD, HOLD, BUY_YES]
    assert found.tier.tolist() == [4, 4, 4, 0, 4]
    assert found.probabilities[4, 0].tolist() == [0, 1, 0, 0, 0]


@pytest.mark.parametrize("kernel", [still_unsure, still_unsure.py_func], ids=["numba", "python"])
def test_only_groups_below_the_threshold_stay_open(kernel):
    confidence = np.array([0.9, 0.5, 0.49, 0.1], np.float32)
    n = kernel(np.array([0, 1, 2]), confidence, 0.5, still_open := np.empty(3, np.int64))
    assert still_open[:n].tolist() == [2]
