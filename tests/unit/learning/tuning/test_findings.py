"""Loading runs and sweeps, and what is found over them: from folders to corrected figures."""

import json
import shutil

import numpy as np
import pytest
from made.runs import DATASET, make_run, make_sweep, trial, whole_sweep

from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.evaluation.statistics.overfitting import (
    TrialReturns,
    backtest_overfitting,
    deflate,
    effective_trials,
)
from kalshi_platform.evaluation.statistics.superiority import DO_NOTHING
from kalshi_platform.learning.training import checkpoint, session
from kalshi_platform.learning.tuning import load_runs as loading
from kalshi_platform.learning.tuning.findings import FindingsConfig, find
from kalshi_platform.learning.tuning.load_runs import load, varied
from kalshi_platform.learning.tuning.words import figures, survives, verdict

QUICK = FindingsConfig(cscv={"blocks": 8}, superiority={"resamples": 300}, bootstrap={"resamples": 500})


def noise(n, seed, mean=0.0):
    return np.random.default_rng(seed).normal(mean, 0.02, n)


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep") / "made"
    whole_sweep(folder)
    return folder


@pytest.fixture(scope="module")
def loaded(sweep):
    return load([sweep])


def by_name(loaded):
    return {run.name: run for run in loaded.runs}


def test_files_are_named_as_training_names_them():
    assert loading.RUN_FILE == session.RUN_FILE
    assert loading.BEST == checkpoint.BEST


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


def test_a_folder_that_is_neither_is_refused_and_nothing_is_too(tmp_path):
    with pytest.raises(DataError, match=r"neither a sweep .* nor a run"):
        load([tmp_path])
    with pytest.raises(ContractError, match="nothing to compare"):
        load([])


@pytest.mark.parametrize("text", ["{", '{"b": 3}', '{"b": {"e": "much"}}'])
def test_damaged_baselines_are_refused_by_name(tmp_path, text):
    make_sweep(tmp_path, [])
    (tmp_path / "baselines.json").write_text(text)
    with pytest.raises(DataError, match=r"baselines\.json is not a table of returns"):
        load([tmp_path])


def test_a_damaged_run_is_shown_with_its_problems(tmp_path):
    make_run(tmp_path / "a", noise(10, 1))
    (tmp_path / "a" / "run.json").write_text("{")
    with (tmp_path / "a" / "metrics.jsonl").open("a") as file:
        file.write('{"iteration": 7, "env')  # killed while it wrote
    (tmp_path / "a" / "best" / "validation.json").write_text('{"score": 1}')
    (run,) = load([tmp_path / "a"]).runs
    told = " | ".join(run.problems)
    assert "run.json is not JSON" in told
    assert "metrics.jsonl line 7 is not JSON" in told
    assert "Validation.low" in told
    assert run.curve == ()


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


def test_the_corrections_are_those_of_the_trials_and_not_of_the_finalists(loaded):
    got = find(loaded, QUICK)
    assert got.trials == tuple(f"t{k:02d}" for k in range(6))
    assert len(got.events) == 24
    assert {out.run for out in got.left_out} == {"t98", "t99"}
    runs = by_name(loaded)
    returns = TrialReturns.of({name: runs[name].validation.events for name in got.trials})
    assert got.effective == effective_trials(returns)
    assert got.deflated == deflate(returns, "t01", got.effective)
    assert got.overfitting == backtest_overfitting(returns, QUICK.cscv)
    assert got.returns == tuple(map(tuple, returns.values.tolist()))


def test_the_true_winner_survives_and_beats_doing_nothing_and_the_baseline(loaded):
    got = find(loaded, QUICK)
    assert (got.winner, got.why) == ("t01", "best validation score of its rung")
    assert [s.benchmark for s in got.superiority] == [DO_NOTHING, "market maker"]
    assert all(s.p_value < 0.05 for s in got.superiority)
    assert got.overfitting.probability < 0.1
    assert survives(got)
    assert verdict(got) == "t01 survives the corrections for having tried 6 trials."


def test_a_winner_by_luck_does_not_survive_and_the_reasons_are_named(tmp_path):
    scores = whole_sweep(tmp_path / "s", n_trials=10, edge=0.0, seed=4, finalists=0)
    got = find(load([tmp_path / "s"]), QUICK)
    assert got.winner == max(scores, key=scores.get)
    assert not survives(got)
    assert "not shown to be more than luck" in verdict(got)
    assert f"no trial is shown to beat {DO_NOTHING}" in verdict(got)


def test_finalists_are_the_further_seeds_of_one_setting(loaded):
    (finalist,) = find(loaded, QUICK).finalists
    assert finalist.values == {"train.learning_rate": 3e-4, "train.level": "simple"}
    assert finalist.spread.n_seeds == 5
    assert set(finalist.spread.scores) == {f"f{k}" for k in range(5)}
    assert finalist.spread.iqm.above_zero
    shown = figures(find(loaded, QUICK))[-1]
    assert (shown.name, shown.behind, shown.tone) == ("mean over seeds", "5 seeds, 24 events", "good")
    assert "learning_rate 0.0003, level simple" in shown.meaning


def test_without_baselines_doing_nothing_is_the_only_benchmark(tmp_path):
    found = make_run(tmp_path / "trials" / "t0", noise(12, 1, 0.03))
    make_sweep(tmp_path, [trial("t0", found)])
    assert [s.benchmark for s in find(load([tmp_path]), QUICK).superiority] == [DO_NOTHING]


def test_runs_of_another_dataset_stay_out_of_the_statistics(tmp_path):
    make_run(tmp_path / "a", noise(12, 1))
    make_run(tmp_path / "b", noise(12, 2))
    make_run(tmp_path / "c", noise(12, 3, 0.5), digest="ffff")
    loaded = load([tmp_path / name for name in "abc"])
    got = find(loaded, QUICK)
    assert got.trials == ("a", "b")
    assert got.dataset_digest == DATASET
    assert got.left_out[0].run == "c"
    assert "another dataset (ffff, not 0123456789ab)" in got.left_out[0].why
    assert by_name(loaded)["c"].curve  # but is still shown


def test_a_run_that_does_not_say_its_dataset_is_never_paired(tmp_path):
    make_run(tmp_path / "a", noise(12, 1, 0.5))
    (tmp_path / "a" / "run.json").unlink()
    make_run(tmp_path / "b", noise(12, 2))
    got = find(load([tmp_path / "a", tmp_path / "b"]), QUICK)
    assert got.winner == "b"
    assert got.left_out[0].why == "it does not say which dataset it was made on"


def test_a_winner_whose_validation_is_gone_is_replaced_and_that_is_said(sweep, tmp_path):
    shutil.copytree(sweep, tmp_path / "s", symlinks=True)
    (tmp_path / "s" / "trials" / "t01" / "best").unlink()
    got = find(load([tmp_path / "s"]), QUICK)
    assert got.winner not in (None, "t01")
    assert got.why.startswith("the sweep's own winner t01 holds no validation; best validation score")


def test_events_that_only_some_trials_know_are_dropped_and_counted(tmp_path):
    make_run(tmp_path / "a", noise(12, 1))
    make_run(tmp_path / "b", noise(15, 2))
    got = find(load([tmp_path / "a", tmp_path / "b"]), QUICK)
    assert (len(got.events), got.events_dropped) == (12, 3)


def test_baselines_of_two_sweeps_are_merged_and_told_apart_where_they_differ(tmp_path):
    rows = {f"EVENT-{k:03d}": 0.01 * k for k in range(12)}
    other = dict.fromkeys(rows, 0.0)
    for name, base in (("x", rows), ("y", other)):
        found = make_run(tmp_path / name / "trials" / name, noise(12, 1 if name == "x" else 2))
        make_sweep(tmp_path / name, [trial(name, found)], baselines={"maker": base, "same": rows}, name=name)
    got = find(load([tmp_path / "x", tmp_path / "y"]), QUICK)
    assert [s.benchmark for s in got.superiority] == [DO_NOTHING, "maker", "same", "y/maker"]


def test_one_run_alone_has_a_note_for_each_figure_that_needs_more(tmp_path):
    make_run(tmp_path / "a", noise(12, 1))
    got = find(load([tmp_path / "a"]), QUICK)
    shown = {f.name: f for f in figures(got)}
    assert shown["effective number of trials"].value == "-"
    assert "nothing was selected from" in shown["effective number of trials"].meaning
    assert shown["deflated Sharpe ratio"].value.endswith("%")
    assert shown["deflated Sharpe ratio"].behind == "1 trial, 12 events"
    assert "nan" not in json.dumps(got.model_dump(mode="json")).lower()


def test_no_validated_run_is_a_verdict_not_an_error(tmp_path):
    make_run(tmp_path / "a", None)
    got = find(load([tmp_path / "a"]), QUICK)
    assert got.winner is None
    assert verdict(got).startswith("No winner: no run of a known dataset holds a validation")
    assert not survives(got)
