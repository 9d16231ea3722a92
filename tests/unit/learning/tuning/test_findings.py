"""Loading runs and sweeps, and what is found over them: from folders to corrected figures."""

import shutil

import numpy as np
from made.runs import DATASET, make_run, make_sweep, trial

from kalshi_platform.evaluation.judging.validation import VALIDATION_FILE
from kalshi_platform.evaluation.statistics.overfitting import (
    TrialReturns,
    backtest_overfitting,
    deflate,
    effective_trials,
)
from kalshi_platform.evaluation.statistics.superiority import DO_NOTHING
from kalshi_platform.learning.tuning.findings import FindingsConfig, find
from kalshi_platform.learning.tuning.load_runs import load
from kalshi_platform.learning.tuning.page import best_first, score_text
from kalshi_platform.learning.tuning.words import figures, survives, verdict
from kalshi_platform.storage.sealed import seal

QUICK = FindingsConfig(cscv={"blocks": 8}, superiority={"resamples": 300}, bootstrap={"resamples": 500})


def noise(n, seed, mean=0.0):
    return np.random.default_rng(seed).normal(mean, 0.02, n)


def by_name(loaded):
    return {run.name: run for run in loaded.runs}


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


def test_finalists_are_the_further_seeds_of_one_setting(loaded):
    (finalist,) = find(loaded, QUICK).finalists
    assert finalist.values == {"train.learning_rate": 3e-4, "train.level": "simple"}
    assert finalist.spread.n_seeds == 5
    assert set(finalist.spread.scores) == {f"f{k}" for k in range(5)}
    assert finalist.spread.iqm.above_zero
    shown = figures(find(loaded, QUICK))[-1]
    assert (shown.name, shown.behind, shown.tone) == ("mean over seeds of f0", "5 seeds, 24 blocks", "good")
    assert "learning_rate 0.0003, level simple" in shown.meaning


def test_runs_on_two_blocks_have_no_winner_and_the_reason_says_so(tmp_path):
    for k in range(2):
        make_run(tmp_path / str(k), [0.1 + k, 0.2 + k])
    got = find(load([tmp_path / "0", tmp_path / "1"]), QUICK)
    assert got.winner is got.deflated is None
    assert got.why.endswith("at least 3 independent blocks; n = 2, decides nothing")
    assert verdict(got).startswith("No winner")
    assert "n = 2, decides nothing" in score_text(load([tmp_path / "1"]).runs[0])


def test_a_run_on_two_blocks_is_not_ranked_above_one_on_twelve(tmp_path):
    make_run(tmp_path / "few", [0.5, 0.6])
    make_run(tmp_path / "many", noise(12, 1, 0.01))
    loaded = load([tmp_path / "few", tmp_path / "many"])
    assert find(loaded, QUICK).winner == "many"
    assert [run.name for run in best_first(loaded.runs)] == ["many", "few"]


def test_blocks_are_the_draws_where_events_share_them(tmp_path):
    for k in range(2):
        folder = tmp_path / str(k)
        found = make_run(folder, noise(12, k)).replace(blocks={f"d{i}": 0.01 * i + k for i in range(9)})
        (folder / "best" / VALIDATION_FILE).write_text(found.model_dump_json())
        seal(folder / "best")
    got = find(load([tmp_path / "0", tmp_path / "1"]), QUICK)
    assert got.events == tuple(f"d{i}" for i in range(9)), "the matrix is over blocks"
    assert got.superiority[0].n_events == got.effective.n_events == 9


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


def test_a_winner_that_won_by_doing_nothing_does_not_survive(tmp_path):
    make_run(tmp_path / "idle", np.zeros(12), trade_rate=0.0)
    make_run(tmp_path / "busy", noise(12, 1, mean=-0.05))
    got = find(load([tmp_path / "idle", tmp_path / "busy"]), QUICK)
    (found,) = got.warnings
    assert (got.winner, found.rule, found.severity) == ("idle", "do_nothing_winner", "error")
    assert not survives(got)
    assert "idle was chosen for doing nothing" in verdict(got)


def test_a_winner_that_trades_has_no_warning(loaded):
    assert find(loaded, QUICK).warnings == ()
