"""A sweep's folder is taken once and continued as it began; its record grows as more is known."""

import json
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from made.runs import trial

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.learning.training.session import RunSettings
from kalshi_platform.learning.tuning import sweep
from kalshi_platform.learning.tuning.experiment import Experiment
from kalshi_platform.learning.tuning.selection import WinnerChoice
from kalshi_platform.learning.tuning.sweep import PLAN_FILE, SweepRequest
from kalshi_platform.learning.tuning.sweep_record import read_sweep

DATASET = SimpleNamespace(uri="/data", digest="d" * 12)


def experiment(**sweep_settings) -> Experiment:
    space = {"train.gamma": [0.9, 0.99]}
    return Experiment("made", "Is it so?", "No.", space, RunSettings()).with_settings({}, sweep_settings)


def request(out: Path, **changes) -> SweepRequest:
    return SweepRequest(dataset="/data", out=out, **changes)


def test_a_folder_is_taken_once_and_continued_with_resume(tmp_path):
    plan = sweep._plan(experiment(), DATASET)
    sweep._claim(request(tmp_path), plan)
    assert json.loads((tmp_path / PLAN_FILE).read_text()) == json.loads(json.dumps(plan))
    with pytest.raises(ContractError, match="--resume"):
        sweep._claim(request(tmp_path), plan)
    sweep._claim(request(tmp_path, resume=True), plan)


def test_nothing_is_resumed_where_nothing_began(tmp_path):
    with pytest.raises(ContractError, match="no sweep to resume"):
        sweep._claim(request(tmp_path, resume=True), sweep._plan(experiment(), DATASET))


@pytest.mark.parametrize(
    ("asked", "dataset", "named"),
    [
        (experiment(samples=3), DATASET, "sweep"),
        (experiment(), SimpleNamespace(uri="/data", digest="e" * 12), "dataset"),
    ],
)
def test_a_sweep_is_not_continued_as_another(tmp_path, asked, dataset, named):
    sweep._claim(request(tmp_path), sweep._plan(experiment(), DATASET))
    with pytest.raises(ContractError, match=f"begun with another {named}"):
        sweep._claim(request(tmp_path, resume=True), sweep._plan(asked, dataset))


def test_the_record_is_readable_before_and_after_the_winner_is_known(tmp_path):
    found = sweep._Found(experiment(), request(tmp_path, command="sweep made"), DATASET, time.monotonic())
    found.write([trial("t1"), trial("t0")])
    early = read_sweep(tmp_path)
    assert (early.winner, early.why, early.command) == (None, "", "sweep made")
    trials = [trial("f0", stage="finalist"), trial("t1"), trial("t0")]
    found.write(trials, WinnerChoice(winner="t1", why="the best of two", run="finalists/f0"))
    late = read_sweep(tmp_path)
    assert [t.id for t in late.trials] == ["t0", "t1", "f0"]  # finalists last
    assert (late.winner, late.winner_run) == ("t1", "finalists/f0")
    assert late.started_at == early.started_at
