"""History windows: each distinct row once, and kept codes equal to fresh ones."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from made.networks import N_HISTORY, N_SLOTS, MadeHistory, spec_of

from kalshi_platform.models.networks.history import HistoryCodes, WindowGatherer, distinct_rows
from kalshi_platform.models.networks.networks import build_network


@pytest.mark.parametrize("kernel", [distinct_rows, distinct_rows.py_func], ids=["numba", "python"])
def test_each_distinct_row_is_numbered_once(kernel):
    far = 3 * 2**31 + 8  # its place in the table is that of row 8
    rows = np.array([8, -1, far, 8, far])
    seen, number = np.full(16, -1), np.zeros(16, np.int64)
    distinct, index = np.empty(5, np.int64), np.empty(5, np.int64)
    assert kernel(rows, seen, number, distinct, index) == 2
    assert distinct[:2].tolist() == [8, far]
    assert index.tolist() == [1, 0, 2, 1, 2]
    assert (seen == -1).all()


def test_kept_codes_equal_codes_computed_afresh(rng: np.random.Generator):
    spec = spec_of("simple")
    network = build_network(spec, 1)
    kept = HistoryCodes(network, MadeHistory(), 6)
    rows = rng.integers(-1, 40, size=(6, N_SLOTS)).astype(np.int32)
    for _ in range(10):
        rows[np.arange(6), rng.integers(0, N_SLOTS, 6)] = rng.integers(-1, 40, 6)
        fresh = HistoryCodes(network, MadeHistory(), 6).at(rows)
        torch.testing.assert_close(kept.at(rows), fresh, atol=1e-6, rtol=1e-5)
    assert (fresh[torch.from_numpy(rows < 0)] == 0).all()


def test_an_empty_slot_has_code_zero_and_fresh_codes_disturb_nothing(rng: np.random.Generator):
    network = build_network(spec_of("simple"), 1)
    codes = HistoryCodes(network, MadeHistory(), 2)
    rows = np.array([[3, -1, 25, 3], [-1, -1, 0, 39]], np.int32)
    kept = codes.at(rows).clone()
    assert (kept[torch.from_numpy(rows < 0)] == 0).all()
    assert (kept[torch.from_numpy(rows >= 0)] != 0).any(-1).all()
    torch.testing.assert_close(codes.fresh(rows[::-1].copy()), kept.flip(0), atol=1e-6, rtol=1e-5)
    assert torch.equal(codes.at(rows), kept)


def test_codes_are_of_the_old_weights_until_they_are_forgotten():
    network = build_network(spec_of("simple"), 1)
    codes = HistoryCodes(network, MadeHistory(), 1)
    rows = np.array([[3, 7, 25, -1]], np.int32)
    before = codes.at(rows).clone()
    with torch.no_grad():
        for weight in network.history.parameters():
            weight.add_(0.5)
    assert torch.equal(codes.at(rows), before)
    codes.forget()
    assert not torch.equal(codes.at(rows), before)


def test_a_window_ends_at_its_row_and_begins_with_its_segment():
    windows = WindowGatherer(MadeHistory(), 4).windows(np.array([2, 21, 39]))
    temporal = torch.from_numpy(MadeHistory.temporal)
    assert windows.shape == (3, 4, N_HISTORY)
    torch.testing.assert_close(windows[2], temporal[36:40])
    torch.testing.assert_close(windows[0, 1:], temporal[0:3])
    torch.testing.assert_close(windows[1, 2:], temporal[20:22])  # row 20 begins the second segment
    assert not torch.equal(windows[1, 1], temporal[19])


@given(st.lists(st.integers(-1, 30), max_size=40))
def test_numbers_of_distinct_rows_lead_back_to_the_rows(rows):
    batch = np.array(rows, np.int64)
    seen, number = np.full(64, -1), np.zeros(64, np.int64)
    distinct, index = np.empty(batch.size, np.int64), np.empty(batch.size, np.int64)
    n = distinct_rows(batch, seen, number, distinct, index)
    assert n == len({row for row in rows if row >= 0})
    assert [int(distinct[i - 1]) if i else -1 for i in index] == rows
    assert (seen == -1).all()
