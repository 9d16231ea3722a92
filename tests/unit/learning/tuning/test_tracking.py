"""Trials and models in MLflow: what is written, that it is found again, and what a lost server costs."""

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from mlflow.tracking import MlflowClient

from kalshi_platform.domain.errors import StorageError
from kalshi_platform.domain.places import HOME_VARIABLE
from kalshi_platform.learning.tuning.sweep_record import TrialRecord
from kalshi_platform.learning.tuning.tracking import (
    MODELS_NAME,
    URI_VARIABLE,
    MlflowTracker,
    mirror_model,
    require_tracking,
    tracking_uri,
)


class Trial(SimpleNamespace):
    def __str__(self) -> str:
        return self.name


A = Trial(name="t000-aaaaaa")


@pytest.fixture(scope="module")
def tables(tmp_path_factory) -> Path:
    """A home with MLflow's empty tables, which take MLflow seconds to make."""
    place = tmp_path_factory.mktemp("tables")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(HOME_VARIABLE, str(place))
        patch.delenv(URI_VARIABLE, raising=False)
        require_tracking()
    return place


@pytest.fixture
def client(tables, tmp_path, monkeypatch) -> MlflowClient:
    shutil.copytree(tables, tmp_path / "home")
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "home"))
    monkeypatch.delenv(URI_VARIABLE, raising=False)
    return MlflowClient(tracking_uri=tracking_uri())


def tracker(said: list[str]) -> MlflowTracker:
    return MlflowTracker(
        "made", {"sweep": "s1", "dataset": "d1"}, {A.name: {"train.gamma": 0.9}}, said.append
    )


def report(validated_at: int, score: float) -> dict[str, Any]:
    return {
        "validated_at": validated_at,
        "validation": {"score": score},
        "best_score": score,
        "episode_return": None,
        "steps_per_s": 1.0,
        "iteration": validated_at,
        "env_steps": 10 * validated_at,
        "timestamp": 1_790_000_000,
    }


def runs(client: MlflowClient) -> list[Any]:
    return client.search_runs([client.get_experiment_by_name("made").experiment_id])


def test_a_validation_is_written_once_with_the_settings_of_its_trial(client):
    watched = tracker([])
    for found in (report(1, 0.1), report(1, 0.1), report(2, 0.3)):
        watched.on_trial_result(0, [], A, found)
    (run,) = runs(client)
    assert (run.data.params, run.data.tags["trial"]) == ({"train.gamma": "0.9"}, A.name)
    history = client.get_metric_history(run.info.run_id, "validation_score")
    assert [(m.step, m.value) for m in history] == [(10, 0.1), (20, 0.3)]


def test_a_sweep_that_is_resumed_goes_on_in_the_same_run_and_closes_it(client):
    tracker([]).on_trial_result(0, [], A, report(1, 0.1))
    again = tracker([])
    again.on_trial_result(0, [], A, report(2, 0.3))
    record = TrialRecord(
        id=A.name, stage="sweep", values={}, seed=0, status="stopped", reason="no gain", iterations=2,
        env_steps=20, restarts=0, score=0.3, run="trials/a",
    )  # fmt: skip
    again.close(record)
    (run,) = runs(client)
    assert (run.info.status, run.data.tags["outcome"]) == ("FINISHED", "stopped: no gain")


def test_a_server_that_is_not_there_is_refused_before_a_sweep_and_its_password_not_shown(monkeypatch):
    monkeypatch.setenv(URI_VARIABLE, "http://user:hidden@127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(
        StorageError, match=r"tracked at http://127\.0\.0\.1:9.*unset MLFLOW_TRACKING_URI"
    ) as refused:
        require_tracking()
    assert "hidden" not in str(refused.value)


def test_a_server_that_goes_away_costs_the_tracking_and_not_the_sweep(monkeypatch):
    said: list[str] = []
    watched = tracker(said)
    monkeypatch.setenv(URI_VARIABLE, "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    watched.on_trial_result(0, [], A, report(1, 0.1))
    watched.on_trial_result(0, [], A, report(2, 0.1))
    assert len(said) == 1
    assert said[0].startswith("tracking at http://127.0.0.1:9 ended:")


def test_a_challenger_stands_in_mlflows_registry_once_under_its_alias(client):
    said: list[str] = []
    for _ in range(2):
        mirror_model("tiny-0123456789ab", "challenger", "/registry/models/tiny-0123456789ab", said.append)
    version = client.get_model_version_by_alias(MODELS_NAME, "challenger")
    assert (version.source, version.tags["model"]) == (
        "/registry/models/tiny-0123456789ab",
        "tiny-0123456789ab",
    )
    assert len(client.search_model_versions(f"name = '{MODELS_NAME}'")) == 1
    assert said == []
