"""Slots decided by logits and by demands of the rules, with the figures worked by hand."""

import numpy as np
import pytest

from kalshi_platform.domain.actions import BUY_NO, BUY_YES, HOLD, N_ACTIONS
from kalshi_platform.models.rules.trading_filter import FREE
from kalshi_platform.serving.inference.answering import all_finite, answer, answer_by_rules, still_unsure
from kalshi_platform.serving.inference.batch import Tier, holding


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
