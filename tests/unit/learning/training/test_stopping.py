"""When a run has stopped getting better."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshi_platform.learning.training.stopping import without_gain

SCORES = st.lists(st.floats(-1, 1), max_size=30)


@pytest.mark.parametrize(
    ("scores", "min_gain", "since"),
    [
        ([], 0.0, 0),
        ([0.1], 0.0, 0),
        ([0.1, 0.1], 0.0, 1),
        ([0.1, 0.2, 0.15, 0.19], 0.0, 2),
        # best 0.10 -> 0.14 is no gain of 0.05, 0.16 is one (over 0.10): small gains add up
        ([0.10, 0.14, 0.16, 0.17], 0.05, 1),
        ([0.3, 0.2, 0.1], 0.05, 2),
    ],
)
def test_validations_since_the_last_gain_worked_by_hand(scores, min_gain, since):
    assert without_gain(scores, min_gain) == since


@given(SCORES, st.floats(0, 0.5))
def test_a_larger_gain_is_never_met_more_recently(scores, min_gain):
    assert without_gain(scores, min_gain) >= without_gain(scores, 0.0)


@given(SCORES, st.floats(0, 0.5))
def test_a_gain_that_counts_resets_the_count(scores, min_gain):
    assert without_gain([*scores, 2.0], min_gain) == 0
