"""The findings in words."""

import json

import numpy as np
from made.runs import make_run, whole_sweep

from kalshi_platform.evaluation.statistics.superiority import DO_NOTHING
from kalshi_platform.learning.tuning.findings import FindingsConfig, find
from kalshi_platform.learning.tuning.load_runs import load
from kalshi_platform.learning.tuning.words import arms_text, figures, several, survives, value_text, verdict

QUICK = FindingsConfig(cscv={"blocks": 8}, superiority={"resamples": 300}, bootstrap={"resamples": 500})


def noise(n, seed, mean=0.0):
    return np.random.default_rng(seed).normal(mean, 0.02, n)


def test_a_winner_by_luck_does_not_survive_and_the_reasons_are_named(tmp_path):
    scores = whole_sweep(tmp_path / "s", n_trials=10, edge=0.0, seed=4, finalists=0)
    got = find(load([tmp_path / "s"]), QUICK)
    assert got.winner == max(scores, key=scores.get)
    assert not survives(got)
    assert "not shown to be more than luck" in verdict(got)
    assert f"no trial is shown to beat {DO_NOTHING}" in verdict(got)


def test_one_run_alone_has_a_note_for_each_figure_that_needs_more(tmp_path):
    make_run(tmp_path / "a", noise(12, 1))
    got = find(load([tmp_path / "a"]), QUICK)
    shown = {f.name: f for f in figures(got)}
    assert shown["effective number of trials"].value == "-"
    assert "nothing was selected from" in shown["effective number of trials"].meaning
    assert shown["deflated Sharpe ratio"].value.endswith("%")
    assert shown["deflated Sharpe ratio"].behind == "1 trial, 12 blocks"
    assert "nan" not in json.dumps(got.model_dump(mode="json")).lower()


def test_no_validated_run_is_a_verdict_not_an_error(tmp_path):
    make_run(tmp_path / "a", None)
    got = find(load([tmp_path / "a"]), QUICK)
    assert got.winner is None
    assert verdict(got).startswith("No winner: no run of a known dataset holds a validation")
    assert not survives(got)


def test_values_are_shown_short():
    assert [value_text(v) for v in (None, True, 1_000_000, 3e-4, "a", ["x", 1], {"k": 1})] == [
        "-",
        "true",
        "1,000,000",
        "0.0003",
        "a",
        "x, 1",
        '{"k": 1}',
    ]


def test_runs_that_earn_the_same_tie_and_neither_has_a_lead(tmp_path):
    for name in ("a", "b"):
        make_run(tmp_path / name, np.zeros(12))
    make_run(tmp_path / "c", np.full(12, -0.01))
    told = verdict(find(load([tmp_path / name for name in "abc"]), QUICK))
    assert told.startswith(
        ("Tie: a earns as much as b; none of them is better.", "Tie: b earns as much as a;")
    )
    assert "highest score" not in told


def test_a_highest_score_within_luck_is_no_difference(tmp_path):
    whole_sweep(tmp_path / "s", n_trials=10, edge=0.0, seed=4, finalists=0)
    assert verdict(find(load([tmp_path / "s"]), QUICK)).startswith("No difference shown: ")


def test_numbers_and_nouns_agree_and_arms_stand_apart():
    assert (several(1, "block"), several(2, "seed"), several(1_000, "run")) == (
        "1 block",
        "2 seeds",
        "1,000 runs",
    )
    assert arms_text([["orderbook"], ["orderbook", "temporal"]]) == "orderbook\norderbook, temporal"
    arms = [{"env.order_style": "take"}, {"env.order_style": "make"}]
    assert arms_text(arms) == "order_style take\norder_style make"
    assert arms_text([1e-4, 3e-4]) == "0.0001, 0.0003"
    assert arms_text("loguniform (0.1, 1)") == "loguniform (0.1, 1)"
