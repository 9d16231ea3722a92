"""Lost and repeated messages, seen in the numbers of a subscription."""

from hypothesis import given
from hypothesis import strategies as st

from kalshi_platform.data.market_data.sequence import (
    FRAMES_REMEMBERED,
    UNCOUNTABLE,
    Arrival,
    SequenceTracker,
    Weight,
)

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
    assert tracker.observe(B, 2) == (Arrival.REPEAT, 0)  # a frame of the file before, once more
    assert tracker.observe(B, 1, content=5) == (Arrival.RESTART, UNCOUNTABLE)
    assert tracker.observe(B, 2, content=6) == (Arrival.NEXT, 0)
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


def test_a_snapshot_or_trade_never_seen_begins_the_count_anew_and_a_plain_frame_does_not() -> None:
    tracker = SequenceTracker()
    tracker.observe(A, 9, content=9)  # nobody knows the frames before
    assert tracker.observe(A, 3, content=3) == (Arrival.REPEAT, 0)
    assert tracker.observe(A, 4, content=4, weight=Weight.SNAPSHOT) == (Arrival.RESTART, UNCOUNTABLE)
    assert tracker.observe(A, 5, content=5) == (Arrival.NEXT, 0)
    assert tracker.observe(A, 5, content=6) == (Arrival.RESTART, UNCOUNTABLE)  # one number, two frames
    assert tracker.observe(A, 5, content=6) == (Arrival.REPEAT, 0)


def test_a_trade_or_snapshot_that_fills_a_hole_came_late_and_begins_nothing_anew() -> None:
    tracker = SequenceTracker()
    for seq in (1, 2, 4):
        tracker.observe(A, seq, content=seq)
        tracker.observe(B, seq, content=seq)
    assert tracker.observe(A, 3, content=3, weight=Weight.TRADE) == (Arrival.LATE, 0)
    assert tracker.observe(A, 3, content=3, weight=Weight.TRADE) == (Arrival.REPEAT, 0)
    assert tracker.observe(A, 5, content=5) == (Arrival.NEXT, 0)
    assert tracker.observe(B, 3, content=3) == (Arrival.REPEAT, 0)  # a plain frame says nothing late
    assert tracker.observe(B, 5, content=5) == (Arrival.NEXT, 0)  # and its connection began nothing anew


def test_the_first_number_of_a_subscription_that_was_seen_to_begin_is_1() -> None:
    tracker = SequenceTracker()
    tracker.carry(A, "M")
    assert tracker.begin(A) == {"M"}
    assert tracker.observe(A, 2) == (Arrival.GAP, 1)
    assert tracker.observe(A, 1, content=1, weight=Weight.TRADE) == (Arrival.LATE, 0)
    assert tracker.observe(A, 3) == (Arrival.NEXT, 0)
    tracker.begin(B)
    assert tracker.observe(B, 1) == (Arrival.NEXT, 0)


def test_a_restart_lets_the_others_of_its_connection_begin_anew() -> None:
    tracker, other = SequenceTracker(), (2, 2)
    for seq in (5, 6):
        for stream in (A, B, other):
            tracker.observe(stream, seq, content=seq)
    tracker.observe(A, 1, content=1, weight=Weight.SNAPSHOT)
    assert tracker.observe(B, 6, content=6) == (Arrival.REPEAT, 0)
    assert tracker.observe(B, 1, content=1) == (Arrival.RESTART, UNCOUNTABLE)
    assert tracker.observe(A, 2, content=2) == (Arrival.NEXT, 0)
    assert tracker.observe(other, 1, content=1) == (Arrival.REPEAT, 0)


def test_snapshots_are_remembered_longer_than_other_frames() -> None:
    tracker = SequenceTracker()
    tracker.observe(A, 1, content=1, weight=Weight.SNAPSHOT)
    for seq in range(2, 3 * FRAMES_REMEMBERED):
        tracker.observe(A, seq, content=seq)
    assert tracker.observe(A, 1, content=1, weight=Weight.SNAPSHOT) == (Arrival.REPEAT, 0)
    assert tracker.observe(A, 2, content=2) == (Arrival.REPEAT, 0)
    assert tracker.observe(A, 1, content=7, weight=Weight.SNAPSHOT) == (Arrival.RESTART, UNCOUNTABLE)


def test_a_stream_without_numbers_still_carries_books() -> None:
    tracker = SequenceTracker()
    tracker.carry(A, "M")
    assert tracker.books_of(1) == [A]
    assert tracker.observe(A, 40) == (Arrival.NEXT, 0)
    assert tracker.end(A) == {"M"}


class PlainTracker:
    """The rules in the plainest words: everything is remembered, nothing is forgotten."""

    def __init__(self) -> None:
        self.said: dict[int, int] = {}
        self.missing: set[int] = set()
        self.last = 0

    def observe(self, seq: int, content: int, weight: Weight) -> Arrival:
        if self.last and seq <= self.last:
            if self.said.get(seq) == content or (seq not in self.said and weight is Weight.PLAIN):
                return Arrival.REPEAT
            if seq in self.missing and seq not in self.said:
                self.said[seq] = content
                return Arrival.LATE
            self.said, self.missing, arrival = {}, set(), Arrival.RESTART
        else:
            if self.last:
                self.missing |= set(range(self.last + 1, seq))
            arrival = Arrival.GAP if self.last and seq > self.last + 1 else Arrival.NEXT
        self.said[seq], self.last = content, seq
        return arrival


@given(st.lists(st.tuples(st.integers(1, 12), st.integers(0, 2), st.sampled_from(list(Weight))), max_size=60))
def test_frames_mean_what_a_plain_model_says(frames: list[tuple[int, int, Weight]]) -> None:
    tracker, plain = SequenceTracker(), PlainTracker()
    for seq, content, weight in frames:
        assert tracker.observe(A, seq, content, weight)[0] is plain.observe(seq, content, weight)
