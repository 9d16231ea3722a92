"""One small simulated world, built into a dataset once."""

import pytest

from kalshi_platform.data.dataset.build import BuildConfig, build_dataset
from kalshi_platform.simulation.simexchange import SimConfig, simulate


@pytest.fixture(scope="session")
def world(tmp_path_factory) -> str:
    """Address of a dataset of 40 simulated events, half of them with lost messages."""
    folder = tmp_path_factory.mktemp("realism")
    simulate(SimConfig(n_events=40, messages_per_market=800, max_markets=3, gap_share=0.5), folder / "sim")
    build_dataset([folder / "sim"], folder / "data", BuildConfig(workers=0))
    return str(folder / "data")
