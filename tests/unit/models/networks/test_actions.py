"""Masked actions: illegal ones have no probability, and drawing inverts the cumulated ones."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from made.networks import N_SLOTS

from kalshi_platform.domain.actions import HOLD, N_ACTIONS
from kalshi_platform.models.networks.actions import best_actions, mask_logits, sample_actions


def test_illegal_actions_have_probability_zero_and_gradients_stay_finite(rng: np.random.Generator):
    logits = torch.tensor(
        rng.normal(size=(6, N_SLOTS, N_ACTIONS)) * 50, dtype=torch.float32, requires_grad=True
    )
    mask = torch.tensor(rng.random((6, N_SLOTS, N_ACTIONS)) < 0.4, dtype=torch.float32)
    mask[..., HOLD] = 1.0
    log_prob = mask_logits(logits, mask).log_softmax(-1)
    assert (log_prob.exp()[mask < 0.5] == 0.0).all()
    entropy = -(log_prob.exp() * log_prob).sum()
    (entropy + log_prob[..., HOLD].sum()).backward()
    assert torch.isfinite(entropy)
    assert torch.isfinite(logits.grad).all()
    assert (logits.grad[mask < 0.5] == 0.0).all()


@pytest.mark.parametrize("kernel", [sample_actions, sample_actions.py_func], ids=["numba", "python"])
def test_sampling_inverts_the_cumulated_probabilities(kernel):
    # logits ln 1, ln 2, (illegal), ln 1: probabilities 1/4, 1/2, 0, 1/4; cumulated 0.25, 0.75, 0.75, 1
    logits = np.log(np.array([1, 2, 9, 1, 9], np.float32))[None, None].repeat(3, 1)
    mask = np.array([1, 1, 0, 1, 0], np.float32)[None, None].repeat(3, 1)
    actions, log_prob = np.empty((1, 3), np.int8), np.empty((1, 3), np.float32)
    kernel(logits, mask, np.array([[0.2, 0.74, 0.76]]), actions, log_prob)
    assert actions.tolist() == [[0, 1, 3]]
    np.testing.assert_allclose(log_prob, np.log([[0.25, 0.5, 0.25]]), rtol=1e-6)


@given(st.integers(0, 2**32 - 1))
def test_drawn_actions_are_legal_and_their_probability_is_torchs(seed: int):
    rng = np.random.default_rng(seed)
    logits = (rng.normal(size=(5, N_SLOTS, N_ACTIONS)) * 10).astype(np.float32)
    mask = (rng.random(logits.shape) < 0.5).astype(np.float32)
    mask[..., HOLD] = 1.0
    actions, log_prob = np.empty((5, N_SLOTS), np.int8), np.empty((5, N_SLOTS), np.float32)
    sample_actions(logits, mask, rng.random((5, N_SLOTS)), actions, log_prob)
    chosen = torch.from_numpy(actions.astype(np.int64))[..., None]
    assert (np.take_along_axis(mask, chosen.numpy(), 2) == 1).all()
    expected = mask_logits(torch.from_numpy(logits), torch.from_numpy(mask)).log_softmax(-1)
    np.testing.assert_allclose(log_prob, expected.gather(2, chosen)[..., 0], rtol=1e-4, atol=1e-4)
    best = np.empty((5, N_SLOTS), np.int8)
    best_actions(logits, mask, best)
    np.testing.assert_array_equal(best, expected.argmax(-1))
