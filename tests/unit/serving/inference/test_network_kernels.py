"""The kernels of the compiled form against torch, and that a row's numbers depend on it alone."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_platform.serving.inference import network_kernels as kernels


def drawn(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def test_a_linear_layer_by_hand():
    # 2 inputs, 3 outputs; y = x W + b = [1*1 + 2*4 + 10, 1*2 + 2*5 + 20, 1*3 - 2*30 + 30] = [19, 32, -27]
    weights = np.array([0, 1, 2, 3, 4, 5, -30, 10, 20, 30], np.float32)
    y = np.empty((1, 3), np.float32)
    assert kernels.linear(np.array([[1, 2]], np.float32), 1, 2, weights, 1, 3, False, y) == 10
    np.testing.assert_array_equal(y, [[19, 32, -27]])
    kernels.linear(np.array([[1, 2]], np.float32), 1, 2, weights, 1, 3, True, y)
    np.testing.assert_array_equal(y, [[19, 32, 0]])


@given(
    n_rows=st.integers(1, 7),
    n_in=st.integers(1, 40),
    n_out=st.integers(1, 70),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=40, deadline=None)
def test_a_linear_layer_is_that_of_torch_and_each_row_stands_alone(n_rows, n_in, n_out, seed):
    x, w, b = drawn(seed, n_rows, n_in), drawn(seed + 1, n_in, n_out), drawn(seed + 2, n_out)
    weights = np.concatenate([w.reshape(-1), b])
    y, alone = np.empty((n_rows, n_out), np.float32), np.empty((1, n_out), np.float32)
    kernels.linear(x, n_rows, n_in, weights, 0, n_out, False, y)
    np.testing.assert_allclose(y, x.astype(float) @ w + b, atol=1e-4)
    for r in range(n_rows):
        kernels.linear(x[r : r + 1], 1, n_in, weights, 0, n_out, False, alone)
        assert np.array_equal(alone[0], y[r])


def test_a_layer_norm_is_that_of_torch():
    x, scale, shift = drawn(0, 3, 32), drawn(1, 32), drawn(2, 32)
    y = np.empty((3, 32), np.float32)
    assert kernels.normalise(x, 3, 32, np.concatenate([scale, shift]), 0, y) == 64
    wanted = torch.nn.functional.layer_norm(
        *map(torch.from_numpy, (x,)), (32,), *map(torch.from_numpy, (scale, shift))
    )
    np.testing.assert_allclose(y, wanted, atol=1e-5)


def test_attention_looks_at_present_slots_only_and_at_nothing_where_there_is_none():
    qkv, present = drawn(0, 4, 24), np.array([1, 0, 1, 0], np.float32)
    y = np.empty((4, 8), np.float32)
    kernels.attend(qkv, present, 4, 2, 8, np.empty(4, np.float32), y)
    q, k, v = (
        torch.from_numpy(qkv[:, 8 * i : 8 * i + 8].reshape(4, 2, 4).copy()).permute(1, 0, 2) for i in range(3)
    )
    shares = (q @ k.transpose(1, 2) / 2).masked_fill(torch.from_numpy(present == 0), -torch.inf).softmax(-1)
    np.testing.assert_allclose(y, (shares @ v).permute(1, 0, 2).reshape(4, 8), atol=1e-5)
    kernels.attend(qkv, np.zeros(4, np.float32), 4, 2, 8, np.empty(4, np.float32), y)
    assert not y.any()


def test_tanh_is_exact_to_the_last_digits_and_flat_far_out():
    x = np.concatenate([np.linspace(-12, 12, 20_001), [0, 1e-6, -1e-6, 1e30, -1e30, np.inf, -np.inf]])
    found = np.array([kernels.tanh(np.float32(value)) for value in x])
    np.testing.assert_allclose(found, np.tanh(x), atol=4e-7)
    assert np.abs(found).max() <= 1.0 + 2**-23  # one digit more than 1 in the last place
    assert kernels.tanh(np.float32(0.0)) == 0.0


@pytest.mark.parametrize("n_windows", [1, 2, 7, 8, 9, 16, 21])
def test_an_lstm_is_that_of_torch_and_a_window_is_coded_alike_alone_and_among_others(n_windows):
    lstm = torch.nn.LSTM(11, 12, batch_first=True)
    windows = drawn(n_windows, n_windows, 5, 11)
    weights = np.concatenate([
        lstm.weight_ih_l0.T.detach().numpy().reshape(-1), lstm.weight_hh_l0.T.detach().numpy().reshape(-1),
        (lstm.bias_ih_l0 + lstm.bias_hh_l0).detach().numpy(),
    ])  # fmt: skip
    scratch = np.empty((8, 48), np.float32), np.empty((8, 12), np.float32), np.empty((8, 12), np.float32)
    codes, alone = np.empty((n_windows, 12), np.float32), np.empty((1, 12), np.float32)
    kernels.encode(windows, weights, *scratch, codes)
    np.testing.assert_allclose(codes, lstm(torch.from_numpy(windows))[0][:, -1].detach(), atol=1e-5)
    for k in range(n_windows):
        kernels.encode(windows[k : k + 1], weights, *scratch, alone)
        assert np.array_equal(alone[0], codes[k])
