"""``make test-cluster``: a computer that makes no machines fails here, where other tests are skipped."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from made.machines import ROOT, WORK, why_not
from made.nodes import Nodes, documented

from kalshi_platform.simulation.simexchange import SimConfig, simulate

LOGS = ROOT / "runs" / "test-cluster"


@pytest.fixture(scope="session", autouse=True)
def _machines() -> None:
    if reason := why_not():
        pytest.fail(f"this computer makes no machines of its own (tests/made/machines.py): {reason}")


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    """A store with a dataset in it and a desk; each test starts the cluster that it loses."""
    made = Nodes(tmp_path_factory.mktemp("nodes"))
    try:
        simulate(SimConfig(n_events=12, messages_per_market=300), made.desk.path(f"{WORK}/recordings"))
        built = made.desk.run(["kalshi-platform", *documented("kalshi-platform")], timeout_s=600)
        assert built.returncode == 0, built.stderr
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def log() -> Callable[[str], Path]:
    """Path of a log that stays: ``runs/test-cluster/NAME.log``, emptied."""

    def emptied(name: str) -> Path:
        LOGS.mkdir(parents=True, exist_ok=True)
        path = LOGS / f"{name}.log"
        path.write_text("")
        return path

    return emptied
