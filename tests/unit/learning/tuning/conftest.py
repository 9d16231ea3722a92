"""One made sweep that several tests read."""

from pathlib import Path

import pytest
from made.runs import whole_sweep

from kalshi_platform.learning.tuning.load_runs import Loaded, load


@pytest.fixture(scope="session")
def sweep(tmp_path_factory) -> Path:
    """The folder of a whole sweep, see ``made.runs``."""
    folder = tmp_path_factory.mktemp("sweep") / "made"
    whole_sweep(folder)
    return folder


@pytest.fixture(scope="session")
def loaded(sweep: Path) -> Loaded:
    """That sweep, read."""
    return load([sweep])
