"""The test of superior predictive ability: levels under the null, power, seeds, degenerate cases."""

import numpy as np
import pytest

from kalshi_platform.evaluation.statistics.overfitting import TrialReturns
from kalshi_platform.evaluation.statistics.superiority import DO_NOTHING, SuperiorityConfig, superiority

QUICK = SuperiorityConfig(resamples=400)


def trials(values):
    names = tuple(f"t{k}" for k in range(len(values)))
    return TrialReturns(names, tuple(f"E{k:03d}" for k in range(values.shape[1])), values)


def noise(n, e, seed):
    return np.random.default_rng([seed, n, e]).normal(0.0, 0.02, (n, e))


def test_a_trial_far_above_nothing_is_found_and_named():
    values = noise(6, 40, 1)
    values[4] += 0.02
    (got,) = superiority(trials(values), {}, QUICK)
    assert (got.benchmark, got.best, got.n_trials, got.n_events) == (DO_NOTHING, "t4", 6, 40)
    assert got.p_value < 0.01
    assert got.best_difference == pytest.approx(values[4].mean())
    assert got.p_lower <= got.p_value <= got.p_upper


def test_worthless_trials_are_rejected_no_more_often_than_the_level():
    found = [superiority(trials(noise(5, 40, seed)), {}, QUICK)[0].p_value for seed in range(60)]
    # 60 draws at a level of 0.1: 6 expected, 14 is beyond three standard deviations (2.3 each)
    assert sum(p < 0.1 for p in found) <= 13
    assert 0.35 < np.mean(found) < 0.65


def test_the_same_seed_gives_the_same_answer():
    found = trials(noise(3, 20, 1))
    assert superiority(found, {}, QUICK) == superiority(found, {}, QUICK)


def test_each_baseline_is_a_benchmark_matched_by_event():
    values = noise(3, 30, 1) + 0.02
    found = trials(values)
    # listed backwards: only the names may pair them
    good = {event: 0.05 + 0.001 * (k % 3) for k, event in reversed(list(enumerate(found.events)))}
    nothing, against = superiority(found, {"good": good}, QUICK)
    assert nothing.p_value < 0.01
    assert against.benchmark == "good"
    assert against.p_value > 0.5
    base = np.array([good[event] for event in found.events])
    assert against.best_difference == pytest.approx((values - base).mean(axis=1).max())


def test_trials_that_all_earn_nothing_are_answered_with_a_note():
    (got,) = superiority(trials(np.zeros((4, 20))), {}, QUICK)
    assert got.p_value is None
    assert "no spread" in got.note


def test_trials_without_spread_are_left_out_and_counted():
    (got,) = superiority(trials(np.vstack([np.zeros((2, 20)), noise(2, 20, 1)])), {}, QUICK)
    assert got.n_trials == 2
    assert got.note.startswith("2 trials")


def test_too_few_shared_events_or_no_trial_are_answered_with_a_note():
    found = trials(noise(2, 20, 1))
    got = superiority(found, {"b": {"E000": 0.1}}, QUICK)[1]
    assert got.note == "only 1 events are known for both; at least 8 are needed"
    assert superiority(trials(np.zeros((0, 0))), {}, QUICK)[0].note == "no trial was validated"
