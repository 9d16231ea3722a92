"""A hint to the processor: in the machine code, and without effect on any value."""

import numpy as np
import pytest
from numba import njit

from kalshi_platform.domain.prefetch import prefetch


@njit
def first_of(array, first, count):
    prefetch(array, first, count)
    return array[0, 0]


@pytest.mark.parametrize("kernel", [first_of, first_of.py_func], ids=["numba", "python"])
@pytest.mark.parametrize("first", [0, 7, 19, -1, 10**6])
def test_any_rows_may_be_requested_and_nothing_changes(kernel, first):
    array = np.arange(1.0, 61.0).reshape(20, 3)
    before = array.copy()
    assert kernel(array, first, 2) == 1.0
    assert np.array_equal(array, before)


def test_the_request_is_in_the_compiled_code():
    first_of(np.ones((2, 3)), 0, 1)
    assert all("call void @llvm.prefetch" in code for code in first_of.inspect_llvm().values())
