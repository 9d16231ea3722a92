"""Temperature, calibration error and confidence against cases worked by hand."""

import math

import numpy as np
import pytest

from kalshi_platform.domain.errors import DataError
from kalshi_platform.serving.distillation.calibration import (
    MAX_TEMPERATURE,
    MIN_TEMPERATURE,
    best_of,
    confidence_of,
    fit_temperature,
    group_confidence,
    reliability,
)


def two_way(share_right: int, of: int, logit: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``of`` slots that all prefer action 0 by ``logit``; it is right in ``share_right`` of them."""
    logits = np.tile(np.array([logit, 0.0, 7.0], np.float32), (of, 1))  # the third action is illegal
    mask = np.tile(np.array([True, True, False]), (of, 1))
    return logits, mask, np.where(np.arange(of) < share_right, 0, 1)


def test_the_temperature_makes_confidence_equal_accuracy():
    # All alike, so the likelihood is best where p(action 0) = 3/4: sigmoid(2 / T) = 3/4, T = 2 / ln 3.
    logits, mask, right = two_way(3, 4, 2.0)
    temperature = fit_temperature(logits, mask, right)
    assert temperature == pytest.approx(2 / math.log(3), rel=1e-6)
    np.testing.assert_allclose(confidence_of(logits, mask, temperature), 0.75, rtol=1e-6)


def test_a_tier_that_is_always_right_is_as_sharp_as_allowed():
    assert fit_temperature(*two_way(4, 4, 2.0)) == MIN_TEMPERATURE


def test_a_tier_that_is_mostly_wrong_is_as_flat_as_allowed():
    assert fit_temperature(*two_way(1, 4, 2.0)) == MAX_TEMPERATURE


def test_the_temperature_has_the_least_loss_of_those_around_it():
    rng = np.random.default_rng(3)
    logits = rng.normal(0, 3, (400, 5)).astype(np.float32)
    mask = rng.random((400, 5)) < 0.7
    mask[:, 0] = True
    right = np.where(rng.random(400) < 0.7, best_of(logits, mask), 0)

    def loss(t: float) -> float:
        z = np.where(mask, logits / t, -np.inf)
        z -= z.max(axis=1, keepdims=True)
        return float((np.log(np.exp(z).sum(axis=1)) - z[np.arange(400), right]).mean())

    found = fit_temperature(logits, mask, right)
    assert MIN_TEMPERATURE < found < MAX_TEMPERATURE
    assert loss(found) < min(loss(found * 0.97), loss(found * 1.03))


def test_nothing_to_calibrate_on_is_refused():
    with pytest.raises(DataError, match="more validation events"):
        fit_temperature(np.zeros((0, 5), np.float32), np.zeros((0, 5), bool), np.zeros(0, int))


def test_the_calibration_error_is_the_weighted_gap_of_the_bins():
    # Two bins. 0.2 (wrong), 0.4 (right): confidence 0.3, accuracy 0.5; 0.9 (right), 0.7, 0.8 (wrong):
    # confidence 0.8, accuracy 1/3. ECE = 2/5 x 0.2 + 3/5 x (0.8 - 1/3) = 0.08 + 0.28 = 0.36.
    confidence = np.array([0.2, 0.4, 0.9, 0.7, 0.8])
    found = reliability(confidence, np.array([False, True, True, False, False]), 2)
    assert found.ece == pytest.approx(0.36)
    assert [b.n for b in found.bins] == [2, 3]
    assert found.accuracy == pytest.approx(0.4)


def test_a_confidence_on_the_border_belongs_to_the_lower_bin_and_one_to_the_last():
    found = reliability(np.array([0.5, 1.0]), np.array([True, True]), 2)
    assert [b.n for b in found.bins] == [1, 1]


def test_a_group_is_as_sure_as_its_least_sure_slot_with_a_choice():
    confidence = np.array([[0.9, 0.4], [0.2, 0.8], [0.1, 0.1]])
    counted = np.array([[True, True], [False, True], [False, False]])
    np.testing.assert_array_equal(group_confidence(confidence, counted), [0.4, 0.8, 1.0])


def test_serving_and_calibration_mean_the_same_confidence():
    from kalshi_platform.serving.inference.answering import answer
    from kalshi_platform.serving.inference.batch import holding

    rng = np.random.default_rng(5)
    logits = rng.normal(0, 2, (6, 2, 5)).astype(np.float32)
    mask = rng.random((6, 2, 5)) < 0.6
    mask[..., 0] = True
    flat = np.concatenate((np.ones((6, 2)), mask.reshape(6, -1)), axis=1).astype(np.float32)
    decided = holding(6, 2)
    free = np.full((6, 2), -1, np.int8)
    answer(
        logits, flat, np.arange(6), 0, 2, free, 0.7, 1, decided.actions, decided.probabilities,
        decided.confidence, decided.tier, decided.notes,
    )  # fmt: skip
    own = group_confidence(confidence_of(logits, mask, 0.7), mask.sum(axis=2) > 1)
    np.testing.assert_allclose(decided.confidence, own, rtol=1e-6)
    np.testing.assert_array_equal(decided.actions, best_of(logits, mask))
