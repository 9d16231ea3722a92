"""What ends a trial early, and that it is said."""

import json

from hypothesis import given
from hypothesis import strategies as st

from kalshi_platform.learning.training.progress import Progress
from kalshi_platform.learning.training.stopping import without_gain
from kalshi_platform.learning.tuning.stopper import HeldOutMarketStopper
from kalshi_platform.learning.tuning.trial import report_of_progress


def report(*scores: float, iteration: int = 1, min_gain: float = 0.0) -> dict:
    best = max(scores)
    return {
        "score": scores[-1],
        "iteration": iteration,
        "validations": len(scores),
        "without_gain": without_gain(scores, min_gain),
        "best_score": best,
        "best_iteration": 1 + scores.index(best),
    }


def test_a_trial_without_a_gain_is_stopped_with_the_reason():
    stopper = HeldOutMarketStopper(patience=2, min_gain=0.01, grace=1)
    assert not stopper("a", report(0.1, 0.2, min_gain=0.01))
    assert not stopper("a", report(0.1, 0.2, 0.205, min_gain=0.01))
    assert stopper("a", report(0.1, 0.2, 0.205, 0.19, min_gain=0.01))
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


SCORES = st.lists(st.floats(-1, 1, allow_nan=False), min_size=1, max_size=12)


@given(SCORES, st.integers(0, 5), st.floats(0, 0.2), st.integers(1, 6))
def test_a_report_of_two_counts_decides_as_the_whole_list_of_scores_did(scores, patience, min_gain, grace):
    stopper = HeldOutMarketStopper(patience, min_gain, grace)
    validations = [{"score": s, "iteration": k, "env_steps": k} for k, s in enumerate(scores, start=1)]
    for n in range(1, len(scores) + 1):
        since = without_gain(scores[:n], min_gain)
        by_list = bool(patience) and n >= grace and since >= patience
        told = report_of_progress(progress(validations[:n]), min_gain)
        assert stopper("a", told) == by_list


def progress(validations: list[dict]) -> Progress:
    n = len(validations)
    return Progress(
        iteration=n, iterations=99, env_steps=n, steps_per_s=1.0, seconds_left=0.0, episode_return=None,
        score=None, best_score=None, validations=tuple(validations),
    )  # fmt: skip


def test_a_report_does_not_grow_with_the_run():
    def size(n: int) -> int:
        one = {"score": 0.25, "iteration": 1, "env_steps": 1}
        return len(json.dumps(report_of_progress(progress([one] * n))))

    assert size(1000) - size(10) < 20  # digits of the counts
