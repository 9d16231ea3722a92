"""A stage's trials as Ray Tune gets them: names, folders, room, and those that had ended left out."""

from types import SimpleNamespace
from typing import Any

import pytest
from made.runs import trial
from ray.tune.schedulers import FIFOScheduler

from kalshi_platform.domain.errors import ContractError, StorageError
from kalshi_platform.learning.training.machine import WORKER_BYTES
from kalshi_platform.learning.training.session import RunSettings
from kalshi_platform.learning.tuning import room, stage
from kalshi_platform.learning.tuning.experiment import SweepConfig, Variant
from kalshi_platform.learning.tuning.same_program import OTHER_PROGRAM, program_facts
from kalshi_platform.learning.tuning.stage import SweepPlaces, run_stage
from kalshi_platform.learning.tuning.stopper import HeldOutMarketStopper
from kalshi_platform.learning.tuning.sweep_record import TRIAL_FILE
from kalshi_platform.learning.tuning.sweep_store import SweepStore

PLANNED = [
    Variant(id=name, values={}, settings=RunSettings().with_values({"train.num_env_runners": k}))
    for k, name in enumerate(("a", "b"))
]


@pytest.mark.parametrize(
    ("storage", "mirrored"), [("", ""), ("s3://bucket/sweep", "s3://bucket/sweep/finalists")]
)
def test_a_task_names_the_folder_of_its_stage_and_the_mirror_of_it(tmp_path, storage, mirrored):
    place = SweepPlaces("/data", SweepStore(tmp_path, storage, "c1"))
    task = stage._task(PLANNED[0], "finalist", place, SweepConfig(min_gain=0.5))
    assert task.runs == tmp_path / "finalists"
    assert task.storage == mirrored
    assert task.settings == PLANNED[0].settings
    assert (task.min_gain, task.claim, task.program) == (0.5, "c1", program_facts())


def test_where_nobody_names_a_folder_every_machine_takes_one_in_its_own_home(tmp_path, monkeypatch):
    cache = tmp_path / "drivers" / "sweeps" / "made-1"
    store = SweepStore(cache, "s3://bucket/sweep", "c1", chosen_by_user=False)
    task = stage._task(PLANNED[0], "sweep", SweepPlaces("/data", store), SweepConfig())
    monkeypatch.setenv("KALSHI_PLATFORM_HOME", str(tmp_path / "workers"))
    assert task.runs == tmp_path / "workers" / "sweeps" / "made-1" / "trials"


def test_a_trial_reserves_a_core_for_itself_and_for_each_of_its_samplers(tmp_path, monkeypatch):
    asked = {}
    monkeypatch.setattr(stage.tune, "Tuner", lambda trainable, **rest: asked.update(rest))
    monkeypatch.setattr(
        stage.tune, "with_resources", lambda function, room: asked.update(bundles=room.bundles) or function
    )
    sweep = SweepConfig(concurrent=3, max_failures=2)
    stopper = HeldOutMarketStopper(1, 0.0, 1)
    place = SweepPlaces("/data", SweepStore(tmp_path))
    stage._tuner("sweep", PLANNED, FIFOScheduler(), stopper, [], sweep, place)
    cores, memory = ([bundle[name] for bundle in asked["bundles"]] for name in ("CPU", "memory"))
    assert cores == [1.0, 1.0]  # the most that any of the trials needs
    assert memory == [room.TRIAL_BYTES, WORKER_BYTES]
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
        (folder / TRIAL_FILE).write_text(record.model_dump_json())
    said: list[str] = []
    place = SweepPlaces("/data", SweepStore(tmp_path))
    found = run_stage("sweep", PLANNED, FIFOScheduler(), SweepConfig(), place, None, said.append)
    assert found == ended
    assert said == ["2 of 2 trials had ended before"]


def test_a_stage_that_another_program_ended_is_refused_in_its_words(tmp_path, monkeypatch):
    def fit():
        error = RuntimeError(f"ContractError: machine x {OTHER_PROGRAM}")
        ledgers[0].on_trial_error(1, [], SimpleNamespace(trial_id="a", get_error=lambda: error))

    ledgers: list[Any] = []
    monkeypatch.setattr(
        stage, "_tuner", lambda *given: ledgers.append(given[4][0]) or SimpleNamespace(fit=fit)
    )
    place = SweepPlaces("/data", SweepStore(tmp_path))
    with pytest.raises(ContractError, match=r"machine x runs another program .*continue with --resume"):
        run_stage("sweep", PLANNED, FIFOScheduler(), SweepConfig(), place, None, print)


def test_a_stage_whose_storage_went_away_ends_as_a_storage_does(tmp_path, monkeypatch):
    ledgers: list[Any] = []

    def fit():
        ledgers[0].refusal = StorageError("cannot write s3://bucket/trials/a/trial.json")

    monkeypatch.setattr(
        stage, "_tuner", lambda *given: ledgers.append(given[4][0]) or SimpleNamespace(fit=fit)
    )
    place = SweepPlaces("/data", SweepStore(tmp_path))
    with pytest.raises(StorageError, match=r"cannot write .*continue with --resume"):
        run_stage("sweep", PLANNED, FIFOScheduler(), SweepConfig(), place, None, print)


def test_a_stage_that_ended_before_its_trials_is_an_interruption(tmp_path, monkeypatch):
    (tmp_path / "trials").mkdir()
    monkeypatch.setattr(stage, "_tuner", lambda *given: SimpleNamespace(fit=lambda: None))
    place = SweepPlaces("/data", SweepStore(tmp_path))
    with pytest.raises(KeyboardInterrupt):
        run_stage("sweep", PLANNED, FIFOScheduler(), SweepConfig(), place, None, lambda line: None)
