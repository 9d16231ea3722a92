"""Lost and repeated messages, seen in the numbers of a subscription."""

from hypothesis import given
from hypothesis import strategies as st

from kalshi_platform.data.market_data.sequence import UNCOUNTABLE, Arrival, SequenceTracker

A, B = (1, 1), (1, 2)


def test_numbers_count_per_stream() -> None:
    tracker = SequenceTracker()
    assert tracker.observe(A, 1) == (Arrival.NEXT, 0)
    assert tracker.observe(B, 7) == (Arrival.NEXT, 0)  # a recording may begin in the middle
    assert tracker.observe(A, 2) == (Arrival.NEXT, 0)
    assert tracker.observe(B, 8) == (Arrival.NEXT, 0)


def test_a_hole_counts_the_missing_messages_once() -> None:
    tracker = SequenceTracker()
    tracker.observe(A, 1)
    assert tracker.observe(A, 5) == (Arrival.GAP, 3)  # 2, 3, 4
    assert tracker.observe(A, 6) == (Arrival.NEXT, 0)


def test_a_number_already_passed_is_a_repeat() -> None:
    tracker = SequenceTracker()
    for seq in (1, 2, 3):
        tracker.observe(A, seq)
    assert tracker.observe(A, 2) == (Arrival.REPEAT, 0)
    assert tracker.observe(A, 4) == (Arrival.NEXT, 0)


def test_a_stream_goes_on_across_files_and_a_lower_number_there_is_a_restart() -> None:
    tracker = SequenceTracker()
    for seq in (1, 2, 3):
        tracker.observe(A, seq)
        tracker.observe(B, seq)
    tracker.start_file()
    assert tracker.observe(A, 4) == (Arrival.NEXT, 0)
    assert tracker.observe(B, 1) == (Arrival.GAP, UNCOUNTABLE)
    assert tracker.observe(B, 2) == (Arrival.NEXT, 0)
    assert tracker.observe(A, 2) == (Arrival.REPEAT, 0)


def test_an_ended_stream_returns_its_markets_and_counts_anew() -> None:
    tracker = SequenceTracker()
    tracker.observe(A, 40)
    tracker.carry(A, "M")
    assert tracker.end(A) == {"M"}
    assert tracker.end(A) == set()
    assert tracker.observe(A, 1) == (Arrival.NEXT, 0)


@given(st.lists(st.integers(1, 60), min_size=1, max_size=80))
def test_missing_messages_are_those_of_the_span_never_seen(seqs: list[int]) -> None:
    tracker = SequenceTracker()
    missing, taken, high = 0, [], 0
    for seq in seqs:
        arrival, lost = tracker.observe(A, seq)
        assert (arrival is Arrival.REPEAT) == (seq <= high)
        high = max(high, seq)
        missing += lost
        if arrival is not Arrival.REPEAT:
            taken.append(seq)
    assert missing == high - taken[0] + 1 - len(taken)
