"""Actions as they stand in a recording."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshi_platform.domain.errors import DataError
from kalshi_platform.trading.session.session_notes import acts_of, acts_text


@given(st.lists(st.integers(0, 4), min_size=1, max_size=64))
def test_actions_come_back(actions):
    array = np.array(actions, np.int8)
    found = acts_of({"acts": {"3": acts_text(array)}}, len(actions))
    assert list(found) == [3]
    np.testing.assert_array_equal(found[3], array)


@pytest.mark.parametrize("text", ["012", "01a4", ""])
def test_a_damaged_note_is_refused(text):
    with pytest.raises(DataError, match="expected 4 digits"):
        acts_of({"acts": {"0": text}}, 4)
