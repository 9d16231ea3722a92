"""What ends a trial early, and that it is said."""

from kalshi_platform.learning.tuning.stopper import HeldOutMarketStopper


def report(*scores: float, iteration: int = 1) -> dict:
    best = max(scores)
    return {
        "score": scores[-1],
        "iteration": iteration,
        "validation_scores": list(scores),
        "best_score": best,
        "best_iteration": 1 + scores.index(best),
    }


def test_a_trial_without_a_gain_is_stopped_with_the_reason():
    stopper = HeldOutMarketStopper(patience=2, min_gain=0.01, grace=1)
    assert not stopper("a", report(0.1, 0.2))
    assert not stopper("a", report(0.1, 0.2, 0.205))
    assert stopper("a", report(0.1, 0.2, 0.205, 0.19))
    assert stopper.reasons == {
        "a": "no gain of 1.0 % of capital on the validation events in 2 validations; "
        "best +20.50 % at iteration 3"
    }
    assert not stopper.stop_all()


def test_grace_and_no_patience_let_a_trial_go_on():
    assert not HeldOutMarketStopper(patience=1, min_gain=0.0, grace=4)("a", report(0.2, 0.1, 0.1))
    assert not HeldOutMarketStopper(patience=0, min_gain=0.0, grace=1)("a", report(0.2, 0.1, 0.1))


def test_the_decision_needs_nothing_but_the_report_so_it_is_the_same_after_a_resume():
    scores = (0.1, 0.2, 0.2, 0.2)
    used = HeldOutMarketStopper(patience=2, min_gain=0.0, grace=1)
    for k in range(1, 4):
        used("a", report(*scores[:k]))
    assert used("a", report(*scores)) == HeldOutMarketStopper(2, 0.0, 1)("b", report(*scores))
