"""Run and sweep folders read back as they are, with what could not be read."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from made.runs import make_run, make_sweep, trial

from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.learning.training import checkpoint, mirror, session
from kalshi_platform.learning.tuning import load_runs as loading
from kalshi_platform.learning.tuning import page, sweep_store
from kalshi_platform.learning.tuning.findings import FindingsConfig, find
from kalshi_platform.learning.tuning.load_runs import load, storage_of_copy, varied
from kalshi_platform.storage.sealed import seal

QUICK = FindingsConfig(cscv={"blocks": 8}, superiority={"resamples": 300}, bootstrap={"resamples": 500})


def noise(n, seed, mean=0.0):
    return np.random.default_rng(seed).normal(mean, 0.02, n)


def by_name(loaded):
    return {run.name: run for run in loaded.runs}


def test_files_are_named_as_training_names_them():
    assert loading.RUN_FILE == session.RUN_FILE
    assert loading.BEST == checkpoint.BEST
    assert loading.CACHE_FILE == sweep_store.CACHE_FILE
    assert loading.MIRROR_FILE == mirror.MIRROR_FILE
    assert loading.COMPARE_HTML == page.COMPARE_HTML


def test_every_trial_is_accounted_for_with_its_end(loaded):
    runs = by_name(loaded)
    assert len(runs) == 6 + 2 + 5
    assert (runs["t02"].status, runs["t02"].reason) == (
        "stopped",
        "no gain of 0.001 in 4 validations; best at iteration 24",
    )
    assert runs["t98"].status == "failed"  # its folder was never made
    assert (runs["t98"].curve, runs["t98"].validation, runs["t98"].score) == ((), None, None)
    assert runs["t99"].validation is None
    assert runs["t01"].validation.score == runs["t01"].score
    assert len(runs["t01"].validation.events) == 24
    assert [run.stage for run in loaded.runs].count("finalist") == 5


def test_a_curve_holds_the_scores_that_changed_and_the_last(loaded):
    # six lines, validated at 2, 4, 6 and carried between: 1/3, 2/3 and all of the score
    curve = by_name(loaded)["t01"].curve
    score = by_name(loaded)["t01"].score
    assert [p.env_steps for p in curve] == [2 * 4096, 4 * 4096, 6 * 4096]
    assert [p.score for p in curve] == pytest.approx([score / 3, score * 2 / 3, score])


def test_what_varies_are_the_swept_settings_and_never_the_seed(loaded):
    assert varied(loaded.runs) == ("train.learning_rate", "train.level", "train.entropy_coeff")


def test_runs_trained_alone_differ_in_what_their_settings_say(tmp_path):
    make_run(tmp_path / "a", noise(10, 1), learning_rate=1e-3, seed=1)
    make_run(tmp_path / "b", noise(10, 2), learning_rate=1e-4, seed=2)
    loaded = load([tmp_path / "a", tmp_path / "b"])
    assert varied(loaded.runs) == ("train.learning_rate",)
    assert [run.value("train.learning_rate") for run in loaded.runs] == [1e-3, 1e-4]
    assert [run.seed for run in loaded.runs] == [1, 2]
    assert loaded.runs[0].status == "unfinished"
    assert loaded.runs[0].reason == "24,576 of 1,000,000 steps; its folder does not say why it ended"


def test_a_run_that_used_its_steps_is_finished(tmp_path):
    make_run(tmp_path / "a", noise(10, 1), total_env_steps=20_000)
    assert load([tmp_path / "a"]).runs[0].status == "finished"


def test_a_run_named_twice_or_inside_its_sweep_is_one_run(sweep, loaded):
    again = load([sweep, sweep, sweep / "trials" / "t01"])
    assert [run.name for run in again.runs] == [run.name for run in loaded.runs]


def test_equal_names_are_told_apart(tmp_path):
    for name in ("x", "y"):
        found = make_run(tmp_path / name / "trials" / "t0", noise(10, 1))
        make_sweep(tmp_path / name, [trial("t0", found)], name=name)
    make_run(tmp_path / "t0", noise(10, 1))
    make_run(tmp_path / "z" / "t0", noise(10, 1))
    loaded = load([tmp_path / "x", tmp_path / "y", tmp_path / "t0", tmp_path / "z" / "t0"])
    assert [run.name for run in loaded.runs] == ["x/t0", "y/t0", "t0", "t0 (2)"]


def test_two_sweeps_of_one_name_are_told_apart_by_their_id_or_their_folder(tmp_path):
    for name, sweep_id in (("x", "abcdef123456"), ("y", "")):
        found = make_run(tmp_path / name / "trials" / "t0", noise(10, 1))
        make_sweep(tmp_path / name, [trial("t0", found)], id=sweep_id)
    loaded = load([tmp_path / "x", tmp_path / "y"])
    assert [sweep.label for sweep in loaded.sweeps] == ["made abcdef", "made y"]
    assert [run.name for run in loaded.runs] == ["made abcdef/t0", "made y/t0"]
    assert [run.sweep for run in loaded.runs] == ["made abcdef", "made y"]
    assert load([tmp_path / "x"]).sweeps[0].label == "made"


def test_every_run_of_several_sweeps_says_of_which_it_is(tmp_path):
    for name in ("x", "y"):
        found = make_run(tmp_path / name / "trials" / name, noise(10, 1))
        make_sweep(tmp_path / name, [trial(name, found)], name=f"asks-{name}")
    assert [run.name for run in load([tmp_path / "x", tmp_path / "y"]).runs] == ["asks-x/x", "asks-y/y"]


def test_a_copy_names_the_storage_it_is_of(tmp_path):
    assert storage_of_copy(tmp_path) == ""
    (tmp_path / "cache.json").write_text('{"storage": "s3://bucket/p", "claim": "c"}')
    assert storage_of_copy(tmp_path) == "s3://bucket/p"


def test_a_folder_that_is_neither_is_refused_and_nothing_is_too(tmp_path):
    with pytest.raises(DataError, match=r"neither a sweep .* nor a run"):
        load([tmp_path])
    with pytest.raises(ContractError, match="nothing to compare"):
        load([])


@pytest.mark.parametrize("text", ["{", '{"b": 3}', '{"b": {"e": "much"}}'])
def test_damaged_baselines_are_refused_by_name(tmp_path, text):
    make_sweep(tmp_path, [trial("a")])
    (tmp_path / "baselines.json").write_text(text)
    with pytest.raises(DataError, match=r"baselines\.json is not a table of returns"):
        load([tmp_path])


def test_a_damaged_run_is_shown_with_its_problems(tmp_path):
    make_run(tmp_path / "a", noise(10, 1))
    (tmp_path / "a" / "run.json").write_text("{")
    with (tmp_path / "a" / "metrics.jsonl").open("a") as file:
        file.write('{"iteration": 7, "env')  # killed while it wrote
    (tmp_path / "a" / "best" / "validation.json").write_text('{"score": 1}')
    seal(tmp_path / "a" / "best")
    (run,) = load([tmp_path / "a"]).runs
    told = " | ".join(run.problems)
    assert "run.json is not JSON" in told
    assert "metrics.jsonl line 7 is not JSON" in told
    assert "Validation.low" in told
    assert run.curve == ()


def test_a_score_whose_checkpoint_was_changed_is_not_believed(tmp_path):
    found = make_run(tmp_path / "trials" / "t0", noise(10, 1))
    make_sweep(tmp_path, [trial("t0", found)], winner="t0")
    path = tmp_path / "trials" / "t0" / "best" / "validation.json"
    path.write_text(path.read_text().replace('"score":', '"score": '))
    (run,) = load([tmp_path]).runs
    assert "validation.json has " in run.problems[0]
    assert "its manifest says" in run.problems[0]


def test_a_best_checkpoint_that_is_gone_is_said_and_keeps_the_run_out_of_the_corrections(tmp_path):
    found = make_run(tmp_path / "trials" / "t0", noise(10, 1))
    shutil.rmtree(tmp_path / "trials" / "t0" / "checkpoints")
    make_sweep(tmp_path, [trial("t0", found)], winner="t0")
    loaded = load([tmp_path])
    assert "points at a checkpoint that is gone" in loaded.runs[0].problems[0]
    assert loaded.runs[0].score == found.score
    got = find(loaded, QUICK)
    assert (got.winner, got.deflated, got.trials) == (None, None, ())
    assert "checkpoint that is gone" in got.left_out[0].why


def test_a_sweep_of_which_no_trial_has_ended_yet_is_named(tmp_path):
    make_sweep(tmp_path, [])
    with pytest.raises(DataError, match=f"no trial of {tmp_path} has ended yet"):
        load([tmp_path])


def test_a_sweep_named_twice_is_one_and_two_copies_of_one_are_refused(tmp_path, monkeypatch):
    for place in ("here", "there"):
        make_sweep(tmp_path / place, [trial("t0")], id="c1")
    monkeypatch.chdir(tmp_path)
    found = load([Path("here"), tmp_path / "here", Path("here/../here")])
    assert [(s.folder, len(found.runs)) for s in found.sweeps] == [("here", 1)]
    with pytest.raises(ContractError, match=r"here and .*there are copies of one sweep \(c1\): name one"):
        load([Path("here"), Path("there")])
