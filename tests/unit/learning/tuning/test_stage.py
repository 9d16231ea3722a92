"""A stage's trials as Ray Tune gets them: names, folders, room, and those that had ended left out."""

from types import SimpleNamespace

import pytest
from made.runs import trial
from ray.tune.schedulers import FIFOScheduler

from kalshi_platform.learning.training.session import RunSettings
from kalshi_platform.learning.tuning import ledger, stage
from kalshi_platform.learning.tuning.experiment import SweepConfig, Variant
from kalshi_platform.learning.tuning.stage import SweepPlaces, run_stage
from kalshi_platform.learning.tuning.stopper import HeldOutMarketStopper

PLANNED = [
    Variant(id=name, values={}, settings=RunSettings().with_values({"train.num_env_runners": k}))
    for k, name in enumerate(("a", "b"))
]


@pytest.mark.parametrize(
    ("storage", "mirrored"), [("", ""), ("s3://bucket/sweep", "s3://bucket/sweep/finalists")]
)
def test_a_task_names_the_folder_of_its_stage_and_the_mirror_of_it(tmp_path, storage, mirrored):
    task = stage._task(PLANNED[0], "finalist", SweepPlaces("/data", tmp_path, storage), population=False)
    assert task.folder == str(tmp_path / "finalists")
    assert task.storage == mirrored
    assert task.settings == PLANNED[0].settings


def test_every_start_of_a_stage_gets_logs_of_its_own(tmp_path):
    assert stage._attempts(tmp_path, "sweep") == 0
    for name in ("sweep-0", "sweep-1", "finalist-0"):
        (tmp_path / "tune" / name).mkdir(parents=True)
    assert stage._attempts(tmp_path, "sweep") == 2


def test_a_trial_reserves_a_core_for_itself_and_for_each_of_its_samplers(tmp_path, monkeypatch):
    asked = {}
    monkeypatch.setattr(stage.tune, "Tuner", lambda trainable, **rest: asked.update(rest))
    monkeypatch.setattr(
        stage.tune, "with_resources", lambda function, room: asked.update(bundles=room.bundles) or function
    )
    sweep = SweepConfig(concurrent=3, max_failures=2)
    stopper = HeldOutMarketStopper(1, 0.0, 1)
    stage._tuner("sweep", PLANNED, FIFOScheduler(), stopper, [], sweep, SweepPlaces("/data", tmp_path, ""))
    assert asked["bundles"] == [{"CPU": 1.0}, {"CPU": 1.0}]  # the most that any of the trials needs
    assert asked["tune_config"].max_concurrent_trials == 3
    assert asked["run_config"].failure_config.max_failures == 2
    assert asked["run_config"].checkpoint_config.num_to_keep is None  # runs keep their own


def test_a_trial_is_called_in_ray_as_in_the_sweep():
    assert stage._name(SimpleNamespace(config={"trial": {"id": "t000-abc"}})) == "t000-abc"


def test_a_stage_whose_trials_have_all_ended_starts_nothing(tmp_path, monkeypatch):
    monkeypatch.delattr(stage, "_tuner")
    ended = {name: trial(name) for name in "ab"}
    for name, record in ended.items():
        folder = tmp_path / "trials" / name
        folder.mkdir(parents=True)
        (folder / ledger.TRIAL_FILE).write_text(record.model_dump_json())
    said: list[str] = []
    place = SweepPlaces("/data", tmp_path, "")
    found = run_stage("sweep", PLANNED, FIFOScheduler(), SweepConfig(), place, None, said.append)
    assert found == ended
    assert said == ["2 of 2 trials had ended before"]


def test_a_stage_that_ended_before_its_trials_is_an_interruption(tmp_path, monkeypatch):
    (tmp_path / "trials").mkdir()
    monkeypatch.setattr(stage, "_tuner", lambda *given: SimpleNamespace(fit=lambda: None))
    place = SweepPlaces("/data", tmp_path, "")
    with pytest.raises(KeyboardInterrupt):
        run_stage("sweep", PLANNED, FIFOScheduler(), SweepConfig(), place, None, lambda line: None)
