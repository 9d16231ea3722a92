"""Shared by all tests: order of the files, hypothesis profile, the recorded data, seeds, one Ray runtime.

Kernel tests run twice: compiled, in ``make test`` with ``NUMBA_BOUNDSCHECK=1`` (domain/kernel_cache.py keeps
those kernels apart), and as plain Python through ``kernel.py_func`` inside the tests themselves.
"""

import gc
import os

# Before numpy and torch: of small networks a second thread only spins (test_acting: 30 s of CPU, not 2).
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Ray's workers are nice to all others by 15: beside other tests they get a fiftieth of a processor, and what
# takes seconds takes a quarter of an hour.
os.environ.setdefault("RAY_worker_niceness", "0")

from collections import Counter
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers
from made.no_posts import no_posts

from kalshi_platform.domain import kernel_cache
from kalshi_platform.domain.quiet_ray import start_ray
from kalshi_platform.simulation.replay.open import CACHE_VARIABLE

RECORDED = Path(__file__).resolve().parents[2] / "shared" / "data"

# Deterministic, so that a red run can be repeated; no limits of time: the first call of a kernel compiles it.
settings.register_profile(
    "ci", derandomize=True, deadline=None, database=None, print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)  # fmt: skip
settings.register_profile("explore", deadline=None, max_examples=2_000)
settings.load_profile(PROFILE := os.environ.get("HYPOTHESIS_PROFILE", "ci"))
if PROFILE == "ci":
    # Hypothesis draws from the constants of all modules that are imported by then: a test would get other
    # examples alone than behind others, and after any number that is added anywhere.
    providers.is_local_module_file = lambda _file: False

#: Files that start before all others, in this order. In the unit leg two that compile most of the kernels,
#: and not the same ones: side by side neither waits for the other's. In the other leg the longest, which
#: would end last and alone; they wait most of their minutes, for Ray to start, for a killed process to be
#: missed. Of the first three one starts no Ray: three at once are too slow for it.
FIRST = (
    "unit/benchmarks/test_earnings.py",
    "unit/evaluation/judging/test_evaluate.py",
    "integration/test_sweep_faults.py",
    "integration/test_training.py",
    "integration/trading/test_session_faults.py",
    "integration/test_serving.py",
    "integration/trading/test_two_days.py",
    "integration/trading/test_session.py",
    "integration/test_share_nothing.py",
    "integration/test_strangers.py",
)
TESTS = Path(__file__).parent
#: Files that the end of a run names.
SHOWN = 20


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files of ``FIRST`` before all others; within a file the order stays."""
    place = {TESTS / name: number for number, name in enumerate(FIRST)}
    if gone := [str(path) for path in place if not path.is_file()]:
        raise pytest.UsageError(f"FIRST of tests/conftest.py names files that are not there: {gone}")
    items.sort(key=lambda item: place.get(item.path, len(FIRST)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell which files took longest where many ran: ``FIRST`` is kept by that."""
    took_s: Counter[str] = Counter()
    for report in (report for reports in terminalreporter.stats.values() for report in reports):
        if isinstance(report, pytest.TestReport):
            took_s[report.nodeid.partition("::")[0]] += report.duration
    if len(took_s) > SHOWN:
        longest = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in took_s.most_common(SHOWN))
        terminalreporter.write_line(f"longest of {len(took_s)} files: {longest}")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep Python's collector from walking all tests and modules over and over: a sixth of the CPU."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(50_000, 20, 50)
        gc.enable()


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Opened datasets are cached in a folder of this session, not in the user's home; kernels stay there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NUMBA_CACHE_DIR", str(kernel_cache.root()))
        patch.setenv(CACHE_VARIABLE, str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session", autouse=True)
def _no_posts() -> Iterator[None]:
    """A write to a host that is not this machine makes the run fail."""
    with no_posts():
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

    start_ray(ray, num_cpus=2, include_dashboard=False, object_store_memory=256 * 1024 * 1024)
    try:
        yield ray
    finally:
        ray.shutdown()
