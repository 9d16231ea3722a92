"""A collapse is said when it is found, again as it lasts, and when it ends."""

from kalshi_platform.evaluation.judging.checkup_facts import Finding
from kalshi_platform.learning.training.collapse import Collapse, end_words

IDLE = Finding(
    severity="error", rule="policy_collapse", message="it never trades", evidence={}, remedy="try more"
)


def said(*found: Finding | None) -> list[int]:
    """Validations (from 1) at which something is said."""
    state, spoke = Collapse(), []
    for k, finding in enumerate(found, start=1):
        state = state.after(finding)
        if state.notice(k, 0.1):
            spoke.append(k)
    return spoke


def test_a_healthy_run_says_nothing():
    assert said(None, None, None) == []


def test_a_collapse_that_lasts_is_said_at_every_doubling():
    assert said(*[IDLE] * 20) == [1, 2, 4, 8, 16]


def test_the_end_of_a_collapse_is_said_once_and_a_new_one_begins_anew():
    assert said(IDLE, IDLE, IDLE, None, None, IDLE) == [1, 2, 4, 6]


def test_the_sentences_name_the_iteration_the_finding_and_the_remedy():
    first = Collapse().after(IDLE)
    assert first.notice(16, 0.0) == "warning: iteration 16: it never trades. What to do: try more"
    assert (
        first.after(IDLE).notice(32, 0.0).startswith("warning: iteration 32, for 2 validations now: it never")
    )
    assert first.after(None).notice(32, 0.123) == (
        "iteration 32: the policy has recovered: it trades at 12.3% of its decisions"
    )


def test_the_state_survives_a_checkpoint():
    state = Collapse().after(IDLE).after(IDLE)
    assert Collapse.parse(state.model_dump()) == state
    assert Collapse.parse({}) == Collapse()  # a checkpoint of an earlier version


def test_the_last_line_speaks_of_the_best_policy_before_the_last():
    assert end_words("", "", 3) == ""
    assert (
        end_words("it holds", "", 3)
        == "warning: at its end it holds; the best one, of iteration 3, does trade"
    )
    assert end_words("", "it holds", 3) == "warning: the best policy of the run is not worth using: it holds"
