"""Pass or fail of the return kept, on intervals made by hand."""

import pytest

from kalshi_platform.evaluation.statistics.bootstrap import Interval
from kalshi_platform.serving.distillation.kept import kept_verdict
from kalshi_platform.serving.distillation.report import stored_report


def interval(estimate, low, high, n=25, note="") -> Interval:
    return Interval(estimate=estimate, low=low, high=high, confidence=0.95, n_clusters=n, note=note)


OWN = interval(0.04, 0.02, 0.06)  # the model surely earns


@pytest.fixture
def judged(place):
    """A judgement whose intervals a test replaces."""
    found = stored_report(place[1], place[2]).judgement

    def of(own=OWN, difference=None, kept=None):
        changes = {
            "champion_return": own,
            "difference": difference or interval(0.0, -0.01, 0.01),
            "value_kept": kept,
            "n_blocks": 25,
        }
        return kept_verdict(found.model_copy(update=changes), 0.98)

    return of


@pytest.mark.parametrize(
    ("kept", "word", "settled"),
    [
        ((1.00, 0.99, 1.01), "PASS", True),
        ((0.99, 0.90, 1.10), "PASS", False),
        ((0.98, 0.98, 0.98), "PASS", True),
        ((0.952, 0.80, 1.10), "FAIL", False),
        ((0.90, 0.85, 0.95), "FAIL", True),
    ],
)
def test_the_estimate_says_pass_or_fail_and_the_interval_whether_that_is_settled(judged, kept, word, settled):
    found = judged(kept=interval(*kept))
    assert (found.word, found.settled, found.surely_fails) == (word, settled, word == "FAIL" and settled)
    assert found.words.startswith(f"{word}: ")
    assert "98.0 % asked for" in found.words
    assert ("25 judging blocks do not settle it" in found.words) is not settled


def test_a_model_that_does_not_surely_earn_has_no_share_to_keep(judged):
    for own in (interval(0.04, -0.01, 0.09), interval(-0.01, -0.03, 0.01), interval(0.04, None, None)):
        found = judged(own=own, kept=interval(0.5, None, None, note="reaches below zero"))
        assert found.word == "NO VERDICT"
        assert "is not surely above zero" in found.words
        assert "50" not in found.words.split("asked for")[0]  # the meaningless share is not printed
        assert not found.surely_fails


def test_near_zero_the_difference_is_set_against_the_loss_allowed(judged):
    # 2 % of 0.043 is 0.00086 of capital a block
    own = interval(0.043, 0.0016, 0.076)
    found = judged(own=own, difference=interval(-0.0084, -0.025, 0.0003), kept=interval(0.8, 0.03, 1.05))
    assert (found.word, found.settled) == ("FAIL", False)
    assert "0.086 % of capital a block may be lost" in found.words
    assert "80" not in found.words
    assert not found.has_share
    assert judged(kept=interval(1, 0.99, 1.01)).has_share
    sure = judged(own=own, difference=interval(-0.0084, -0.010, -0.002), kept=interval(0.8, 0.03, 1.05))
    assert sure.surely_fails
    fine = judged(own=own, difference=interval(-0.0005, -0.0008, 0.0), kept=interval(0.8, 0.03, 1.05))
    assert (fine.word, fine.settled) == ("PASS", True)


def test_few_or_no_blocks_give_no_verdict(judged):
    two = interval(0.0, None, None, n=2)
    assert "decides nothing" in judged(difference=two, kept=interval(1, None, None, n=2)).words
    none = judged(own=interval(None, None, None, n=0), difference=interval(None, None, None, n=0))
    assert none.words == "NO VERDICT: no judging block to compare returns on"
