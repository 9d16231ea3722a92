"""Trials and models in MLflow: what is written, that it is found again, and what a lost server costs."""

import json
import re
import shutil
import sqlite3
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from made.runs import make_sweep
from mlflow.tracking import MlflowClient

from kalshi_platform.domain.errors import ContractError, StorageError
from kalshi_platform.domain.places import HOME_VARIABLE
from kalshi_platform.learning.training.session import RunSettings
from kalshi_platform.learning.tuning.experiment import Variant
from kalshi_platform.learning.tuning.sweep_record import TrialRecord, read_sweep
from kalshi_platform.learning.tuning.tracking import (
    MODELS_NAME,
    MlflowTracker,
    SweepTracking,
    mirror_model,
    require_tracking,
)
from kalshi_platform.learning.tuning.tracking_place import (
    URI_VARIABLE,
    VIEW,
    VIEW_TAG,
    TrackingPlace,
    tracking_place,
    view_address,
)


class Trial(SimpleNamespace):
    def __str__(self) -> str:
        return self.name


A = Trial(name="t000-aaaaaa")
PLANNED = Variant(
    id=A.name,
    values={"train.gamma": 0.9},
    settings=RunSettings().with_values({"train.gamma": 0.9, "train.seed": 7}),
)


def ended(**changes: Any) -> TrialRecord:
    return TrialRecord(
        id=A.name, stage="sweep", values={"train.gamma": 0.9}, seed=7, status="stopped", reason="no gain",
        iterations=2, env_steps=20, restarts=0, score=0.3, run="trials/a",
    ).replace(**changes)  # fmt: skip


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
    return MlflowClient(tracking_uri=tracking_place().uri)


def sweep(said: list[str], sweep_id: str = "5eed00112233") -> SweepTracking:
    tags = {"sweep": sweep_id, "dataset": "d1"}
    return SweepTracking(tracking_place(), "made", tags, ["train.gamma"], said.append)


def tracker(said: list[str], sweep_id: str = "5eed00112233") -> MlflowTracker:
    return sweep(said, sweep_id).stage([PLANNED])


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


def runs(client: MlflowClient, trial: str = A.name) -> list[Any]:
    number = client.get_experiment_by_name("made").experiment_id
    return client.search_runs([number], filter_string=f"tags.trial = '{trial}'")


def test_a_validation_is_written_once_with_the_settings_of_its_trial(client):
    watched = tracker([])
    for found in (report(1, 0.1), report(1, 0.1), report(2, 0.3)):
        watched.on_trial_result(0, [], A, found)
    (run,) = runs(client)
    assert (run.data.params, run.data.tags["trial"]) == (
        {"train.gamma": "0.9", "train.seed": "7"},
        A.name,
    )
    history = client.get_metric_history(run.info.run_id, "validation_score")
    assert [(m.step, m.value) for m in history] == [(10, 0.1), (20, 0.3)]


def test_a_sweep_that_is_resumed_goes_on_in_the_same_runs_and_doubles_no_figure(client):
    tracker([]).on_trial_result(0, [], A, report(1, 0.1))
    again = tracker([])
    for found in (report(1, 0.1), report(2, 0.3)):  # a trial that goes on reports its past again
        again.on_trial_result(0, [], A, found)
    again.close(ended())
    (run,) = runs(client)
    history = client.get_metric_history(run.info.run_id, "best_score")
    assert [(m.step, m.value) for m in history] == [(10, 0.1), (20, 0.3)]
    assert (run.info.status, run.data.tags["outcome"]) == ("FINISHED", "stopped: no gain")
    assert len(runs(client, "")) == 1
    third = tracker([])
    third.close(ended())  # it had ended before this start
    (closed,) = runs(client)
    assert (closed.info.end_time, len(client.get_metric_history(run.info.run_id, "best_score"))) == (
        run.info.end_time,
        2,
    )


def test_a_trial_that_ended_where_nobody_tracked_still_has_its_score(client):
    tracker([]).close(ended())
    (run,) = runs(client)
    assert run.data.metrics == {"best_score": 0.3}


def test_two_sweeps_of_one_name_are_told_apart_by_a_run_of_their_own_and_by_every_name(client):
    for sweep_id in ("aaaaaa111111", "bbbbbb222222"):
        tracker([], sweep_id).on_trial_result(0, [], A, report(1, 0.1))
    trials, parents = runs(client), runs(client, "")
    assert {run.info.run_name for run in trials} == {f"aaaaaa {A.name}", f"bbbbbb {A.name}"}
    of = {run.info.run_id: run.data.tags["sweep"] for run in parents}
    assert sorted(of.values()) == ["aaaaaa111111", "bbbbbb222222"]
    for run in trials:
        assert of[run.data.tags["mlflow.parentRunId"]] == run.data.tags["sweep"]
    assert all(
        re.fullmatch(r"(aaaaaa|bbbbbb) sweep of \d{4}-\d\d-\d\d \d\d:\d\d", run.info.run_name)
        for run in parents
    )


def test_the_view_shows_score_settings_and_end_and_its_address_is_that_of_the_experiment(client):
    assert view_address(tracking_place(), "http://here") == "http://here"
    tracker([]).on_trial_result(0, [], A, report(1, 0.1))
    known = client.get_experiment_by_name("made")
    shown = json.loads(known.tags[VIEW_TAG])
    assert shown["selectedColumns"] == [
        "metrics.`best_score`", "params.`train.gamma`", "params.`train.seed`", "tags.`outcome`",
    ]  # fmt: skip
    address = f"http://here/#/experiments/{known.experiment_id}/runs?viewStateShareKey={VIEW}"
    assert view_address(tracking_place(), "http://here") == address


def test_the_run_of_the_sweep_ends_with_the_winners_score(client, tmp_path):
    record = make_sweep(tmp_path, [ended(), ended(id="t0-s1", run="finalists/t0-s1", score=0.2)], A.name)
    sweep([]).conclude(record.replace(winner_run="finalists/t0-s1"))
    (run,) = runs(client, "")
    assert (run.info.status, run.data.metrics["best_score"]) == ("FINISHED", 0.2)
    assert (run.data.tags["winner"], run.data.tags["outcome"]) == (
        A.name,
        f"winner {A.name}: {read_sweep(tmp_path).why}",
    )


def test_a_place_that_dies_with_its_machine_is_said_on_a_cluster(client):
    said: list[str] = []
    sweep(said).open(machines=1)
    assert said == []
    sweep(said).open(machines=3)
    assert len(said) == 1
    assert URI_VARIABLE in said[0]


def test_a_server_that_is_not_there_is_refused_before_a_sweep_and_its_password_not_shown(monkeypatch):
    monkeypatch.setenv(URI_VARIABLE, "http://user:hidden@127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(
        StorageError, match=r"tracked at http://127\.0\.0\.1:9.*unset MLFLOW_TRACKING_URI"
    ) as refused:
        require_tracking("s3://sweeps/one")
    assert "hidden" not in str(refused.value)


def test_a_sweep_with_a_storage_and_no_server_leaves_no_file_in_the_home(monkeypatch, tmp_path):
    monkeypatch.delenv(URI_VARIABLE, raising=False)
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path))
    require_tracking(str(tmp_path / "far"))
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []


def test_a_server_that_goes_away_costs_the_tracking_and_not_the_sweep(monkeypatch):
    said: list[str] = []
    monkeypatch.setenv(URI_VARIABLE, "http://127.0.0.1:9")
    watched = tracker(said)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    watched.on_trial_result(0, [], A, report(1, 0.1))
    watched.on_trial_result(0, [], A, report(2, 0.1))
    assert len(said) == 1
    assert said[0].startswith("tracking at http://127.0.0.1:9 ended:")


def test_a_challenger_stands_in_mlflows_registry_once_under_its_alias(client):
    said: list[str] = []
    for _ in range(2):
        mirror_model(
            "tiny-0123456789ab",
            "challenger",
            "/registry/models/tiny-0123456789ab",
            tracking_place(),
            said.append,
        )
    version = client.get_model_version_by_alias(MODELS_NAME, "challenger")
    assert (version.source, version.tags["model"]) == (
        "/registry/models/tiny-0123456789ab",
        "tiny-0123456789ab",
    )
    assert len(client.search_model_versions(f"name = '{MODELS_NAME}'")) == 1
    assert said == []


@pytest.mark.parametrize(
    "error", [sqlite3.OperationalError("database or disk is full"), OSError(28, "No space left on device")]
)
def test_a_copy_that_fails_costs_the_copy_and_not_the_sweep(tmp_path, monkeypatch, error):
    said: list[str] = []

    def fails(self):
        raise error

    monkeypatch.setattr(TrackingPlace, "keep", fails)
    sweep = SweepTracking(tracking_place(tmp_path, "s3://b/p"), "made", {"sweep": "s1"}, [], said.append)
    sweep.keep()
    assert said == [f"MLflow's runs are not copied: {error}; the sweep goes on"]


def test_a_driver_that_was_taken_over_copies_nothing_over_the_new_ones_runs(tmp_path, monkeypatch):
    def taken_over():
        raise ContractError("was taken over")

    monkeypatch.setattr(TrackingPlace, "keep", lambda self: pytest.fail("it was copied"))
    place, said = tracking_place(tmp_path, "s3://b/p"), []
    SweepTracking(place, "made", {"sweep": "s1"}, [], said.append, taken_over).keep()
    assert said == ["MLflow's runs are not copied: was taken over; the sweep goes on"]


def test_a_registry_of_mlflow_that_cannot_be_opened_is_said_at_the_end_of_a_sweep(tmp_path):
    """MLflow's client opens the file when it is made."""
    place, said = tracking_place(tmp_path, "s3://b/p"), []
    place.file.write_bytes(b"no database at all, but long enough to be looked at" * 20)
    mirror_model("tiny-1", "", "s3://b/r/models/tiny-1", place, said.append)
    assert said[0].startswith("tiny-1 is not shown in MLflow at sqlite:")
