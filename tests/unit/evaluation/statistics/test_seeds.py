"""Finalists over seeds: the interquartile mean by hand, its interval, too few seeds."""

import numpy as np
import pytest

from kalshi_platform.evaluation.statistics.bootstrap import BootstrapConfig
from kalshi_platform.evaluation.statistics.metrics import interquartile_mean, interquartile_means
from kalshi_platform.evaluation.statistics.seeds import seed_spread

QUICK = BootstrapConfig(resamples=2_000)


def runs(values):
    return {f"s{k}": {f"E{i}": float(v) for i, v in enumerate(row)} for k, row in enumerate(values)}


def test_the_interquartile_mean_over_five_seeds_is_worked_by_hand():
    # scores 1 2 3 4 9: the middle half is 0.75 of 2, all of 3, 0.75 of 4: 7.5 / 2.5 = 3
    got = seed_spread(runs([[s - 1, s, s + 1] for s in (9, 1, 2, 4, 3)]), QUICK)
    assert got.iqm.estimate == pytest.approx(3.0)
    assert got.scores == {"s0": 9, "s1": 1, "s2": 2, "s3": 4, "s4": 3}
    assert got.share_positive == 1.0
    assert got.iqm.low < 3.0 < got.iqm.high


def test_rows_have_the_interquartile_mean_each_would_have_alone():
    values = np.random.default_rng(1).normal(size=(7, 6))
    assert interquartile_means(values) == pytest.approx([interquartile_mean(row) for row in values])


def test_the_interval_carries_the_chance_of_events_as_well_as_of_seeds():
    rng = np.random.default_rng(3)
    shared = rng.normal(0.0, 0.1, 25)  # all seeds agree: only the events vary
    got = seed_spread(runs(np.tile(shared, (5, 1))), QUICK).iqm
    # 1.96 x 2 standard errors of a mean of 25 draws
    expected = 3.92 * shared.std() / 5
    assert got.high - got.low == pytest.approx(expected, rel=0.12)
    apart = seed_spread(
        runs(np.tile(shared, (5, 1)) + np.array([-2, -1, 0, 1, 2])[:, None] * 0.05), QUICK
    ).iqm
    assert apart.high - apart.low > 1.3 * (got.high - got.low)


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    hits = 0
    for seed in range(80):
        rng = np.random.default_rng([5, seed])
        values = rng.normal(0, 0.02, (6, 1)) + rng.normal(0, 0.1, (1, 30)) + rng.normal(0, 0.05, (6, 30))
        got = seed_spread(runs(values), BootstrapConfig(resamples=400)).iqm
        hits += got.low <= 0.0 <= got.high
    assert hits >= 68  # 76 expected at 95 %; 68 is four standard deviations below


def test_too_few_seeds_keep_the_estimate_and_say_why_there_is_no_interval():
    got = seed_spread(runs([[1, 2], [3, 4]]), QUICK)
    assert got.iqm.estimate == pytest.approx(2.5)
    assert got.iqm.low is None
    assert got.iqm.note == "only 2 seeds; at least 5 are needed"


def test_five_seeds_on_two_blocks_have_no_interval():
    got = seed_spread(runs([[s, s + 1] for s in range(5)]), QUICK)
    assert (got.iqm.low, got.iqm.note) == (None, "n = 2, decides nothing (blocks)")


def test_no_seed_and_no_shared_event_are_notes():
    assert seed_spread({}).iqm.note == "no seed was validated"
    assert seed_spread({"a": {"x": 1.0}, "b": {"y": 1.0}}).iqm.note == "the seeds share no block"
