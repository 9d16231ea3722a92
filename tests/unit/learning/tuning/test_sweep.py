"""The plan of a sweep says what it computes; its record grows as more is known, over all of its starts."""

import importlib
import json
import pkgutil
from types import SimpleNamespace

import pytest
from made.runs import trial

import tune_experiments
from kalshi_platform.learning.training.session import RunSettings
from kalshi_platform.learning.tuning import sweep
from kalshi_platform.learning.tuning.claim import differences
from kalshi_platform.learning.tuning.experiment import Experiment
from kalshi_platform.learning.tuning.ledger import write_trial
from kalshi_platform.learning.tuning.selection import WinnerChoice
from kalshi_platform.learning.tuning.sweep import SweepRequest, plan_of
from kalshi_platform.learning.tuning.sweep_record import SWEEP_FILE, TRIAL_FILE, read_sweep
from kalshi_platform.learning.tuning.sweep_store import SweepStore

DATASET = SimpleNamespace(uri="/data", digest="d" * 12)
EXPERIMENTS = sorted(m.name for m in pkgutil.iter_modules(tune_experiments.__path__) if m.name != "base")


def experiment() -> Experiment:
    return Experiment("made", "Is it so?", "No.", {"train.gamma": [0.9, 0.99]}, RunSettings())


@pytest.mark.parametrize("smoke", [False, True])
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_finds_its_own_plan_again(name, smoke):
    asked = importlib.import_module(f"tune_experiments.{name}").EXPERIMENT
    plan = plan_of(asked.smoked() if smoke else asked, DATASET.digest)
    assert differences(json.loads(json.dumps(plan)), plan) == []


def found_in(store: SweepStore) -> sweep._Found:
    return sweep._Found(experiment(), SweepRequest(dataset="/data", command="sweep made"), DATASET, store)


def test_the_record_is_readable_before_and_after_the_winner_is_known(tmp_path):
    found = found_in(SweepStore(tmp_path))
    found.write([trial("t1"), trial("t0")])
    early = read_sweep(tmp_path)
    assert (early.winner, early.why, early.command) == (None, "", "sweep made")
    trials = [trial("f0", stage="finalist"), trial("t1"), trial("t0")]
    found.write(trials, WinnerChoice(winner="t1", why="the best of two", run="finalists/f0"))
    late = read_sweep(tmp_path)
    assert [t.id for t in late.trials] == ["t0", "t1", "f0"]  # finalists last
    assert (late.winner, late.winner_run) == ("t1", "finalists/f0")
    assert late.started_at == early.started_at


def test_a_resumed_sweep_keeps_when_it_began_and_adds_up_its_time(tmp_path):
    store = SweepStore(tmp_path / "here", str(tmp_path / "store"), "c1")
    first = found_in(store).write(())
    began = first.replace(started_at="2026-11-01T00:00:00+00:00", wall_s=100.0)
    (tmp_path / "store" / SWEEP_FILE).write_text(began.model_dump_json())
    elsewhere = SweepStore(tmp_path / "there", str(tmp_path / "store"), "c1")
    elsewhere.fetch()
    second = found_in(elsewhere).write(())
    assert second.started_at == began.started_at
    assert 100.0 <= second.wall_s < 200.0
    assert json.loads((tmp_path / "store" / SWEEP_FILE).read_text())["wall_s"] == second.wall_s


def test_a_resumed_sweep_shows_what_it_knows_until_the_next_trial_has_ended(tmp_path):
    store = SweepStore(tmp_path)
    trials = [trial("t0"), trial("f0", stage="finalist")]
    for record in trials:
        write_trial(tmp_path / record.run, record)
    won = found_in(store).write(trials, WinnerChoice(winner="t0", why="the best", run="finalists/f0"))
    again = found_in(store).begin()
    assert (again.trials, again.winner, again.winner_run) == (won.trials, "t0", "finalists/f0")
    (tmp_path / "finalists" / "f0" / TRIAL_FILE).unlink()  # it will run again, and another may win
    again = found_in(store).begin()
    assert ([t.id for t in again.trials], again.winner, again.winner_run) == (["t0"], None, None)


@pytest.mark.parametrize("damaged", ["{", "{}"])
def test_a_damaged_record_is_written_again_by_the_resume_that_it_asks_for(tmp_path, damaged):
    (tmp_path / SWEEP_FILE).write_text(damaged)
    said: list[str] = []
    found = sweep._Found(
        experiment(), SweepRequest(dataset="/data"), DATASET, SweepStore(tmp_path), said.append
    )
    assert found.begin() == read_sweep(tmp_path)
    assert "it is written again" in said[0]


def test_everything_is_checked_before_anything_is_written(tmp_path, monkeypatch):
    seen: list[str] = []
    dataset = SimpleNamespace(uri="/data", digest="d" * 12)
    monkeypatch.setattr(sweep, "Dataset", SimpleNamespace(open=lambda uri: dataset))
    monkeypatch.setattr(sweep, "require_ready", lambda settings, dataset: seen.append("ready"))
    monkeypatch.setattr(sweep, "require_tracking", lambda storage: seen.append("tracking"))
    prepared = sweep.prepare_sweep(experiment(), SweepRequest(dataset="/data", out=tmp_path / "new"))
    assert seen == ["ready", "ready", "tracking"]
    assert not (tmp_path / "new").exists()
    other = sweep.prepare_sweep(experiment().with_settings({"train.seed": 0}, {"seed": 5}), prepared.request)
    assert {v.id for v in prepared.planned}.isdisjoint(v.id for v in other.planned)
