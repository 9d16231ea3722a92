"""Shared by all tests: hypothesis profile, the recorded data, seeds, one Ray runtime.

Kernel tests run twice: compiled, in ``make test`` with ``NUMBA_BOUNDSCHECK=1`` (domain/kernel_cache.py keeps
those kernels apart), and as plain Python through ``kernel.py_func`` inside the tests themselves.
"""

import os

# Before numpy and torch: of small networks a second thread only spins (test_acting: 30 s of CPU, not 2).
os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

from kalshi_platform.domain import kernel_cache
from kalshi_platform.simulation.replay.open import CACHE_VARIABLE

RECORDED = Path(__file__).resolve().parents[2] / "shared" / "data"

# Deterministic, so that a red run can be repeated; deadline off: the first call of a kernel compiles it.
settings.register_profile("ci", derandomize=True, deadline=None, database=None, print_blob=True)
settings.register_profile("explore", deadline=None, max_examples=2_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Opened datasets are cached in a folder of this session, not in the user's home; kernels stay there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NUMBA_CACHE_DIR", str(kernel_cache.root()))
        patch.setenv(CACHE_VARIABLE, str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def recorded_data() -> Path:
    """The folder of recorded data beside the checkout; the test is skipped where it is absent."""
    if not RECORDED.is_dir():
        pytest.skip(f"recorded data is not at {RECORDED}")
    return RECORDED


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    """A generator seeded by the test's own name: the same numbers on every run, others in every test."""
    return np.random.default_rng(list(request.node.name.encode()))


@pytest.fixture
def one_torch_thread() -> Iterator[None]:
    """One torch thread: small networks are built and asked several times faster so on a busy machine."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def two_torch_threads() -> Iterator[None]:
    """Two torch threads, for a test of who uses fewer and gives them back."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def ray_runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A Ray runtime of two CPUs for the whole session, on free ports, stopped at its end."""
    import ray

    context = ray.init(
        address="local",
        num_cpus=2,
        include_dashboard=False,
        configure_logging=False,
        log_to_driver=False,
        object_store_memory=256 * 1024 * 1024,
    )
    try:
        yield context
    finally:
        ray.shutdown()
