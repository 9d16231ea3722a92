"""The order of the files: the longest do not start last in one process while the others have ended."""

import pytest

#: Most of their minutes are waiting: for Ray to start, for a killed process to be missed.
FIRST = ("test_sweep_faults", "test_training", "test_serving")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files of ``FIRST`` before all others; within a file the order stays."""
    items.sort(key=lambda item: FIRST.index(item.path.stem) if item.path.stem in FIRST else len(FIRST))
