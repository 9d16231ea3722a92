"""A trial's reports: the same while it runs and read back, cut at the last checkpoint, own or taken over."""

import contextlib
import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from made.registry_models import made_policy
from made.training import SMALL

from kalshi_platform.domain.errors import ChecksumError, ContractError
from kalshi_platform.learning.training import checkpoint
from kalshi_platform.learning.training.checkpoint import TrainingState, write_checkpoint
from kalshi_platform.learning.training.metrics import METRICS, read_metrics
from kalshi_platform.learning.training.mirror import Mirror
from kalshi_platform.learning.training.progress import Progress
from kalshi_platform.learning.training.session import RunSettings
from kalshi_platform.learning.tuning import trial
from kalshi_platform.learning.tuning.same_program import program_facts
from kalshi_platform.learning.tuning.trial import report_of_progress, reports_of_run
from kalshi_platform.storage.sealed import seal, verify

#: Validated at 1, 3 and 4; the second line carries the first validation forward.
SCORES = {1: 0.1, 2: 0.1, 3: 0.4, 4: 0.2}
VALIDATED = {1: 1, 2: 1, 3: 3, 4: 4}


def line(k):
    numbers = {"score": SCORES[k], "sharpe": 1.0, "iteration": VALIDATED[k], "env_steps": 128 * VALIDATED[k]}
    return {
        "iteration": k, "env_steps": 128 * k, "episode_return": None, "steps_per_s": 9.0,
        "elapsed_s": float(k), "validation": numbers,
    }  # fmt: skip


def run_of(folder, trained_to=4, best=0.4):
    """A run folder of four lines whose newest checkpoint is ``trained_to``; its best is iteration 3."""
    folder.mkdir(parents=True)
    (folder / METRICS).write_text("".join(json.dumps(line(k)) + "\n" for k in SCORES))
    for k in (3, trained_to):
        counters = {"iteration": k, "best_score": best, "best_iteration": 3}
        state = TrainingState({}, {"run": counters}, {"x": np.zeros(1)})
        write_checkpoint(folder, k, made_policy(seed=k), state)
    checkpoint.point(folder, checkpoint.BEST, folder / "checkpoints" / "000003")
    return folder


@pytest.fixture
def told(monkeypatch):
    """What Ray Tune was told, and the checkpoint it hands over."""
    tune = SimpleNamespace(reports=[], given=None)
    monkeypatch.setattr(trial.tune, "report", lambda found, checkpoint=None: tune.reports.append(found))
    monkeypatch.setattr(trial.tune, "get_checkpoint", lambda: tune.given)
    return tune


def test_a_report_holds_the_last_validation_and_the_best(tmp_path):
    found = list(reports_of_run(run_of(tmp_path / "run")))
    assert [f["score"] for f in found] == [0.1, 0.1, 0.4, 0.2]
    assert [f["validated_at"] for f in found] == [1, 1, 3, 4]
    assert (found[3]["validations"], found[3]["without_gain"]) == (3, 1)
    assert (found[3]["best_score"], found[3]["best_iteration"]) == (0.4, 3)
    assert found[3]["validation"] == {"score": 0.2, "sharpe": 1.0}


def test_what_is_read_back_is_what_was_reported_but_for_the_word_replayed(tmp_path):
    validations = [line(k)["validation"] for k in (1, 3, 4)]
    progress = Progress(
        iteration=4, iterations=4, env_steps=512, steps_per_s=9.0, seconds_left=0.0, episode_return=None,
        score=0.2, best_score=0.4, best_iteration=3, validations=tuple(validations), elapsed_s=4.0,
    )  # fmt: skip
    *_, last = reports_of_run(run_of(tmp_path / "run"))
    assert report_of_progress(progress) | {"replayed": True} == last


def test_only_reports_up_to_the_last_checkpoint_are_told_again(tmp_path, told):
    trial._replay(tmp_path / "nothing", 0.0)
    assert told.reports == []
    trial._replay(run_of(tmp_path / "run", trained_to=3), 0.0)
    assert [f["iteration"] for f in told.reports] == [1, 2, 3]


def handed(checkpoint, by):
    """A checkpoint of the run ``by`` as Ray Tune hands it over: in a folder of its own, with its origin."""
    folder = checkpoint.parents[1] / "handed"
    shutil.copytree(checkpoint, folder / checkpoint.name)
    (folder / checkpoint.name / METRICS).write_text("".join(json.dumps(line(k)) + "\n" for k in (1, 2)))
    seal(folder / checkpoint.name)
    (folder / "origin.json").write_text(json.dumps({"trial": by, "checkpoint": checkpoint.name}))
    return SimpleNamespace(as_directory=lambda: contextlib.nullcontext(str(folder)))


def test_a_run_that_takes_over_anothers_weights_keeps_its_own_best(tmp_path, told):
    own, other = run_of(tmp_path / "own"), run_of(tmp_path / "other", trained_to=2, best=9.0)
    told.given = handed((other / "latest").resolve(), "other")
    trial._take_over(own, "own")
    policy, state = checkpoint.read_checkpoint((own / "latest").resolve())
    assert (own / "latest").resolve().name == "000002"
    assert (state.values["run"]["best_score"], state.values["run"]["best_iteration"]) == (0.4, 3)
    weights, taken = (p.network.state_dict() for p in (policy, made_policy(seed=2)))
    assert all(weights[name].equal(taken[name]) for name in weights)
    assert [row["iteration"] for row in read_metrics(own)] == [1, 2]


def test_what_a_run_hands_over_another_can_take_and_its_own_checkpoint_stays_sound(tmp_path, monkeypatch):
    giver, taker = run_of(tmp_path / "giver", best=9.0), run_of(tmp_path / "taker")
    kept = tmp_path / "kept"
    handing = SimpleNamespace(
        Checkpoint=SimpleNamespace(from_directory=lambda folder: shutil.copytree(folder, kept, dirs_exist_ok=True)),
        report=lambda found, checkpoint: None,
        get_checkpoint=lambda: SimpleNamespace(as_directory=lambda: contextlib.nullcontext(str(kept))),
    )
    monkeypatch.setattr(trial, "tune", handing)
    (giver / "latest" / "validation.json").write_text("{}")
    seal((giver / "latest").resolve())
    trial._report_with_checkpoint({}, giver, "giver")
    verify((giver / "latest").resolve())
    trial._take_over(taker, "taker")
    assert checkpoint.read_checkpoint((taker / "latest").resolve())[1].values["run"]["best_score"] == 0.4
    assert [row["iteration"] for row in read_metrics(taker)] == [1, 2, 3, 4]
    # Paused before Tune heard of it, the giver's next checkpoint is copied over this one.
    write_checkpoint(giver, 5, made_policy(seed=4), TrainingState({}, {"run": {}}, {"x": np.zeros(1)}))
    trial._report_with_checkpoint({}, giver, "giver")
    trial._take_over(taker, "taker")
    assert (taker / "latest").resolve().name == "000005"
    (giver / "latest" / "policy.pt").write_bytes(b"damaged")
    with pytest.raises(ChecksumError, match="policy"):
        trial._report_with_checkpoint({}, giver, "giver")


def test_a_run_that_is_handed_its_own_checkpoint_stays_where_it_is(tmp_path, told):
    own = run_of(tmp_path / "own")
    trial._take_over(own, "own")  # nothing was handed over
    told.given = handed((own / "checkpoints" / "000003").resolve(), "own")
    trial._take_over(own, "own")
    assert (own / "latest").resolve().name == "000004"


def test_a_trial_that_began_before_resumes_and_reports_what_it_had(tmp_path, told, monkeypatch):
    run_of(tmp_path / "t000")
    asked = {}

    def run_training(settings, dataset, run, report, resume, mutated):
        asked.update(settings=settings, run=run, resume=resume, mutated=mutated)

    monkeypatch.setattr(trial, "run_training", run_training)
    context = SimpleNamespace(get_trial_name=lambda: "t000")
    monkeypatch.setattr(trial.tune, "get_context", lambda: context)
    task = trial.Task(settings=RunSettings(train=SMALL), dataset="/data", folder=str(tmp_path))
    trial.run_trial({"trial": {"task": task.model_dump(mode="json")}})
    assert (asked["run"], asked["resume"], asked["mutated"]) == (tmp_path / "t000", True, frozenset())
    assert asked["settings"].train == SMALL
    assert [f["replayed"] for f in told.reports] == [True] * 4


@pytest.fixture
def started(monkeypatch, told):
    """A trial called t000 whose training only reports once what lies in its run's folder."""
    seen = []

    def run_training(settings, dataset, run, report, resume, mutated):
        seen.append((run, resume))

    monkeypatch.setattr(trial, "run_training", run_training)
    monkeypatch.setattr(trial.tune, "get_context", lambda: SimpleNamespace(get_trial_name=lambda: "t000"))

    def start(**changes):
        task = trial.Task(settings=RunSettings(train=SMALL), dataset="/data", **changes)
        trial.run_trial({"trial": {"task": task.model_dump(mode="json")}})
        return seen[-1]

    return start


def test_a_machine_that_never_saw_the_sweep_goes_on_from_the_mirror_in_its_own_home(
    tmp_path, told, started, monkeypatch
):
    store = tmp_path / "store"
    Mirror(f"{store}/trials/t000").push(run_of(tmp_path / "elsewhere" / "t000"))
    monkeypatch.setenv("KALSHI_PLATFORM_HOME", str(tmp_path / "home"))
    run, resume = started(folder="made-1/trials", storage=f"{store}/trials", claim="c1")
    assert (run, resume) == (tmp_path / "home" / "sweeps" / "made-1" / "trials" / "t000", True)
    assert [f["iteration"] for f in told.reports] == [1, 2, 3, 4]
    with pytest.raises(ContractError, match="cache of another sweep"):
        started(folder="made-1/trials", storage=f"{store}/trials", claim="c2")


def test_a_machine_with_another_program_than_the_driver_refuses_by_name(tmp_path, started, told):
    facts = program_facts()
    started(folder=str(tmp_path), program=facts)
    with pytest.raises(ContractError, match=f"code feedbeef there, {facts['code']} here"):
        started(folder=str(tmp_path), program={**facts, "code": "feedbeef"})


def test_a_machine_that_does_not_see_the_drivers_folder_trains_nothing(tmp_path, started, told):
    with pytest.raises(
        ContractError, match=f"does not reach the sweep in {tmp_path}: give the sweep a --sto"
    ):
        started(folder=str(tmp_path / "trials"), claim="c1")
    (tmp_path / "plan.json").write_text('{"claim": {"token": "c1"}}')
    assert started(folder=str(tmp_path / "trials"), claim="c1") == (tmp_path / "trials" / "t000", False)
