"""Schedulers that say why they cut a trial and remember across a restart."""

from types import SimpleNamespace

from kalshi_platform.learning.tuning.schedulers import ExplainedASHA


def report(*scores: float, iteration: int = 1) -> dict:
    best = max(scores)
    return {
        "score": scores[-1],
        "iteration": iteration,
        "best_score": best,
        "best_iteration": 1 + scores.index(best),
    }


def halving(*names: str) -> ExplainedASHA:
    scheduler = ExplainedASHA(max_iterations=16, grace=4, factor=2)
    for name in names:
        scheduler.on_trial_add(None, SimpleNamespace(trial_id=name))
    return scheduler


def told(scheduler: ExplainedASHA, name: str, score: float, iteration: int) -> str:
    return scheduler.on_trial_result(None, SimpleNamespace(trial_id=name), report(score, iteration=iteration))


def test_halving_cuts_the_worse_trial_at_a_rung_and_says_why():
    scheduler = halving("a", "b")
    assert told(scheduler, "a", 0.3, 4) == "CONTINUE"
    assert told(scheduler, "b", 0.1, 3) == "CONTINUE"  # no rung yet
    assert told(scheduler, "b", 0.1, 4) == "STOP"
    assert scheduler.reasons["b"].startswith(
        "cut at iteration 4: validation return +10.00 % of capital is not among"
    )


def test_a_trial_that_ended_before_a_restart_still_counts_at_the_rungs():
    scheduler = halving("b")
    scheduler.remember("a", [report(0.3, iteration=k) for k in range(1, 6)])
    assert told(scheduler, "b", 0.1, 4) == "STOP"
    forgetful = halving("b")
    assert told(forgetful, "b", 0.1, 4) == "CONTINUE"


def test_a_trial_at_the_end_of_its_budget_is_not_called_cut():
    scheduler = halving("a")
    assert told(scheduler, "a", 0.3, 16) == "CONTINUE"
    assert scheduler.reasons == {}
