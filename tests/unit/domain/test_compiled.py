"""How kernels are compiled: no exception from arithmetic, and no allocation where none is allowed."""

import math

import numpy as np
import pytest
from numba.core.errors import NumbaError

from kalshi_platform.domain.compiled import allocating_kernel, inline_kernel, kernel, summing_kernel
from kalshi_platform.domain.kernel_cache import KernelCache

DECORATORS = pytest.mark.parametrize(
    "decorate", [kernel, inline_kernel, allocating_kernel, summing_kernel],
    ids=["kernel", "inline", "allocating", "summing"],
)  # fmt: skip


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """A folder of machine code for each test: a cached kernel is found whatever decorator compiled it."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))


def quotient(a: float, b: float) -> float:
    return a / b


@DECORATORS
def test_a_division_by_zero_gives_infinity_or_nan_as_numpy_does(decorate):
    divide = decorate(quotient)
    assert divide(1.0, 0.0) == math.inf
    assert divide(-1.0, 0.0) == -math.inf
    assert math.isnan(divide(0.0, 0.0))
    assert divide(1.0, 4.0) == 0.25


@DECORATORS
def test_machine_code_is_kept_by_the_kernel_cache_and_plain_python_stays_at_hand(decorate):
    divide = decorate(quotient)
    assert isinstance(divide._cache, KernelCache)
    assert divide.py_func is quotient


def scratch(n: int) -> float:
    room = np.ones(n)
    return room.sum()


@pytest.mark.parametrize("decorate", [kernel, inline_kernel], ids=["kernel", "inline"])
def test_a_kernel_that_allocates_is_refused_when_it_compiles(decorate):
    with pytest.raises(NumbaError):
        decorate(scratch)(3)


@pytest.mark.parametrize("decorate", [allocating_kernel, summing_kernel], ids=["allocating", "summing"])
def test_kernels_with_reference_counting_may_make_scratch_arrays(decorate):
    assert decorate(scratch)(3) == 3.0


def total(values: np.ndarray) -> float:
    found = 0.0
    for value in values:
        found += value
    return found


def test_a_summing_kernel_keeps_what_nan_and_infinity_mean():
    add = summing_kernel(total)
    assert add(np.arange(1_000.0)) == pytest.approx(499_500.0)
    assert math.isnan(add(np.array([1.0, math.nan, 2.0] * 9)))
    assert add(np.array([1.0, math.inf] * 9)) == math.inf
