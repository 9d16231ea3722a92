"""A registry of three small models, the first of them champion; nothing is timed."""

import shutil

import pytest
from made.guards import Loader
from made.registry_models import made_policy, made_record

from kalshi_platform.domain.places import HOME_VARIABLE
from kalshi_platform.domain.timing import CallTimes
from kalshi_platform.models.registry.store import CHAMPION, Registry
from kalshi_platform.serving.guard import candidate as checks


@pytest.fixture
def cost_ms(monkeypatch):
    """What a decision takes: {"p99": ms}; nothing is timed."""
    cost = {"p99": 1.0}

    def timed(call, runs, min_runs):
        assert runs == min_runs == 100
        call(0)
        return CallTimes(0.5, cost["p99"], 9.0, runs)

    monkeypatch.setattr(checks, "time_calls", timed)
    return cost


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with three models, the first of them champion, and their ids."""
    folder = tmp_path_factory.mktemp("made")
    registry = Registry(folder)
    ids = [registry.add(*made_record(made_policy("tiny", seed))).id for seed in range(3)]
    registry.promote(CHAMPION, ids[0], reason="first")
    return folder, ids


@pytest.fixture
def registry(tmp_path, made, monkeypatch):
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "home"))
    shutil.copytree(made[0], tmp_path / "registry")
    return Registry(tmp_path / "registry")


@pytest.fixture
def models(made):
    """Ids of the three models of ``registry``."""
    return made[1]


@pytest.fixture
def loader():
    return Loader()
