"""When a run ends and what it counts; the loop itself runs in tests/integration/test_training.py."""

import math
from types import SimpleNamespace

import pytest
from made.registry_models import made_policy
from made.training import SMALL, scored

from kalshi_platform.domain.errors import TrainingError, WorkersLostError
from kalshi_platform.evaluation.judging.checkup_facts import Finding
from kalshi_platform.learning.training import run as running
from kalshi_platform.learning.training.checkpoint import BEST, TrainingState, point, write_checkpoint
from kalshi_platform.learning.training.run import TrainResult, Watchers, train


def loop(out, config=SMALL, **watchers):
    """The loop round an algorithm that only takes hooks."""
    algorithm = SimpleNamespace(callbacks=SimpleNamespace(hooks=[]))
    return running._Run(algorithm, out, config, Watchers(**watchers), begun_s=0.0)


def validated(run, *scores):
    for score in scores:
        run._count.iteration += 1
        run._watch = run._watch._replace(validate=lambda policy, score=score: scored(score))
        run._score("a policy")
    return run


def test_patience_counts_validations_after_the_best(tmp_path):
    run = validated(loop(tmp_path, SMALL.replace(patience=2)), 0.1, 0.3, 0.2)
    assert not run._has_stopped()
    validated(run, 0.3)  # equal is no gain
    assert run._has_stopped()
    assert run._count.stopped == "patience"
    assert (run._count.best_score, run._count.best_iteration) == (0.3, 2)


def test_a_stop_hook_hears_all_validations_and_nothing_before_the_first(tmp_path):
    heard = []
    run = loop(tmp_path, stop=lambda found: heard.append([v["score"] for v in found]) or "enough")
    assert not run._has_stopped()
    assert heard == []
    validated(run, 0.1, 0.2)
    assert run._has_stopped()
    assert (heard, run._count.stopped) == ([[0.1, 0.2]], "enough")


def test_the_untrained_policy_is_no_collapse_and_the_best_one_is_told_apart_from_the_last(tmp_path):
    run, idle = loop(tmp_path), collapsed()
    for finding, score in ((idle, 0.1), (None, 0.3), (idle, 0.0)):
        run._count.iteration += 1
        found = scored(score).replace(collapse=finding)
        run._watch = run._watch._replace(validate=lambda policy, found=found: found)
        validation = run._score("a policy")
        assert bool(run._notice(validation)) == (run._count.iteration == 3)
    assert (run._count.collapse["message"], run._count.best_collapse) == ("it never trades", "")
    assert run._count.best_iteration == 2


def collapsed():
    return Finding(
        severity="error", rule="policy_collapse", message="it never trades", evidence={}, remedy="try more"
    )


def test_without_a_validation_nothing_is_best(tmp_path):
    run = loop(tmp_path)
    assert run._score("a policy") is None
    assert run._count.last_numbers == {}


def test_a_score_that_is_not_finite_ends_the_run_and_is_not_the_best(tmp_path):
    with pytest.raises(TrainingError, match="iteration 1: the validation's score is not finite"):
        validated(loop(tmp_path), math.nan)


@pytest.mark.parametrize(("best_iteration", "linked"), [(2, "000002"), (1, "000001")])
def test_a_run_killed_before_it_named_its_best_names_it_when_it_goes_on(
    tmp_path, monkeypatch, best_iteration, linked
):
    monkeypatch.setattr(running, "restore", lambda algorithm, policy, state: None)
    for iteration in (1, 2):
        counts = running._Counters(iteration=iteration, best_score=0.5, best_iteration=best_iteration)
        state = TrainingState({}, {"run": dict(counts.__dict__)}, {})
        write_checkpoint(tmp_path, iteration, made_policy(), state)
    point(tmp_path, BEST, tmp_path / "checkpoints" / "000001")
    loop(tmp_path, validate=lambda policy: scored(0.1)).resume()
    assert (tmp_path / BEST).resolve().name == linked


def test_a_run_that_took_over_weights_at_the_number_of_its_best_goes_on_with_its_own_best(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(running, "restore", lambda algorithm, policy, state: None)
    counts = running._Counters(iteration=2, best_score=0.5, best_iteration=2)
    state = TrainingState({}, {"run": dict(counts.__dict__)}, {})
    write_checkpoint(tmp_path, 2, made_policy(seed=1), state, is_best=True)
    own = (tmp_path / BEST / "policy.pt").read_bytes()
    write_checkpoint(tmp_path, 2, made_policy(seed=2), state)  # the other run's, with the own counters
    loop(tmp_path, validate=lambda policy: scored(0.1)).resume()
    assert (tmp_path / BEST / "policy.pt").read_bytes() == own
    assert (tmp_path / "latest" / "policy.pt").read_bytes() != own


@pytest.mark.parametrize(("value", "kept"), [(1.5, 1.5), (math.nan, None), (math.inf, None)])
def test_a_mean_of_nothing_is_no_number_in_the_metrics(value, kept):
    assert running._finite(value) == kept


@pytest.fixture
def attempts(monkeypatch):
    """Attempts that lose their workers as often as the test says; what each was asked."""
    asked = []

    def attempt(source, out, config, watchers, resume):
        asked.append(resume)
        if len(asked) <= attempt.losses:
            (out / "checkpoints" / "000001").mkdir(parents=True, exist_ok=True) if attempt.keeps else None
            raise WorkersLostError("1 of 2 sampling workers died")
        return TrainResult(out, out, out, 1, 1, None, "budget")

    monkeypatch.setattr(running, "_attempt", attempt)
    monkeypatch.setattr(running, "require_buildable", lambda source, config: None)
    monkeypatch.setattr(running.ray, "is_initialized", lambda: True)
    return attempt, asked


@pytest.mark.parametrize(("keeps", "second"), [(True, True), (False, False)])
def test_lost_workers_cost_what_came_after_the_last_checkpoint(attempts, tmp_path, keeps, second):
    attempt, asked = attempts
    attempt.losses, attempt.keeps = 1, keeps
    result = train(None, tmp_path, SMALL)
    assert (asked, result.restarts) == ([False, second], 1)


def test_workers_lost_once_too_often_end_the_run(attempts, tmp_path):
    attempt, asked = attempts
    attempt.losses, attempt.keeps = 9, True
    with pytest.raises(WorkersLostError, match=r"died 3 times.*1 of 2 sampling workers died"):
        train(None, tmp_path, SMALL.replace(max_restarts=2))
    assert len(asked) == 3
