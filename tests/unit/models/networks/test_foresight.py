"""Targets of the microstructure head: what came after a row of the same unbroken segment."""

import numpy as np
import pytest
from made.bank import made_bank
from made.foresight import named_bank

from kalshi_platform.data.features.spec import features_of
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.models.networks.foresight import HORIZON_ROWS, Foresight, look_ahead

BURST = [f.name for f in features_of(["temporal"])].index("is_burst")


@pytest.mark.parametrize("kernel", [look_ahead, look_ahead.py_func], ids=["numba", "python"])
def test_targets_end_with_the_unbroken_segment(kernel):
    # rows 0-4 one segment, 5 a gap, 6-8 another; horizon 2
    mid = np.array([0.50, 0.51, 0.55, 0.50, 0.40, 0.0, 0.10, 0.20, 0.30], np.float32)
    burst = np.array([0, 1, 0, 1, 0, 0, 0, 1, 0], np.float32)
    age = np.array([0, 1, 2, 3, 4, -1, 0, 1, 2], np.int32)
    rows = np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, -1], np.int32)
    move, next_burst, known = (np.full(10, 9.0, np.float32) for _ in range(3))
    kernel(mid, burst, age, rows, 2, move, next_burst, known)
    np.testing.assert_array_equal(known, [1, 1, 1, 0, 0, 0, 1, 0, 0, 0])
    # 0.55 - 0.50, 0.50 - 0.51, 0.40 - 0.55, 0.30 - 0.10 dollars, in cents
    np.testing.assert_allclose(move, [5, -1, -15, 0, 0, 0, 20, 0, 0, 0], atol=1e-4)
    np.testing.assert_array_equal(next_burst, [1, 0, 1, 0, 0, 0, 1, 0, 0, 0])


def test_targets_do_not_reach_from_one_market_into_the_next():
    bank = named_bank()
    stops = bank.arrays.segments["stop"].astype(np.int32)
    starts = bank.arrays.segments["start"].astype(np.int32)
    foresight = Foresight(bank)
    rows = np.stack((stops - HORIZON_ROWS - 1, stops - HORIZON_ROWS, stops - 1, starts), axis=1)
    known = foresight.targets(rows).known
    assert known.tolist() == [[1.0, 0.0, 0.0, 1.0]] * len(stops)


def test_targets_agree_with_the_rows_read_one_by_one(rng: np.random.Generator):
    bank = named_bank()
    arrays = bank.arrays
    rows = rng.integers(-1, bank.n_rows, (50, 3)).astype(np.int32)
    found = Foresight(bank).targets(rows)
    for place in np.ndindex(rows.shape):
        row = int(rows[place])
        segment = [s for s in arrays.segments if s["start"] <= row < s["stop"]]
        if not segment or row + HORIZON_ROWS >= segment[0]["stop"]:
            assert found.known[place] == 0.0
            continue
        later = arrays.features[row + HORIZON_ROWS, 0] - arrays.features[row, 0]
        assert float(found.move_cents[place]) == pytest.approx(100 * later, abs=1e-4)
        assert float(found.burst[place]) == pytest.approx(float(arrays.temporal[row + 1, BURST]))


def test_foresight_of_a_market_without_its_mid_is_refused():
    with pytest.raises(ContractError, match="foresee feature 'yes_mid', which is switched off"):
        Foresight(made_bank())
