"""The settings that win are those whose seeds do best together."""

import pytest

from kalshi_platform.domain.errors import TrainingError
from kalshi_platform.learning.training.session import RunSettings
from kalshi_platform.learning.tuning.experiment import Variant
from kalshi_platform.learning.tuning.selection import best_trials, choose, further_seeds
from kalshi_platform.learning.tuning.sweep_record import TrialRecord


def trial(name: str, score: float | None, seed: int = 0, status: str = "finished") -> TrialRecord:
    return TrialRecord(
        id=name,
        stage="sweep",
        values={},
        seed=seed,
        status=status,
        reason="it said so",
        iterations=1,
        env_steps=1,
        restarts=0,
        score=score,
        run=f"trials/{name}",
    )


def test_the_best_trials_come_first_and_failed_ones_not_at_all():
    records = {
        r.id: r
        for r in (trial("a", 0.1), trial("b", 0.3, status="failed"), trial("c", 0.2), trial("d", None))
    }
    assert [r.id for r in best_trials(records, 2)] == ["c", "a"]
    assert [r.id for r in best_trials(records, 9)] == ["c", "a"]


def test_a_sweep_without_a_score_says_what_happened_to_each_trial():
    with pytest.raises(TrainingError, match=r"no trial reached a validation score \(a: it said so\)"):
        best_trials({"a": trial("a", None, status="failed")}, 2)


def test_each_finalist_gets_the_seeds_after_its_own():
    planned = [Variant(id="a", values={}, settings=RunSettings())]
    more = further_seeds([trial("a", 0.1, seed=7)], planned, seeds=2)
    assert [(v.id, v.settings.train.seed) for v in more] == [("a-s8", 8), ("a-s9", 9)]


def with_seeds(scores: dict[str, tuple[float | None, ...]]) -> dict[str, TrialRecord]:
    named = [(f"{name}-s{k}", score) for name, found in scores.items() for k, score in enumerate(found, 1)]
    return {name: trial(name, score) for name, score in named}


def test_a_lucky_trial_loses_to_settings_whose_seeds_do_better():
    # a: 0.1 whatever its first run was; b: 0.2, 0.3, 0.3, 0.4: the middle half is 0.3, 0.3
    chosen = [trial("a", 0.9), trial("b", 0.3)]
    found = choose(chosen, with_seeds({"a": (0.1, 0.1, 0.1, 0.1), "b": (0.3, 0.2, 0.4, 0.3)}))
    assert found.winner == "b"
    assert "b +30.00 % (4 seeds), a +10.00 % (4 seeds)" in found.why
    assert found.run == "trials/b-s1"  # sorted 0.2 0.3 0.3 0.4: the lower middle one, the earlier of equals


def test_equal_settings_go_to_the_trial_that_scored_higher():
    chosen = best_trials({r.id: r for r in (trial("a", 0.2), trial("b", 0.3))}, 2)
    assert choose(chosen, with_seeds({"a": (0.1,), "b": (0.1,)})).winner == "b"


def test_a_finalist_whose_seed_failed_is_judged_by_the_others():
    found = choose([trial("a", 0.2), trial("b", 0.1)], with_seeds({"a": (None, 0.1), "b": (None,)}))
    assert (found.winner, found.run) == ("a", "trials/a-s2")


def test_a_seed_that_failed_after_a_good_score_is_not_counted_and_is_told():
    seeds = with_seeds({"a": (0.9, 0.1, 0.1), "b": (0.2, 0.2, 0.2)})
    seeds["a-s1"] = trial("a-s1", 0.9, status="failed")
    found = choose([trial("a", 0.5), trial("b", 0.4)], seeds)
    assert found.winner == "b"
    assert "a +10.00 % (2 seeds, 1 failed)" in found.why


def test_finalists_without_any_score_say_what_happened():
    with pytest.raises(TrainingError, match="a-s1: it said so"):
        choose([trial("a", 0.2)], with_seeds({"a": (None,)}))
