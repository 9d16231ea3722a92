"""The ring of served states: bounded, the latest, only what was decided with all the model has."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.serving.guard.recorded import RecordedStates
from kalshi_platform.serving.inference.batch import Batch, Note, Tier, holding


def told(first, n, window=0):
    """``n`` groups, each marked by its number from ``first`` on."""
    mark = np.arange(first, first + n)
    flat = np.repeat(mark[:, None].astype(np.float32), 3, axis=1)
    windows = np.repeat(mark, window * 4).reshape(n, 2, window, 2).astype(np.float32) if window else None
    found = holding(n, 2)
    found.actions[:], found.tier[:] = (mark % 5)[:, None], Tier.TIER_3
    return Batch(flat, windows, np.full((n, 2), -1, np.int8)), found


def marks(recorded):
    return sorted(recorded.batch.flat[:, 0].astype(int).tolist())


def test_of_one_call_a_few_groups_are_recorded_evenly_spread():
    states = RecordedStates(per_call=8)
    states.add(1, *told(0, 20))
    assert marks(states.decided_by(1)) == [0, 3, 6, 9, 12, 15, 18]


def test_answers_that_lack_a_tier_are_left_out():
    states = RecordedStates()
    batch, found = told(0, 5)
    found.notes[:3] = [Note.DEADLINE, Note.FALLBACK, Note.CACHED]
    found.tier[3] = Tier.NONE
    states.add(1, batch, found)
    assert marks(states.decided_by(1)) == [2, 4]
    states.add(1, *(x.take(np.array([0])) for x in (batch, found)))
    assert len(states) == 2


def test_what_is_handed_out_is_a_copy():
    states = RecordedStates()
    states.add(1, *told(7, 1, window=2))
    states.decided_by(1).batch.flat[:] = 0
    states.decided_by(1).batch.windows[:] = 0
    assert marks(states.decided_by(1)) == [7]
    assert states.decided_by(1).batch.windows.min() == 7


def test_groups_of_another_shape_begin_anew():
    states = RecordedStates()
    states.add(1, *told(0, 3, window=2))
    states.add(2, *told(3, 2))
    assert states.decided_by(1) is None
    assert (marks(states.decided_by(2)), len(states)) == ([3, 4], 2)


@given(st.lists(st.tuples(st.integers(1, 2), st.integers(1, 12)), max_size=20), st.integers(8, 20))
def test_the_latest_groups_are_kept_with_what_was_answered_and_by_whom(calls, capacity):
    states, wanted, first = RecordedStates(capacity, per_call=4), [], 0
    for by, n in calls:
        states.add(by, *told(first, n))
        step = -(-n // 4)
        wanted += [(by, mark) for mark in range(first, first + n, step)]
        first += n
    for by in (1, 2):
        found = states.decided_by(by)
        expected = [mark for b, mark in wanted[-capacity:] if b == by]
        if found is None:
            assert not expected
            continue
        assert marks(found) == expected
        np.testing.assert_array_equal(found.actions[:, 0], found.batch.flat[:, 0].astype(int) % 5)
    assert len(states) == min(len(wanted), capacity)


@pytest.mark.parametrize(("capacity", "per_call"), [(4, 5), (4, 0)])
def test_a_ring_smaller_than_what_one_call_adds_is_refused(capacity, per_call):
    with pytest.raises(ContractError, match=r"expected 1\.\.4"):
        RecordedStates(capacity, per_call)
