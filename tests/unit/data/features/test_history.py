"""History windows: slices of the rows that never reach over a break."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshi_platform.data.features import history

GATHER = pytest.mark.parametrize(
    "gather", [history.gather_windows, history.gather_windows.py_func], ids=["numba", "python"]
)


def age_of(valid: list[int]) -> np.ndarray:
    age = np.full(len(valid), -7, np.int32)
    history.segment_age(np.array(valid, np.uint8), age)
    return age


def test_age_counts_from_the_first_row_after_a_break() -> None:
    assert age_of([0, 1, 1, 0, 0, 1, 1, 1]).tolist() == [0, 0, 1, 0, 0, 0, 1, 2]
    plain = np.empty(4, np.int32)
    history.segment_age.py_func(np.array([1, 1, 0, 1], np.uint8), plain)
    assert plain.tolist() == [0, 1, 0, 0]


@GATHER
def test_a_window_ends_at_its_row_and_is_padded_on_the_left(gather: object) -> None:
    temporal = np.arange(1, 7, dtype=np.float32).reshape(6, 1)
    out = np.full((4, 3, 1), np.nan, np.float32)
    gather(temporal, age_of([1, 1, 1, 0, 1, 1]), np.array([2, 5, 0, -1]), out)  # type: ignore[operator]
    # row 2 has all three; row 5's segment begins at row 4; row 0 is alone; -1 is no row
    assert out[:, :, 0].tolist() == [[1, 2, 3], [0, 5, 6], [0, 0, 1], [0, 0, 0]]


@given(valid=st.lists(st.sampled_from([0, 1, 1, 1]), min_size=1, max_size=30), width=st.integers(1, 8))
def test_windows_equal_the_slices_worked_out_row_by_row(valid: list[int], width: int) -> None:
    n = len(valid)
    temporal = np.arange(1, 2 * n + 1, dtype=np.float32).reshape(n, 2)
    out = np.full((n, width, 2), np.nan, np.float32)
    history.gather_windows(temporal, age_of(valid), np.arange(n), out)
    for row in range(n):
        for back in range(width):
            within = back == 0 or (row - back >= 0 and all(valid[row - back : row + 1]))
            expected = temporal[row - back] if within else np.zeros(2)
            np.testing.assert_array_equal(out[row, width - 1 - back], expected)
