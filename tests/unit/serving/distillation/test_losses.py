"""What students are taught, against numbers worked by hand."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kalshi_platform.serving.distillation.losses import advantage_weights, value_loss, weighted_kl


def test_weights_grow_with_the_advantage_and_have_mean_one():
    # |A| = 1, 3, 0, mean 4/3: m / mean = 0.75, 2.25, 0; w = 0.5 + 0.5 m/mean = 0.875, 1.625, 0.5, mean 1.
    advantage = np.array([[1.0, -3.0], [0.0, 99.0]], np.float32)
    counted = np.array([[True, True], [True, False]])
    found = advantage_weights(advantage, counted, floor=0.5, cap=10)
    np.testing.assert_allclose(found, [[0.875, 1.625], [0.5, 0.0]])


def test_one_huge_advantage_is_capped():
    # |A| = 1, 1, 1, 97: mean 25, cap 2 -> 50; capped mean 53/4 = 13.25; with floor 0: 1/13.25 and 50/13.25.
    advantage = np.array([[1.0, 1.0, 1.0, 97.0]], np.float32)
    found = advantage_weights(advantage, np.ones((1, 4), bool), floor=0.0, cap=2)
    np.testing.assert_allclose(found, [[1 / 13.25] * 3 + [50 / 13.25]], rtol=1e-6)


def test_without_any_advantage_every_counted_slot_weighs_one():
    counted = np.array([[True, False, True]])
    found = advantage_weights(np.zeros((1, 3), np.float32), counted, floor=0.0, cap=10)
    np.testing.assert_array_equal(found, [[1, 0, 1]])


@given(
    arrays(np.float32, (5, 3), elements=st.floats(-1e3, 1e3, width=32)),
    arrays(bool, (5, 3)),
    st.floats(0, 1),
    st.floats(1.01, 100),
)
def test_weights_have_mean_one_over_the_counted_slots(advantage, counted, floor, cap):
    found = advantage_weights(advantage, counted, floor, cap)
    assert (found[~counted] == 0).all()
    if counted.any():
        assert found[counted].mean() == pytest.approx(1, rel=1e-4)
        assert found[counted].min() >= floor - 1e-6


def test_the_divergence_is_of_legal_actions_only_and_weighted():
    # Slot 0: champion (3/4, 1/4), student (1/2, 1/2): KL = 3/4 ln(3/2) + 1/4 ln(1/2). Slot 1: equal, KL 0.
    # The third action is illegal, its logits differ and must not matter. Weights 3 and 1: KL of slot 0 x 3/4.
    teacher = torch.tensor([[[math.log(3.0), 0.0, 50.0], [0.0, 0.0, 1.0]]])
    student = torch.tensor([[[0.0, 0.0, -50.0], [2.0, 2.0, 9.0]]])
    mask = torch.tensor([[[1.0, 1.0, 0.0], [1.0, 1.0, 0.0]]])
    found = weighted_kl(teacher, student, mask, torch.tensor([[3.0, 1.0]]))
    by_hand = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    assert float(found) == pytest.approx(by_hand * 3 / 4, rel=1e-6)


def test_slots_that_are_not_counted_teach_nothing():
    student = torch.zeros((1, 2, 2), requires_grad=True)
    teacher = torch.tensor([[[1.0, 0.0], [5.0, 0.0]]])
    weighted_kl(teacher, student, torch.ones((1, 2, 2)), torch.tensor([[1.0, 0.0]])).backward()
    assert student.grad is not None
    assert float(student.grad[0, 0].abs().sum()) > 0
    assert float(student.grad[0, 1].abs().sum()) == 0


def test_the_values_error_is_in_units_of_the_champions_variance():
    # errors 2 and 0, weights 1 and 3: 4 / 2 x 1/4 = 0.5 at variance 2
    found = value_loss(torch.tensor([3.0, 1.0]), torch.tensor([1.0, 1.0]), torch.tensor([1.0, 3.0]), 2.0)
    assert float(found) == pytest.approx(0.5)
