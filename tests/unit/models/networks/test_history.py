"""History windows: each distinct row once, and kept codes equal to fresh ones."""

import numpy as np
import pytest
import torch
from made.networks import N_SLOTS, MadeHistory, spec_of

from kalshi_platform.models.networks.history import HistoryCodes, distinct_rows
from kalshi_platform.models.networks.networks import build_network


@pytest.mark.parametrize("kernel", [distinct_rows, distinct_rows.py_func], ids=["numba", "python"])
def test_each_distinct_row_is_numbered_once(kernel):
    rows = np.array([5, -1, 7, 5, 7], np.int32)
    mark, distinct, index = np.zeros(10, np.int32), np.empty(5, np.int64), np.empty(5, np.int64)
    assert kernel(rows, mark, distinct, index) == 2
    assert distinct[:2].tolist() == [5, 7]
    assert index.tolist() == [1, 0, 2, 1, 2]
    assert not mark.any()


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
