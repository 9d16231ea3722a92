"""The compiled attention over slots against the formula, and its gradient against torch's."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kalshi_platform.models.networks.slot_attention import (
    attend,
    attend_backward,
    slot_attention,
    slot_attention_in_torch,
)


@pytest.mark.parametrize("kernel", [attend, attend.py_func], ids=["numba", "python"])
def test_weights_and_mixture_worked_by_hand(kernel):
    # one head of width 1, two present slots and an empty one; queries 1, keys 0, ln 3 and 50 (empty):
    # weights 1/4 and 3/4; values 4, 8 and 100: 1 + 6 = 7
    projections = np.array([[1, 0, 4], [1, np.log(3), 8], [1, 50, 100]], np.float32).reshape(1, 3, 3, 1, 1)
    weights, mixed = np.empty((1, 1, 3, 3), np.float32), np.empty((1, 3, 1, 1), np.float32)
    kernel(projections, np.array([[1, 1, 0]], np.float32), weights, mixed)
    np.testing.assert_allclose(weights[0, 0, 0], [0.25, 0.75, 0.0], rtol=1e-6)
    np.testing.assert_allclose(mixed[0, :, 0, 0], 7.0, rtol=1e-6)


@given(st.integers(0, 2**32 - 1))
def test_values_and_gradients_are_those_of_the_formula(seed: int):
    rng = np.random.default_rng(seed)
    b, s, h, d = (int(x) for x in rng.integers(1, 6, 4))
    present = torch.from_numpy((rng.random((b, s)) < 0.6).astype(np.float32))
    given_grad = torch.from_numpy(rng.normal(size=(b, s, h, d)).astype(np.float32))
    found = []
    start = rng.normal(size=(b, s, 3, h, d)).astype(np.float32)
    for attention in (slot_attention, slot_attention_in_torch):
        projections = torch.tensor(start, requires_grad=True)
        mixed = attention(projections, present)
        mixed.backward(given_grad)
        found.append((mixed.detach(), projections.grad))
    torch.testing.assert_close(found[0], found[1], atol=1e-5, rtol=1e-4)
    assert (found[0][0][present.sum(1) == 0] == 0).all()


def test_the_plain_backward_pass_is_the_compiled_one(rng: np.random.Generator):
    projections = rng.normal(size=(2, 4, 3, 2, 3)).astype(np.float32)
    weights, mixed = np.empty((2, 2, 4, 4), np.float32), np.empty((2, 4, 2, 3), np.float32)
    attend(projections, np.ones((2, 4), np.float32), weights, mixed)
    grads = [np.empty_like(projections) for _ in range(2)]
    for kernel, grad in zip((attend_backward, attend_backward.py_func), grads, strict=True):
        kernel(projections, weights, mixed, grad)
    np.testing.assert_allclose(grads[0], grads[1], rtol=1e-4, atol=1e-6)
